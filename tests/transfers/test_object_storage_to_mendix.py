"""The way back: what was archived is uploaded again, the same bytes, once, or nothing is sent."""

from __future__ import annotations

import hashlib
import json
import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_mendix.exceptions import (
    DamagedArchiveError,
    InvalidInputError,
    MendixConnectionError,
    MendixError,
    NotArchivedError,
    UploadFailedError,
)
from airflow_provider_mendix.simulator import BuildOutcome
from airflow_provider_mendix.simulator import server as simulators
from airflow_provider_mendix.transfers import object_storage_to_mendix
from airflow_provider_mendix.transfers.object_storage_to_mendix import ObjectStorageToMendixOperator

from ..archive.conftest import MIB, Place, transfer
from ..conftest import KEY, TaskInstance, run_task

NAME = "main-2.5.4.9f3ab2c1.mda"
MODES = {
    "worker": {"deferrable": False},
    "deferred": {"deferrable": True},
    "not waiting": {"wait_for_completion": False},
}


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def upload(place: Place, **changes: Any) -> ObjectStorageToMendixOperator:
    arguments = {
        "app_id": "shop",
        "source": place.url,
        "source_conn_id": place.conn_id,
        "deferrable": False,
        **changes,
    }
    return ObjectStorageToMendixOperator(task_id="upload", **arguments)


@pytest.fixture
def logged(caplog, capsys) -> Callable[[], str]:
    """What was logged: Airflow writes the log of an operator elsewhere than that of a module."""
    caplog.set_level("INFO")
    return lambda: caplog.text + "".join(capsys.readouterr())


@pytest.fixture
def archived_place(package_id, place, context) -> Place:
    """An archived package that is still in Mendix."""
    transfer(package_id, place).execute(context)
    return place


@pytest.fixture
def lost(archived_place, package_id, platform) -> Place:
    """An archived package that Mendix has no more."""
    del platform.packages[package_id]
    platform.journal.clear()
    return archived_place


@pytest.fixture
def local_lost(local, package_id, platform, context) -> Place:
    """The same, in a directory: for what does not depend on the store."""
    place = local()
    transfer(package_id, place).execute(context)
    del platform.packages[package_id]
    platform.journal.clear()
    return place


def uploads(platform) -> list[Any]:
    return platform.journal.requests("POST", "/packages/upload")


@pytest.mark.parametrize("mode", MODES)
def test_round_trip(mode, package_id, place, places, platform, context, clock):
    original = platform.packages.content(package_id)
    first = transfer(package_id, place).execute(context)
    del platform.packages[package_id]

    again = run_task(upload(place, source=first["url"], **MODES[mode]), context)

    assert again != package_id
    (request,) = uploads(platform)
    assert request.query == {"name": NAME}
    (job_id,) = platform.packages.jobs
    assert context["ti"].xcoms["mendix_upload"] == {
        "package_id": again,
        "job_id": job_id,
        "sha256": first["sha256"],
        "size": len(original),
        "version": "2.5.4.9f3ab2c1",
        "revision": "9f3ab2c1",
        "source": first["url"],
    }
    clock.sleep(60)
    second = transfer(again, places("again")).execute(context)
    assert second["sha256"] == first["sha256"]
    assert places("again").content() == original == place.content()
    assert places("again").manifest()["version"] == "2.5.4.9f3ab2c1"


def test_it_waits_for_the_job(local_lost, platform, context, clock):
    began = clock.now()
    package_id = upload(local_lost, poll_interval=5).execute(context)
    assert platform.packages.status(package_id) == "Succeeded"
    assert 30 <= clock.now() - began < 40


def test_not_waiting_it_ends_at_once(local_lost, platform, context, clock):
    began = clock.now()
    package_id = upload(local_lost, wait_for_completion=False).execute(context)
    assert platform.packages.status(package_id) == "Uploading"
    assert clock.now() == began


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_job_fails_the_task_and_a_retry_uploads_again(deferrable, local_lost, platform, context):
    platform.packages.next_outcomes.append(BuildOutcome.FAILS_WHILE_UPLOADING)
    with pytest.raises(UploadFailedError, match="ended as Failed. Mendix gives no reason"):
        run_task(upload(local_lost, deferrable=deferrable), context)
    context["ti"].try_number = 2
    package_id = run_task(upload(local_lost, deferrable=deferrable), context)
    assert platform.packages.status(package_id) == "Succeeded"
    assert len(uploads(platform)) == 2


