"""An archived file, read back: nothing goes anywhere, and nothing is deleted, on the word of a manifest alone."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_mendix.archive.manifest import LONGEST, SUFFIX, Manifest, read_manifest
from airflow_provider_mendix.archive.stores.base import Store
from airflow_provider_mendix.archive.stores.selection import select_store
from airflow_provider_mendix.archive.stream_digest import StreamDigest
from airflow_provider_mendix.archive.verification import withhold_last_chunk
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.exceptions import DamagedFileError, NotArchivedError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """An object, and what is said of it.

    :param size: bytes, by the word of the store.
    :param manifest: a complete one that was beside it; ``None`` if there was none that can be trusted.
    """

    store: Store
    path: str
    url: str
    size: int
    manifest: Manifest | None


def look(source: ObjectStoragePath, *, require_manifest: bool = True) -> Copy:
    """Look at an object, and at the manifest beside it.

    :raises NotArchivedError: if there is no object, or no complete manifest although there has to be one.
    """
    store, path, url = select_store(source), source.path, str(source)
    there = store.find(path)
    if there is None:
        raise NotArchivedError(f"There is no object {url}.")
    manifest = read_complete(store, path + SUFFIX)
    if manifest is None and require_manifest:
        raise NotArchivedError(
            f"There is no complete manifest {url}{SUFFIX}, so nothing says what {url} is and whether it is whole."
            " If you know, set require_manifest=False."
        )
    return Copy(store=store, path=path, url=url, size=there.size, manifest=manifest)


def read_complete(store: Store, path: str) -> Manifest | None:
    """Read a manifest, if it is one and complete: an unfinished one may be about another object than is there."""
    found = store.find(path)
    if found is None or found.size > LONGEST:
        return None
    manifest = read_manifest(b"".join(store.read(path)))
    return manifest if manifest and manifest.complete else None


def verify(copy: Copy) -> str:
    """Read all of an object, in constant memory, and give its sha256.

    :raises DamagedFileError: if it is not what its manifest says, or no whole zip.
    """
    manifest = copy.manifest
    if manifest and manifest.size != copy.size:
        raise _damaged(copy, f"it has {copy.size} bytes, but {manifest.size} by its manifest")
    tally = StreamDigest()
    for piece in copy.store.read(copy.path):
        tally.add(piece)
    if tally.size != copy.size:
        raise _damaged(copy, f"it has {copy.size} bytes by the store's word, but {tally.size} were read")
    if manifest and manifest.sha256 != tally.sha256:
        raise _damaged(copy, f"its sha256 is {tally.sha256}, but {manifest.sha256} by its manifest")
    try:
        read_directory(tally.head, tally.tail, tally.size)
    except NoZipError as reason:
        raise _damaged(copy, f"it is no whole zip: {reason}") from None
    return tally.sha256


def read_again(copy: Copy, sha256: str) -> Generator[bytes]:
    """Give the bytes of an object that was verified; the last ones only if it is still the same.

    :raises DamagedFileError: if it is not.
    """
    digest = hashlib.sha256()

    def pieces() -> Generator[bytes]:
        for piece in copy.store.read(copy.path):
            digest.update(piece)
            yield piece

    def check() -> None:
        if digest.hexdigest() != sha256:
            raise _damaged(copy, "it has changed since it was checked")

    return withhold_last_chunk(pieces(), check)


def _damaged(copy: Copy, reason: str) -> DamagedFileError:
    return DamagedFileError(f"{copy.url} is not right: {reason}.")
