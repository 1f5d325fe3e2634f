"""S3 by both paths: whatever is refused, and whenever, there is the right object, or what was there before."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from contextlib import suppress

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_mendix.archive.stores import background_upload
from airflow_provider_mendix.archive.stores.selection import select_store

from ..conftest import BOTH, MIB, transfer

BIG = 9 * MIB  # two parts
OLD = b"the release of last week"
UPLOAD_CALLS = ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]


@pytest.fixture
def package_id(platform, server):
    platform.packages.default_size = BIG
    return platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")


@pytest.fixture(params=["s3", "s3_fast"])
def places(request):
    """Make places by either path."""
    return request.getfixturevalue(request.param)


def store_at(place):
    return select_store(place.path, fast_path=place.fast_path)


@pytest.mark.parametrize("fate", ["refuse", "lose"])
def test_any_call_may_be_refused_or_its_answer_lost(fate, package_id, wired, wire, platform, context):
    transfer(package_id, wired("healthy")).execute(context)
    assert wire.calls.count("UploadPart") >= 2
    for number in range(1, len(wire.calls) + 1):
        place = wired(f"failing-{number}")
        wire.at(number, fate)
        try:
            transfer(package_id, place).execute(context)
            passed = True
        except OSError:
            passed = False
        name = wire.calls[number - 1]
        wire.forget()
        if passed:
            assert place.manifest()["complete"] is True
            assert place.content() == platform.packages.content(package_id)
        elif BOTH[0] in place.objects():
            assert place.content() == platform.packages.content(package_id)
        else:
            # Only the next try can remove an upload whose id never arrived.
            assert place.is_empty() or name == "CreateMultipartUpload", name
        transfer(package_id, place).execute(context)
        assert place.is_archived(platform, package_id), name


@pytest.mark.parametrize("fate", ["cut", "fail"])
@pytest.mark.parametrize("name", UPLOAD_CALLS)
def test_a_line_that_breaks_once_is_no_failure(name, fate, package_id, wired, wire, platform, context):
    done = []

    def once(called, _):
        if called == name and not done:
            done.append(True)
            return fate
        return None

    wire.before = once
    transfer(package_id, wired()).execute(context)
    assert done
    assert wired().is_archived(platform, package_id)


def test_a_lost_answer_to_the_commit_is_no_failure(package_id, wired, wire, platform, context):
    wire.before = lambda name, _: "lose" if name == "CompleteMultipartUpload" else None
    assert transfer(package_id, wired()).execute(context)["stored"] is True
    wire.forget()
    assert wired().is_archived(platform, package_id)


@pytest.mark.parametrize("call", [*UPLOAD_CALLS, "PutObject"])
def test_what_a_refused_upload_would_have_replaced_stays(call, package_id, wired, wire, context):
    place = wired()
    place.put(OLD, manifest=b"{}")
    wire.before = lambda name, _: "refuse" if name == call else None
    with pytest.raises(PermissionError, match=r"S3 refused .* s3://releases/\S+: HTTP 403 AccessDenied"):
        transfer(package_id, place, if_object_exists="replace").execute(context)
    wire.forget()
    assert place.content() == OLD
    assert place.manifest() == {}
    assert place.uploads() == []


@pytest.fixture
def interrupts():
    """What a process does with SIGINT by itself; a worker of a test run in parallel ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_a_store_that_is_silent_does_not_hold_up_a_signal(wired, wire, monkeypatch):
    monkeypatch.setattr(background_upload, "_ABORT_TIMEOUT", 0.5)
    answers = threading.Event()
    wire.before = lambda name, _: answers.wait(30) and None if name == "UploadPart" else None
    place = wired()

    def chunks():
        for _ in range(1000):
            yield bytes(MIB)

    def interrupt():
        while "UploadPart" not in wire.calls:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        store_at(place).commit(place.path.path, chunks())
    answers.set()
    deadline = time.monotonic() + 20
    while wire.calls[-1] != "AbortMultipartUpload":
        assert time.monotonic() < deadline, wire.calls
        time.sleep(0.1)
    time.sleep(0.2)
    assert "CompleteMultipartUpload" not in wire.calls
    assert place.is_empty()


@pytest.mark.parametrize("size", [0, 1, 7 * MIB, 8 * MIB, BIG])
def test_an_error_in_the_stream_commits_nothing(size, places, tmp_path):
    place = places()

    def chunks():
        for _ in range(0, size, MIB):
            yield bytes(MIB)
        raise ValueError("the file is damaged")

    with pytest.raises(ValueError, match="the file is damaged"):
        store_at(place).commit(place.path.path, chunks())
    assert place.is_empty()