def test_an_unknown_status_means_not_yet(local_lost, platform, context):
    platform.packages.next_outcomes.append(BuildOutcome.UNKNOWN_STATUS)
    assert platform.packages.status(upload(local_lost).execute(context)) == "Succeeded"


def test_the_trigger_holds_no_secret(local_lost, platform, context):
    with pytest.raises(TaskDeferred) as deferred:
        upload(local_lost, deferrable=True).execute(context)
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["wait"]["type"] == "UploadWait"
    assert KEY not in json.dumps(arguments)
    assert "releases" not in json.dumps(arguments)


class TestOnce:
    @pytest.mark.parametrize("try_number", [2, 5])
    @pytest.mark.parametrize("fault", [{"kind": "reply_lost"}, {"kind": "bad_gateway", "handled": True}])
    def test_a_lost_reply_makes_no_second_package(self, try_number, fault, local_lost, platform, context, clock):
        kind = fault["kind"]
        more = {name: value for name, value in fault.items() if name != "kind"}
        platform.faults.add(kind, on="upload_package", **more)
        with pytest.raises(MendixError, match=f"may still have processed .* named {NAME} with 3145728 bytes"):
            upload(local_lost).execute(context)
        (package_id,) = platform.packages
        context["ti"].try_number = try_number
        assert upload(local_lost).execute(context) == package_id
        assert platform.packages.status(package_id) == "Succeeded"
        assert list(platform.packages) == [package_id]
        assert context["ti"].xcoms["mendix_upload"]["job_id"] is None

    def test_it_is_found_deferred_too(self, local_lost, platform, context):
        platform.faults.add("reply_lost", on="upload_package")
        with pytest.raises(MendixConnectionError):
            upload(local_lost).execute(context)
        context["ti"].try_number = 2
        package_id = run_task(upload(local_lost, deferrable=True), context)
        assert list(platform.packages) == [package_id]

    def test_a_killed_worker_uploads_once(self, local_lost, platform, context):
        first = upload(local_lost, wait_for_completion=False).execute(context)
        context["ti"] = TaskInstance(try_number=2)
        assert upload(local_lost).execute(context) == first

    def test_of_two_the_older_one_is_taken(self, local_lost, platform, context, clock, logged):
        first = upload(local_lost).execute(context)
        context["ti"] = TaskInstance()
        clock.sleep(1)
        second = upload(local_lost).execute(context)
        context["ti"] = TaskInstance(try_number=2)
        assert upload(local_lost).execute(context) == first != second
        assert f"There are more of them, which no task waits for: {second}." in logged()

    def test_a_cleared_run_still_finds_it(self, local_lost, platform, context, clock):
        """Clearing a run that is over lets it begin anew, but it was due when it was."""
        context["dag_run"].run_after = pendulum.from_timestamp(clock.now())
        first = upload(local_lost).execute(context)
        clock.sleep(3600)
        context["dag_run"].start_date = pendulum.from_timestamp(clock.now())
        context["ti"] = TaskInstance(try_number=2)
        assert upload(local_lost).execute(context) == first

    def test_the_first_try_takes_no_upload_of_others(self, local_lost, platform, context):
        first = upload(local_lost).execute(context)
        assert upload(local_lost).execute(context) != first

    @pytest.mark.parametrize(
        "change",
        [
            lambda package: setattr(package, "name", "another.mda"),
            lambda package: setattr(package, "size", package.size + 1),
            lambda package: setattr(package, "created_at", package.created_at - 3600),
            lambda package: setattr(package, "steps", [("Failed", float("inf"))]),
        ],
    )
    def test_another_package_is_not_taken(self, change, local_lost, platform, context):
        first = upload(local_lost).execute(context)
        change(platform.packages[first])
        context["ti"].try_number = 2
        assert upload(local_lost).execute(context) != first

    def test_a_size_that_is_no_number_of_bytes_says_nothing(self, local_lost, platform, context):
        first = upload(local_lost).execute(context)
        platform.faults.add("float_size", times=None)
        context["ti"].try_number = 2
        assert upload(local_lost).execute(context) == first

    def test_an_upload_that_breaks_off_makes_no_package(self, local_lost, platform, context, monkeypatch):
        whole = simulators._Handler.do_POST

        def reset(handler):
            handler.rfile.read(MIB)
            handler._hang_up(reset=True)

        monkeypatch.setattr(simulators._Handler, "do_POST", reset)
        with pytest.raises(MendixConnectionError):
            upload(local_lost).execute(context)
        assert platform.packages == {}
        monkeypatch.setattr(simulators._Handler, "do_POST", whole)
        context["ti"].try_number = 2
        assert platform.packages.status(upload(local_lost).execute(context)) == "Succeeded"
        assert len(platform.packages) == 1

    def test_a_reset_is_not_repeated(self, local_lost, platform, context):
        platform.faults.add("connection_reset", on="upload_package", times=None)
        with pytest.raises(MendixConnectionError):
            upload(local_lost).execute(context)
        assert len(uploads(platform)) == 1


