"""A snapshot's archive in object storage: whole or absent, one archive for one intent, and its link a secret."""

from __future__ import annotations

import gzip
import json
import random
import threading

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_mendix.exceptions import (
    BackupFailedError,
    DamagedFileError,
    DownloadError,
    NotFoundError,
    WaitTimeoutError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.transfers.mendix_backup_to_object_storage import MendixBackupToObjectStorageOperator

from ..archive.conftest import BOTH, NAME, Place
from ..archive.hosts import both, cut, says, with_body, with_headers
from ..archive.test_download import OldHost
from ..conftest import run_task, run_trigger
from ..deploying import WAITING_MODES, KilledError, die_after, put, retry

UNKNOWN_ID = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
NOTE = f"{NAME}.archive.json"


@pytest.fixture
def snapshot_id(platform, server, clock) -> str:
    """A completed snapshot of an environment with some data."""
    put(platform, running=True)
    platform.environments["shop", "Test"].data = random.Random(1).randbytes(300_000).hex()
    found = back_up()
    clock.sleep(600)
    platform.journal.clear()
    return found


def back_up() -> str:
    return MendixHook().create_snapshot("shop", "Test", comment="by hand").snapshot_id


def keep(snapshot_id: str, place: Place, **changes) -> MendixBackupToObjectStorageOperator:
    values = {"app_id": "shop", "environment": "Test", "destination": place.url, **changes}
    return MendixBackupToObjectStorageOperator(
        task_id="keep",
        snapshot_id=snapshot_id,
        destination_conn_id=place.conn_id,
        fast_path=place.fast_path,
        **values,
    )


def content(platform) -> bytes:
    (archive,) = platform.backups.archives.values()
    return archive.content()


class TestStored:
    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_the_archive_is_made_and_stored(self, mode, snapshot_id, place, platform, context):
        result = run_task(keep(snapshot_id, place, **mode), context)

        assert place.objects() == BOTH
        assert place.uploads() == []
        assert place.content() == content(platform)
        manifest = place.manifest()
        assert result == {
            "snapshot_id": snapshot_id,
            "data_type": "files_and_database",
            "app_id": "shop",
            "environment": "Test",
            "model_version": "1.0.0.9f3ab2c1",
            "url": str(place.path),
            "manifest": f"{place.path}.manifest.json",
            "size": len(place.content()),
            "sha256": manifest["sha256"],
            "stored": True,
        }
        assert {name: manifest[name] for name in ("complete", "object", "comment", "environment_id", "task")} == {
            "complete": True,
            "object": NAME,
            "comment": "by hand",
            "environment_id": platform.environments["shop", "Test"].environment_id,
            "task": {
                "dag_id": "release",
                "run_id": "manual__2023-11-14",
                "task_id": "build",
                "map_index": -1,
                "try": 1,
            },
        }
        assert manifest["verification"] == {"size_of_host": True, "sha256_of_host": False, "gzip_contents": True}

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_the_database_alone(self, mode, snapshot_id, local, platform, context):
        result = run_task(keep(snapshot_id, local(), data_type="database_only", **mode), context)
        assert result["data_type"] == "database_only"
        assert local().content().startswith(b"PGDMP")
        assert local().content() == content(platform)
        assert local().manifest()["verification"]["gzip_contents"] is False

    def test_what_is_there_is_not_stored_again(self, snapshot_id, place, platform, context):
        first = run_task(keep(snapshot_id, place), context)
        retry(context)
        assert run_task(keep(snapshot_id, place), context) == {**first, "stored": False}
        assert len(platform.backups.archives) == 1

    def test_the_snapshot_fills_the_destination(self, snapshot_id, local, context, tmp_path):
        destination = f"file://{tmp_path}/{{app_id}}/{{environment}}/{{created}}-{{version}}-{{data_type}}.tar.gz"
        result = run_task(keep(snapshot_id, local(), destination=destination), context)
        named = "shop/Test/2023-11-14T22-13-20Z-1.0.0.9f3ab2c1-files_and_database.tar.gz"
        assert result["url"].endswith(f"{tmp_path}/{named}")

    def test_everything_a_user_would_template_is_templated(self, snapshot_id, local, context):
        operator = keep("{{ snapshot }}", local(), app_id="{{ app }}", data_type="{{ data }}")
        operator.render_template_fields(
            {**context, "snapshot": snapshot_id, "app": "shop", "data": "database_only"}
        )
        assert run_task(operator, context)["snapshot_id"] == snapshot_id

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_the_link_is_shown_nowhere(self, mode, snapshot_id, local, host, platform, context, caplog):
        caplog.set_level("DEBUG")
        shown = ""
        host.then(cut(100_000), says(403))
        operator = keep(snapshot_id, local(), **mode)
        try:
            result = operator.execute(context)
        except TaskDeferred as deferred:
            shown = repr(deferred.trigger.serialize())
            result = run_task(operator, context)
        assert {"expires", "signature"} <= set(host.requests[0].query)
        shown += caplog.text + json.dumps([result, context["ti"].xcoms], default=str)
        assert "signature=" not in shown
        assert b"signature" not in local().manifest_path.read_bytes()


class TestOneIntentOneArchive:
    @pytest.mark.parametrize("requests", range(1, 9))
    def test_a_try_that_is_killed_is_continued(self, requests, snapshot_id, place, platform, context, monkeypatch):
        with monkeypatch.context() as patch:
            die_after(patch, requests)
            with pytest.raises(KilledError):
                run_task(keep(snapshot_id, place, deferrable=False), context)
        retry(context)
        run_task(keep(snapshot_id, place, deferrable=False), context)
        assert place.objects() == BOTH
        # Between the request and the note of it, nothing can know of the archive.
        assert len(platform.backups.archives) == (2 if requests == 4 else 1)

    def test_a_download_that_fails_is_continued_with_the_same_archive(
        self, snapshot_id, local, host, platform, context
    ):
        host.always(says(500))
        with pytest.raises(DownloadError):
            run_task(keep(snapshot_id, local(), outage_tolerance=60), context)
        assert local().objects() == [NOTE]
        host.always(lambda reply: reply)
        retry(context)
        run_task(keep(snapshot_id, local()), context)
        assert local().objects() == BOTH
        assert len(platform.backups.archives) == 1

    def test_an_archive_that_fails_fails_the_task_and_a_retry_asks_for_another(
        self, snapshot_id, local, platform, context
    ):
        platform.backups.next_archives.append("failed")
        with pytest.raises(BackupFailedError, match="ended as failed: The simulator was asked to fail"):
            run_task(keep(snapshot_id, local(), deferrable=True), context)
        retry(context)
        run_task(keep(snapshot_id, local()), context)
        assert len(platform.backups.archives) == 2
        assert local().objects() == BOTH

    def test_an_archive_whose_links_have_expired_for_good_is_asked_for_again(
        self, snapshot_id, local, platform, context
    ):
        platform.cloud.options = Options(archive_links="once", archive_ttl=1)
        with pytest.raises(DownloadError):
            run_task(keep(snapshot_id, local()), context)
        platform.cloud.options = Options(archive_links="once")
        retry(context)
        run_task(keep(snapshot_id, local()), context)
        assert len(platform.backups.archives) == 2
        assert local().objects() == BOTH

    def test_a_note_of_other_data_is_not_followed(self, snapshot_id, local, host, platform, context):
        host.always(says(500))
        with pytest.raises(DownloadError):
            run_task(keep(snapshot_id, local(), outage_tolerance=60), context)
        host.always(lambda reply: reply)
        run_task(keep(snapshot_id, local(), data_type="database_only"), context)
        assert local().content().startswith(b"PGDMP")

    @pytest.mark.parametrize("note", [b"", b"{", b"[]", b"\xff"])
    def test_a_note_that_cannot_be_read_is_replaced(self, note, snapshot_id, local, context):
        path = local().path.parent / NOTE
        path.parent.mkdir(parents=True)
        path.write_bytes(note)
        run_task(keep(snapshot_id, local()), context)
        assert local().objects() == BOTH

    @pytest.mark.parametrize("code", ["ENVIRONMENT_BUSY", "INVALID_STATE", "SERVICE_UNAVAILABLE"])
    def test_a_refusal_that_passes_is_waited_for(self, code, snapshot_id, local, platform, context):
        platform.backups.next_archives.extend([code] * 2)
        run_task(keep(snapshot_id, local()), context)
        assert len(platform.backups.archives) == 1

    def test_one_that_stays_times_out(self, snapshot_id, local, platform, context):
        platform.backups.next_archives.extend(["ENVIRONMENT_BUSY"] * 99)
        with pytest.raises(WaitTimeoutError, match="archive a snapshot of environment Test.*ENVIRONMENT_BUSY"):
            run_task(keep(snapshot_id, local(), timeout=600), context)


class TestWholeOrAbsent:
    @pytest.mark.parametrize("keeps", [1, 100_000, 150_000])
    def test_a_line_that_breaks_is_continued(self, keeps, snapshot_id, place, host, platform, context):
        host.then(cut(keeps), cut(keeps))
        run_task(keep(snapshot_id, place), context)
        assert place.content() == content(platform)
        assert [part is not None for part in host.ranges] == [False, True, True]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda body: body[:1000] + bytes([body[1000] ^ 1]) + body[1001:], "cannot be unpacked"),
            (lambda body: body[:-8] + bytes([body[-8] ^ 1]) + body[-7:], "cannot be unpacked"),
            (lambda body: body[:-1], "without its end"),
            (lambda body: body[: len(body) // 2], "without its end"),
            (lambda body: body[:3], "without its end"),
            (lambda body: body + b"more", "cannot be unpacked|without its end"),
            (lambda body: b"<!doctype html>", "neither a gzip file nor a dump"),
            (lambda body: b"\x1f", "neither a gzip file nor a dump"),
            (lambda body: b"", "neither a gzip file nor a dump"),
        ],
    )
    def test_what_is_not_right_is_not_stored(self, change, reason, snapshot_id, local, host, context):
        host.always(with_body(change))
        with pytest.raises(DamagedFileError, match=reason):
            run_task(keep(snapshot_id, local()), context)
        assert local().objects() == [NOTE]

    def test_several_members_are_one_file(self, snapshot_id, local, host, context):
        several = b"".join(gzip.compress(bytes([number]) * 400_000) for number in range(5))
        host.always(with_body(lambda _: several))
        run_task(keep(snapshot_id, local()), context)
        assert local().content() == several
        assert local().manifest()["verification"]["gzip_contents"] is True

    @pytest.mark.parametrize("data_type", ["files_and_database", "database_only"])
    def test_without_a_length_only_a_file_that_shows_its_end_is_believed(
        self, data_type, snapshot_id, local, platform, context, monkeypatch
    ):
        backup = keep(snapshot_id, local(), data_type=data_type, deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            backup.execute(context)
        event = run_trigger(deferred.value.trigger)
        old_host = OldHost(content(platform))
        platform.cloud.files_url = old_host.url
        threading.Thread(target=old_host.server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            if data_type == "files_and_database":
                backup.execute_complete(context, event)
                assert local().content() == content(platform)
                assert local().manifest()["verification"]["size_of_host"] is False
            else:
                with pytest.raises(AirflowFailException, match=r"no length.*data_type='files_and_database'"):
                    backup.execute_complete(context, event)
        finally:
            old_host.server.shutdown()
            old_host.server.server_close()

    def test_a_file_that_has_changed_is_read_anew(self, snapshot_id, local, host, context):
        other = gzip.compress(b"other")
        host.then(both(with_headers(ETag='"1"'), cut(1000)), with_body(lambda _: other))
        host.always(with_body(lambda _: other))
        run_task(keep(snapshot_id, local()), context)
        assert local().content() == other


class TestAnotherObject:
    def test_it_fails_the_task_before_an_archive_is_asked_for(self, snapshot_id, local, platform, context):
        local().put(b"other")
        with pytest.raises(AirflowFailException, match="is not known to be files_and_database of snapshot"):
            run_task(keep(snapshot_id, local()), context)
        assert platform.backups.archives == {}

    def test_it_can_be_skipped_or_replaced(self, snapshot_id, local, platform, context):
        local().put(b"other")
        with pytest.raises(AirflowSkipException):
            run_task(keep(snapshot_id, local(), if_object_exists="skip"), context)
        assert local().content() == b"other"
        run_task(keep(snapshot_id, local(), if_object_exists="replace"), context)
        assert local().content() == content(platform)

    def test_the_database_is_not_taken_for_the_whole(self, snapshot_id, local, context):
        run_task(keep(snapshot_id, local(), data_type="database_only"), context)
        with pytest.raises(AirflowFailException, match="its manifest says that it is database_only of snapshot"):
            run_task(keep(snapshot_id, local()), context)


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"data_type": "files"}, "data_type cannot be 'files'. It must be one of: files_and_database"),
            ({"if_object_exists": "overwrite"}, "if_object_exists cannot be 'overwrite'"),
            ({"destination": "backups/x"}, "is relative"),
            ({"destination": "/backups/{branch}"}, r"\{branch\}, which cannot be filled in.*\{snapshot_id\}"),
            ({"app_id": "a b"}, "app_id"),
        ],
    )
    def test_a_wrong_value_is_refused_before_any_request(
        self, changes, reason, snapshot_id, local, platform, context
    ):
        with pytest.raises(AirflowFailException, match=reason):
            run_task(keep(snapshot_id, local(), **changes), context)
        assert not platform.journal

    def test_so_is_an_id_that_is_none(self, local, server, platform, context):
        with pytest.raises(AirflowFailException, match="snapshot_id"):
            run_task(keep("", local()), context)
        assert not platform.journal

    def test_not_to_wait_is_refused_at_parse_time(self, local):
        with pytest.raises(ValueError, match="wait_for_completion must be True"):
            keep(UNKNOWN_ID, local(), wait_for_completion=False)

    def test_a_snapshot_that_is_not_completed(self, snapshot_id, local, platform, context):
        made = back_up()
        with pytest.raises(AirflowFailException, match="is queued, and only one that is completed has an archive"):
            run_task(keep(made, local()), context)
        assert platform.backups.archives == {}

    def test_no_such_snapshot(self, snapshot_id, local, context):
        with pytest.raises((AirflowFailException, NotFoundError), match="no such snapshot, archive or restore"):
            run_task(keep(UNKNOWN_ID, local()), context)

    def test_no_access(self, snapshot_id, local, platform, context):
        platform.permissions.revoke("backups", "shop", "Test")
        with pytest.raises(AirflowFailException, match="Access to Backups"):
            run_task(keep(snapshot_id, local()), context)
