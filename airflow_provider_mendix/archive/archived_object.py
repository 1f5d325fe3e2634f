"""An archived object, read back: nothing is uploaded or deleted because a manifest alone says so."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_mendix.archive.manifest import MAX_SIZE, SUFFIX, Manifest, read_manifest
from airflow_provider_mendix.archive.stores.base import Store
from airflow_provider_mendix.archive.stores.selection import select_store
from airflow_provider_mendix.archive.stream_digest import StreamDigest
from airflow_provider_mendix.archive.verification import withhold_last_chunk
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.exceptions import DamagedArchiveError, NotArchivedError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath


class ArchivedObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object and its description.

    :param size: bytes, according to the store.
    :param manifest: the complete one beside it, if there is one.
    """

    store: Store
    path: str
    url: str
    size: int
    manifest: Manifest | None

    def verify(self) -> str:
        """Read all of the object, in constant memory, and return its SHA-256.

        :raises DamagedArchiveError: if it is not what its manifest describes, or no whole zip.
        """
        if self.manifest and self.manifest.size != self.size:
            raise self._damaged(f"it has {self.size} bytes, but its manifest says {self.manifest.size}")
        digest = StreamDigest()
        for chunk in self.store.read(self.path):
            digest.add(chunk)
        if digest.size != self.size:
            raise self._damaged(f"the store says that it has {self.size} bytes, but {digest.size} were read")
        if self.manifest and self.manifest.sha256 != digest.sha256:
            raise self._damaged(f"its SHA-256 is {digest.sha256}, but its manifest says {self.manifest.sha256}")
        try:
            read_directory(digest.head, digest.tail, digest.size)
        except NoZipError as reason:
            raise self._damaged(f"it is no whole zip: {reason}") from None
        return digest.sha256

    def read_verified(self, sha256: str) -> Generator[bytes]:
        """Yield the bytes of an object that was verified; the last ones only if it is still the same.

        :raises DamagedArchiveError: if it is not.
        """
        digest = hashlib.sha256()

        def chunks() -> Generator[bytes]:
            for chunk in self.store.read(self.path):
                digest.update(chunk)
                yield chunk

        def check() -> None:
            if digest.hexdigest() != sha256:
                raise self._damaged("it has changed since it was checked")

        return withhold_last_chunk(chunks(), check)

    def _damaged(self, reason: str) -> DamagedArchiveError:
        return DamagedArchiveError(f"{self.url} is not right: {reason}.")


def find_archived(source: ObjectStoragePath, *, require_manifest: bool = True) -> ArchivedObject:
    """Return an object and the manifest beside it, without reading the object.

    :raises NotArchivedError: if there is no object, or no complete manifest although one is required.
    """
    store, path, url = select_store(source), source.path, str(source)
    stored = store.find(path)
    if stored is None:
        raise NotArchivedError(f"There is no object {url}.")
    manifest = read_complete_manifest(store, path + SUFFIX)
    if manifest is None and require_manifest:
        raise NotArchivedError(
            f"There is no complete manifest {url}{SUFFIX}, so nothing says what {url} is and whether it is whole."
            " If you know, set require_manifest=False."
        )
    return ArchivedObject(store=store, path=path, url=url, size=stored.size, manifest=manifest)


def read_complete_manifest(store: Store, path: str) -> Manifest | None:
    """Return a manifest if it is complete: an unfinished one may describe another object than the one there."""
    found = store.find(path)
    if found is None or found.size > MAX_SIZE:
        return None
    manifest = read_manifest(b"".join(store.read(path)))
    return manifest if manifest and manifest.complete else None
