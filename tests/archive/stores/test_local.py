"""Files: the right object with its manifest, or what was there before."""

from __future__ import annotations

import errno
import os

import pytest

from ..conftest import BOTH, transfer

OLD = b"the release of last week"


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