class TestNothingIsSent:
    def refused(self, operator, context, platform, kind, match):
        with pytest.raises(AirflowFailException, match=match) as raised:
            operator.execute(context)
        assert type(raised.value.__context__) is kind
        assert not platform.journal

    def test_a_flipped_bit(self, lost, platform, context):
        lost.put(flipped(lost.content()))
        self.refused(upload(lost), context, platform, DamagedArchiveError, "is not right: its SHA-256 is")

    def test_an_object_of_another_size(self, lost, platform, context):
        lost.put(lost.content()[:-1])
        self.refused(
            upload(lost),
            context,
            platform,
            DamagedArchiveError,
            "it has 3145727 bytes, but its manifest says 3145728",
        )

    def test_no_object(self, place, server, platform, context):
        self.refused(upload(place), context, platform, NotArchivedError, "There is no object")

    def test_no_manifest(self, lost, platform, context):
        lost.manifest_path.unlink()
        self.refused(upload(lost), context, platform, NotArchivedError, "set require_manifest=False")

    @pytest.mark.parametrize("manifest", [b"{}", b"", b"[" * 2000, {"complete": True}])
    def test_a_manifest_that_says_nothing(self, manifest, local_lost, platform, context):
        local_lost.put_manifest(manifest)
        self.refused(upload(local_lost), context, platform, NotArchivedError, "no complete manifest")

    def test_an_unfinished_manifest(self, local_lost, platform, context):
        local_lost.put_manifest({**local_lost.manifest(), "complete": False})
        self.refused(upload(local_lost), context, platform, NotArchivedError, "no complete manifest")

    @pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all"])
    @pytest.mark.parametrize("require_manifest", [False, True])
    def test_no_zip(self, content, require_manifest, local_lost, platform, context):
        manifest = local_lost.manifest()
        digest = hashlib.sha256(content).hexdigest()
        local_lost.put(content, {**manifest, "size": len(content), "sha256": digest})
        operator = upload(local_lost, require_manifest=require_manifest)
        self.refused(operator, context, platform, DamagedArchiveError, "it is no whole zip")

    def test_more_than_mendix_takes(self, local, server, platform, context):
        place = local()
        place.put(b"")
        with open(place.path.path, "wb") as file:
            file.truncate(2**30 + 1)
        self.refused(
            upload(place, require_manifest=False),
            context,
            platform,
            InvalidInputError,
            r"has 1073741825 bytes, and Mendix takes no file above 1 GB \(1073741824 bytes\)",
        )

    @pytest.mark.parametrize("source", ["", None, "s3://releases/", "{{ url }}", 7])
    def test_a_source_that_is_none(self, source, local, server, platform, context):
        self.refused(
            upload(local(), source=source),
            context,
            platform,
            InvalidInputError,
            "does not name an object|source is empty",
        )

    @pytest.mark.parametrize("source", ["file:///tmp/x.mda\n", " file:///tmp/x.mda", "file:///tmp/\0.mda"])
    def test_a_source_that_no_path_can_have(self, source, local, server, platform, context):
        self.refused(upload(local(), source=source), context, platform, InvalidInputError, "cannot be used")

    @pytest.mark.parametrize("name", ["", "a/b.mda", "{{ name }}"])
    def test_a_name_that_is_none(self, name, local_lost, platform, context):
        self.refused(
            upload(local_lost, name=name), context, platform, InvalidInputError, "^InvalidInputError: name"
        )

    def test_a_bad_app(self, local_lost, platform, context):
        self.refused(upload(local_lost, app_id="Web Shop"), context, platform, InvalidInputError, "app_id")


