"""Where objects are kept: an object appears under its name when all of it is there, or not at all."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

CHUNK = 1024 * 1024
_PART = 16 * 1024 * 1024

log = logging.getLogger(__name__)


class Stored(msgspec.Struct, frozen=True):
    """An object that is there.

    :param size: bytes.
    :param mark: differs when the object has been written again.
    """

    size: int
    mark: str


class Store(Protocol):
    """A place for objects, by their paths."""

    def find(self, path: str) -> Stored | None:
        """Look at an object."""

    def read(self, path: str) -> Iterator[bytes]:
        """Give the bytes of an object."""

    def commit(self, path: str, pieces: Iterable[bytes]) -> None:
        """Make an object of all pieces, when there are no more; if anything raises before, there is none.

        An older object of that name stays until then.
        """

    def put(self, path: str, content: bytes) -> None:
        """Make a small object."""

    def remove(self, path: str) -> None:
        """Take an object away, if it is there."""

    def sweep(self, path: str) -> None:
        """Take away what killed runs have left of unfinished objects of exactly this name."""


def store_of(destination: ObjectStoragePath, *, fast_path: bool = True) -> Store:
    """Find the store that a destination is in, and the best way to it.

    :param fast_path: whether S3 may be reached by way of `obstore`.
    """
    if destination.protocol in ("", "file", "local"):
        return LocalStore()
    if fast_path and destination.protocol in ("s3", "s3a", "s3n"):
        # Loaded here, because it builds on this module.
        from airflow_provider_mendix.archive.stores.fast_s3 import fast_store_of

        return fast_store_of(destination) or RemoteStore(destination.fs)
    return RemoteStore(destination.fs)


class LocalStore:
    """Files of this machine.

    An unfinished one is beside its final name, because a rename is atomic only within a file system.
    """

    def find(self, path: str) -> Stored | None:
        try:
            found = Path(path).stat()
        except FileNotFoundError:
            return None
        return Stored(found.st_size, f"{found.st_ino} {found.st_mtime_ns}")

    def read(self, path: str) -> Iterator[bytes]:
        with Path(path).open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece

    def commit(self, path: str, pieces: Iterable[bytes]) -> None:
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}.part")
        try:
            with temporary.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)
        directory = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def put(self, path: str, content: bytes) -> None:
        self.commit(path, [content])

    def remove(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)

    def sweep(self, path: str) -> None:
        final = Path(path)
        ours = re.compile(rf"\.{re.escape(final.name)}\.[0-9a-f]{{32}}\.part")
        for found in final.parent.iterdir():
            if ours.fullmatch(found.name):
                log.info("Removing %s, which a killed run has left.", found)
                found.unlink(missing_ok=True)


class RemoteStore:
    """Whatever has an `fsspec` file system."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def find(self, path: str) -> Stored | None:
        self._fs.invalidate_cache()
        try:
            found = self._fs.info(path)
        except FileNotFoundError:
            return None
        if found["type"] != "file":
            return None
        return Stored(found["size"], repr(sorted((name, str(value)) for name, value in found.items())))

    def read(self, path: str) -> Iterator[bytes]:
        with self._fs.open(path, "rb", block_size=_PART) as file:
            while piece := file.read(CHUNK):
                yield piece

    def commit(self, path: str, pieces: Iterable[bytes]) -> None:
        """A plain ``with open()`` would commit even what an error cut off."""
        file = self._fs.open(path, "wb", autocommit=False, block_size=_PART)
        try:
            for piece in pieces:
                file.write(piece)
            file.close()
            file.commit()
        except BaseException:
            with suppress(Exception):
                file.discard()
            # The file's own finaliser would flush what is left, and so commit it.
            file.closed = True
            raise

    def put(self, path: str, content: bytes) -> None:
        self._fs.pipe_file(path, content)

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def sweep(self, path: str) -> None:
        """Only S3 keeps unfinished uploads for ever, and only there can they be listed."""
        if not hasattr(self._fs, "call_s3"):
            return
        bucket, key, _ = self._fs.split_path(path)
        for upload in self._uploads(bucket, key):
            upload_id = upload["UploadId"]
            log.info("Aborting upload %s of %s, which a killed run has left.", upload_id, key)
            with suppress(FileNotFoundError):
                self._fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload_id)

    def _uploads(self, bucket: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        where: dict[str, str] = {}
        while True:
            page = self._fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key, **where)
            found += [upload for upload in page.get("Uploads", []) if upload["Key"] == key]
            if not page.get("IsTruncated"):
                return found
            where = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
