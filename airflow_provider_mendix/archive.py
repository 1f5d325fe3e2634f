"""Whole or absent: a package's file gets its final name only when all of it is there and checked."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from airflow_provider_mendix.api.errors import DownloadError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.api.clients import Download

_PROGRESS_EVERY = 64 * 1024 * 1024

log = logging.getLogger(__name__)


class Archived(msgspec.Struct, frozen=True):
    """What was stored.

    :param size: bytes.
    :param sha256: hexadecimal digest of these bytes.
    """

    size: int
    sha256: str


def store(package: Package, download: Download, destination: ObjectStoragePath) -> Archived:
    """Stream a file to its destination in constant memory, hashing it on the way.

    :raises DownloadError: if the file is not as long as the host or Mendix said; then nothing is stored.
    """
    digest = hashlib.sha256()
    size = 0
    with whole_or_absent(destination) as write:
        for chunk in download:
            digest.update(chunk)
            write(chunk)
            if (size + len(chunk)) // _PROGRESS_EVERY > size // _PROGRESS_EVERY:
                log.info("Stored %s of %s bytes.", size + len(chunk), download.size or "an unknown number of")
            size += len(chunk)
        _check_size(package, size)
    return Archived(size, digest.hexdigest())


@contextmanager
def whole_or_absent(destination: ObjectStoragePath) -> Iterator[Callable[[bytes], object]]:
    """Write a file so that it appears under its name at the end of the block, or not at all."""
    opened = _open_beside if destination.protocol in ("", "file", "local") else _open_uncommitted
    with opened(destination) as file:
        yield file.write


@contextmanager
def _open_beside(destination: ObjectStoragePath) -> Iterator[BinaryIO]:
    """The temporary file is in the same directory, because a rename is atomic only within a file system."""
    final = Path(destination.path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _open_uncommitted(destination: ObjectStoragePath) -> Iterator[BinaryIO]:
    """Object stores show an upload once it is committed; a plain ``with open()`` commits even a broken one."""
    file: Any = destination.fs.open(destination.path, "wb", autocommit=False)
    try:
        yield cast(BinaryIO, file)
        file.close()
        file.commit()
    except BaseException:
        with suppress(Exception):
            file.discard()
        # The file's own finaliser would flush what is left, and so commit it.
        file.closed = True
        raise


def _check_size(package: Package, size: int) -> None:
    if isinstance(package.size, int) and package.size != size:
        raise DownloadError(
            f"Package {package.package_id} has {package.size} bytes by Mendix's word, but {size} arrived."
            " Nothing was stored."
        )
