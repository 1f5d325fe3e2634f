"""Whatever a store refuses, and whenever: the right object with its manifest, or what was there before."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest

from .conftest import BOTH, SIZE, transfer
from .hosts import cut

OLD = b"the release of last week"


class Calls:
    """Counts calls to S3, and lets one of them fail, before or after it has been carried out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.failing = 0
        self.carried_out = False
        from aiobotocore.client import AioBaseClient

        call = AioBaseClient._make_api_call

        async def counted(client, operation, parameters):
            self.names.append(operation)
            if len(self.names) != self.failing:
                return await call(client, operation, parameters)
            if self.carried_out:
                await call(client, operation, parameters)
            raise OSError(errno.EIO, f"{operation} fails")

        monkeypatch.setattr(AioBaseClient, "_make_api_call", counted)

    def fail(self, number: int, *, carried_out: bool) -> None:
        self.names, self.failing, self.carried_out = [], number, carried_out


@pytest.mark.parametrize("carried_out", [False, True], ids=["refused", "answer lost"])
def test_any_call_to_s3_may_fail(carried_out, package_id, s3, platform, context, monkeypatch):
    calls = Calls(monkeypatch)
    transfer(package_id, s3("healthy")).execute(context)
    names = calls.names
    assert {"UploadPart", "CompleteMultipartUpload", "PutObject", "ListMultipartUploads"} <= set(names)
    for number in range(1, len(names) + 1):
        place = s3(f"failing-{number}")
        calls.fail(number, carried_out=carried_out)
        try:
            transfer(package_id, place).execute(context)
            passed = True
        except OSError:
            passed = False
        calls.fail(0, carried_out=False)
        if passed:
            assert place.is_archived(platform, package_id), names[number - 1]
        elif BOTH[0] in place.objects():
            assert place.content() == platform.content(package_id)
        else:
            # Of an upload whose id never arrived, only the next try knows how to get rid.
            assert place.is_empty() or names[number - 1] == "CreateMultipartUpload"
        transfer(package_id, place).execute(context)
        assert place.is_archived(platform, package_id), names[number - 1]


def test_a_lost_answer_to_the_commit_is_no_failure(package_id, s3, platform, context, monkeypatch):
    calls = Calls(monkeypatch)
    transfer(package_id, s3("healthy")).execute(context)
    calls.fail(calls.names.index("CompleteMultipartUpload") + 1, carried_out=True)
    assert transfer(package_id, s3()).execute(context)["stored"] is True
    assert s3().is_archived(platform, package_id)


@pytest.mark.parametrize("call", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
def test_what_a_refused_upload_would_have_replaced_stays(call, package_id, s3, context, monkeypatch):
    place = s3()
    place.put(OLD, manifest=b"{}")
    calls = Calls(monkeypatch)
    transfer(package_id, s3("healthy"), if_object_exists="replace").execute(context)
    # Looking at an object that is there takes one call less than at one that is not.
    calls_of_looking = 1
    first = calls.names.index(call) + 1
    for number in (first - calls_of_looking, first, first + calls_of_looking):
        calls.fail(number, carried_out=False)
        try:
            transfer(package_id, place, if_object_exists="replace").execute(context)
        except OSError:
            assert place.content() == OLD
            assert place.manifest() == {}
        calls.fail(0, carried_out=False)


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize("old", [None, OLD])
def test_a_disk_that_fails(function, old, package_id, local, context, monkeypatch):
    place = local()
    if old:
        place.put(old, manifest=b"{}")
    real = getattr(os, function)
    where = {"fsync": lambda args: os.readlink(f"/proc/self/fd/{args[0]}"), "replace": lambda args: str(args[1])}

    def fail(*args):
        if ".manifest.json" in where[function](args):
            return real(*args)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, function, fail)
        with pytest.raises(OSError, match="No space left"):
            transfer(package_id, place, if_object_exists="replace").execute(context)
    assert place.objects() == (BOTH if old else [])
    if old:
        assert place.content() == old
        assert place.manifest() == {}


def test_another_try_that_is_faster_is_no_failure(package_id, place, platform, host, context):
    """Two workers bring the same package; the slow one finds its upload swept away, and the object there."""
    done = []
    faster = {**context, "ti": replace(context["ti"], try_number=2)}

    def overtaken(reply):
        if not done:
            done.append(True)
            done.append(transfer(package_id, place).execute(faster))
        return reply

    host.then(cut(SIZE - 10), overtaken)
    result = transfer(package_id, place).execute(context)
    assert done[1]["stored"] is True
    assert result["sha256"] == platform.sha256(package_id)
    assert place.is_archived(platform, package_id)
