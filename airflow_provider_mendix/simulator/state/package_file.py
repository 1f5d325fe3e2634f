"""The files of built packages: real zip files, made when they are asked for."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile

import msgspec


@functools.lru_cache(maxsize=16)
def mda(package_id: str, size: int) -> bytes:
    """Return the file of a package: a valid zip of ``size`` bytes, the same every time for the same package."""
    filler = hashlib.shake_256(package_id.encode()).digest(max(0, size - _overhead(package_id)))
    return _archive(package_id, filler)


def mda_size(package_id: str, size: int) -> int:
    """Return the length of that file: ``size``, or more if no zip is that small."""
    return max(size, _overhead(package_id))


@functools.lru_cache(maxsize=16)
def _overhead(package_id: str) -> int:
    return len(_archive(package_id, b""))


def _archive(package_id: str, filler: bytes) -> bytes:
    entries = {
        "model/metadata.json": msgspec.json.encode({"PackageId": package_id, "MadeBy": "simulator"}),
        "web/index.html": b"<!doctype html><title>Simulated</title>\n",
        "model/model.mdp": filler,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, body in entries.items():
            # A fixed date: the file must not depend on when it is made.
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), body)
    return buffer.getvalue()