@pytest.mark.parametrize("name", ["a b+c=@,(d).mda", "ü-漢.mda", "a%20b#*~.mda", " lead", ".hidden"])
def test_keys_are_not_changed(name, places, tmp_path):
    place = places()
    path = ObjectStoragePath(f"s3://releases/{tmp_path.name}/{name}", conn_id="s3")
    store = select_store(path, fast_path=place.fast_path)
    store.commit(path.path, [b"x"])
    assert store.find(path.path).size == 1
    assert b"".join(store.read(path.path)) == b"x"
    assert path.read_bytes() == b"x"
    assert store.list(f"releases/{tmp_path.name}") == {path.path: 1}


def test_a_response_that_breaks_off_is_read_again(wired, wire):
    place = wired()
    content = random.Random(1).randbytes(20 * MIB)
    place.put(content)
    wire.forget()
    broken = []

    def once(name, _):
        if name == "GetObject" and len(broken) < 2:
            broken.append(name)
            return "break"
        return None

    wire.before = once
    digest = hashlib.sha256()
    for chunk in store_at(place).read(place.path.path):
        digest.update(chunk)
    assert digest.digest() == hashlib.sha256(content).digest()
    assert wire.calls.count("GetObject") == 3


def test_only_what_killed_runs_left_of_this_object_is_swept(s3):
    place = s3()
    fs, bucket, key = place.path.fs, *place.path.path.split("/", 1)
    for unfinished in (key, key, f"{key}.sig", f"{key}x"):
        fs.call_s3("create_multipart_upload", Bucket=bucket, Key=unfinished)
    store_at(place).sweep(place.path.path)
    assert sorted(set(place.uploads())) == [f"{key}.sig", f"{key}x"]
    for upload in fs.call_s3("list_multipart_uploads", Bucket=bucket)["Uploads"]:
        fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def test_reading_opens_no_upload(s3_fast, wired, wire, package_id, context):
    """A path that only reads needs no right to write and no `obstore`."""
    place = wired()
    transfer(package_id, place).execute(context)
    wire.forget()
    store = store_at(place)
    store.find(place.path.path)
    b"".join(store.read(place.path.path))
    store.list(place.path.parent.path)
    assert {name for name in wire.calls if not name.startswith(("Head", "List", "Get"))} == set()


class TestNoOverwriting:
    """A store that lets nothing be written twice, and nothing be deleted."""

    @pytest.fixture
    def forbid(self, wire):
        def before(name, number):
            path = wire.paths[number - 1]
            if name == "DeleteObject" or (name in ("PutObject", "CreateMultipartUpload") and path in written):
                return "refuse"
            if name in ("PutObject", "CompleteMultipartUpload"):
                written.add(path)
            return None

        written = set()
        wire.before = before
        return written

    def test_an_archive_is_complete(self, forbid, package_id, wired, platform, context):
        assert transfer(package_id, wired()).execute(context)["stored"] is True
        assert wired().manifest()["complete"] is True
        assert wired().content() == platform.packages.content(package_id)
        assert transfer(package_id, wired()).execute(context)["stored"] is False

    @pytest.mark.parametrize("call", ["CreateMultipartUpload", "CompleteMultipartUpload", "PutObject"])
    def test_a_retry_makes_it_complete(self, call, forbid, package_id, wired, wire, platform, context):
        before, failed = wire.before, []

        def once(name, number):
            if name == call and (call != "PutObject" or "manifest" in wire.paths[number - 1]) and len(failed) < 2:
                failed.append(name)
                return "refuse"
            return before(name, number)

        wire.before = once
        for _ in range(2):
            with suppress(PermissionError):
                transfer(package_id, wired()).execute(context)
        transfer(package_id, wired()).execute(context)
        assert failed
        assert wired().manifest()["complete"] is True
        assert wired().content() == platform.packages.content(package_id)


@pytest.mark.parametrize("which", ["pending.json", "manifest.json", ""])
def test_a_store_that_keeps_the_framing_of_a_manifest_is_found_out(which, package_id, wired, wire, context):
    """Servers that are only like S3 may store the checksums of new clients with the bytes."""
    wire.before = lambda name, number: (
        "frame" if name == "PutObject" and wire.paths[number - 1].endswith(which) else None
    )
    with pytest.raises(
        AirflowFailException, match="DamagedArchiveError.*request_checksum_calculation.*when_required"
    ):
        transfer(package_id, wired()).execute(context)
    wire.forget()
    if which != "manifest.json":
        assert wired().is_empty()
