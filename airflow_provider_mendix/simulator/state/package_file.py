"""The files of built packages: real zip files, made when they are asked for."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile

import msgspec

METADATA = "model/metadata.json"


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a package says about itself. That real packages have these keys is known from the vendor's buildpack.

    :param model_version: four parts.
    """

    runtime_version: str | None = None
    model_version: str | None = None
    java_version: str | None = None
    project_id: str | None = msgspec.field(default=None, name="ProjectID")
    project_name: str | None = None


_UNKNOWN = Metadata()


@functools.lru_cache(maxsize=16)
def mda(package_id: str, size: int, metadata: Metadata = _UNKNOWN) -> bytes:
    """Return the file of a package: a valid zip of ``size`` bytes, the same every time for the same package."""
    filler = hashlib.shake_256(package_id.encode()).digest(max(0, size - _overhead(package_id, metadata)))
    return _archive(package_id, metadata, filler)


def mda_size(package_id: str, size: int, metadata: Metadata = _UNKNOWN) -> int:
    """Return the length of that file: ``size``, or more if no zip is that small."""
    return max(size, _overhead(package_id, metadata))


def read_metadata(content: bytes) -> Metadata:
    """Return the metadata of the file of a package; without values if it has none that can be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return msgspec.json.decode(archive.read(METADATA), type=Metadata)
    except (zipfile.BadZipFile, KeyError, RuntimeError, msgspec.MsgspecError, UnicodeDecodeError):
        return _UNKNOWN


@functools.lru_cache(maxsize=16)
def _overhead(package_id: str, metadata: Metadata) -> int:
    return len(_archive(package_id, metadata, b""))


def _archive(package_id: str, metadata: Metadata, filler: bytes) -> bytes:
    described = {**msgspec.to_builtins(metadata), "PackageId": package_id, "MadeBy": "simulator"}
    entries = {
        METADATA: msgspec.json.encode(described),
        "web/index.html": b"<!doctype html><title>Simulated</title>\n",
        "model/model.mdp": filler,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, body in entries.items():
            # A fixed date: the file must not depend on when it is made.
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), body)
    return buffer.getvalue()