class TestRefusedByMendix:
    def test_a_refused_key_shows_before_the_file_is_sent(self, local_lost, platform, context):
        platform.permissions.set_api_key("ana@example.com", "another-key")
        with pytest.raises(AirflowFailException, match="UnauthorizedError"):
            upload(local_lost).execute(context)
        assert uploads(platform) == []

    def test_an_app_that_is_not_there(self, local_lost, platform, context):
        with pytest.raises(AirflowFailException):
            upload(local_lost, app_id="nope").execute(context)
        assert uploads(platform) == []


def test_an_object_that_changes_after_the_check_makes_no_package(local_lost, platform, context):
    answer = platform.handle
    before = local_lost.content()

    def handle(request):
        if request.method == "GET":
            with open(local_lost.path.path, "wb") as file:
                file.write(flipped(before))
        return answer(request)

    platform.handle = handle
    with pytest.raises(AirflowFailException, match="has changed since it was checked"):
        upload(local_lost).execute(context)
    assert platform.packages == {}
    assert uploads(platform) == []


def test_without_a_manifest_the_object_gives_the_name(local_lost, platform, context, logged):
    local_lost.manifest_path.unlink()
    package_id = upload(local_lost, require_manifest=False).execute(context)
    assert platform.packages[package_id].name == "2.5.4.mda"
    assert "cannot be compared with what was built" in logged()


def test_a_manifest_counts_also_where_none_is_required(local_lost, platform, context):
    local_lost.put(flipped(local_lost.content()))
    with pytest.raises(AirflowFailException, match="its manifest says"):
        upload(local_lost, require_manifest=False).execute(context)


def test_to_another_app_and_by_another_name(local_lost, platform, context, logged):
    platform.add_app("plan")
    package_id = upload(local_lost, app_id="plan", name="release 7.mda").execute(context)
    package = platform.packages[package_id]
    assert (package.app_id, package.name) == ("plan", "release 7.mda")
    assert re.search(r"is package \S+ of app shop; uploading it to app plan\.", logged())


def test_everything_a_user_would_template_is_templated(local_lost, platform, context):
    operator = upload(
        local_lost, app_id="{{ app }}", source="{{ url }}", name="{{ name }}", mendix_conn_id="{{ conn }}"
    )
    values = {"app": "shop", "url": local_lost.url, "name": "x.mda", "conn": "mendix_default"}
    operator.render_template_fields(values)
    assert platform.packages[operator.execute(context)].name == "x.mda"


def test_the_doubtful_sizes_get_a_warning(local_lost, platform, context, logged, monkeypatch):
    monkeypatch.setattr(object_storage_to_mendix, "CERTAIN_SIZE", MIB)
    upload(local_lost).execute(context)
    assert "does not say whether that is" in logged()


def test_memory_does_not_grow_with_the_file(local, platform, server, context, monkeypatch):
    """The simulator would keep the file in this same process, so this host throws away what it gets."""
    platform.packages.default_size = 64 * MIB
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    place = local()
    transfer(package_id, place).execute(context)
    got = []

    def throw_away(handler):
        left = int(handler.headers["Content-Length"])
        buffer = bytearray(64 * 1024)
        while left:
            left -= handler.rfile.readinto(memoryview(buffer)[: min(left, len(buffer))])
        got.append(int(handler.headers["Content-Length"]))
        said = b'{"PackageId": "p", "JobId": "j"}'
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    monkeypatch.setattr(simulators._Handler, "do_POST", throw_away)
    operator = upload(place, wait_for_completion=False)
    tracemalloc.start()
    try:
        operator.execute(context)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got[0] > 64 * MIB
    assert peak < 16 * MIB
