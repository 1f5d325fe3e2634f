"""Store the file of a source, once, whatever is there already and whatever dies on the way.

The order of steps: a pending manifest, the object, the manifest; then the pending one is removed. So an object
with neither is never ours, and one with a pending manifest can be compared with that. No file is written twice:
there are stores that forbid it.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pendulum

from airflow_provider_mendix.archive.download import RemoteFile
from airflow_provider_mendix.archive.manifest import (
    MAX_SIZE,
    PENDING_SUFFIX,
    SUFFIX,
    ObjectManifest,
    TaskRun,
    read_manifest,
)
from airflow_provider_mendix.archive.source import Source
from airflow_provider_mendix.archive.stores.base import Store, Stored
from airflow_provider_mendix.archive.verification import withhold_last_chunk
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    DamagedArchiveError,
    DamagedFileError,
    FileChangedError,
    MendixError,
    ObjectExistsError,
)

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mendix.hooks.mendix import MendixHook

_MAX_STARTS = 3
_FRAMING = (
    "A server that is only like S3 may not know the checksums of new clients: set"
    ' {"config_kwargs": {"request_checksum_calculation": "when_required"}} in the extra of the connection.'
)

log = logging.getLogger(__name__)


class ArchiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to store where.

    :param store: the one that the destination is in.
    :param replace: replace an object that is not known to be the source.
    :param outage_tolerance: how long the download may make no progress before it gives up, in seconds.
    """

    source: Source
    destination: ObjectStoragePath
    store: Store
    replace: bool
    outage_tolerance: float
    task: TaskRun


class ArchiveResult(msgspec.Struct, frozen=True):
    """The object that is there now.

    :param stored: whether this run stored it.
    """

    manifest: ObjectManifest
    url: str
    stored: bool

    def summary(self) -> dict[str, Any]:
        """Return the result of the task."""
        return {
            **self.manifest.identity(),
            "url": self.url,
            "manifest": self.url + SUFFIX,
            "size": self.manifest.size,
            "sha256": self.manifest.sha256,
            "stored": self.stored,
        }


class ArchiveWriter:
    """Stores the file of a source, unless it is there."""

    def __init__(self, hook: MendixHook, request: ArchiveRequest) -> None:
        self._hook = hook
        self._request = request
        self._source = request.source
        self._store = request.store
        self._url = str(request.destination)
        self._path = request.destination.path
        self._manifest_path = request.destination.path + SUFFIX
        self._pending_path = request.destination.path + PENDING_SUFFIX

    def find(self) -> ArchiveResult | None:
        """Return the object if it is there.

        :raises ObjectExistsError: if another object is there and must not be replaced.
        """
        self._store.check(self._path)
        found, difference = self._find()
        if found:
            log.info("%s is already %s; nothing to do.", self._url, found.description)
            return ArchiveResult(found, self._url, stored=False)
        if difference and not self._request.replace:
            raise ObjectExistsError(
                f"{self._url} exists, and is not known to be {self._source.description}: {difference}."
                " Use another destination, or set if_object_exists to 'replace' or 'skip'."
            )
        if difference:
            log.info("Replacing %s: %s.", self._url, difference)
        return None

    def run(self) -> ArchiveResult:
        """Store the file, unless it is there.

        :raises ObjectExistsError: if another object is there and must not be replaced.
        :raises DownloadError: if the file does not arrive whole and right.
        :raises UnverifiableFileError: if it cannot be checked as requested.
        :raises OSError: if the store fails; or another error of its library.
        """
        if existing := self.find():
            return existing
        try:
            return ArchiveResult(self._store_file(), self._url, stored=True)
        except MendixError:
            raise
        except Exception as error:
            # The object may be there: committed without an answer, or by another try of this task.
            with suppress(Exception):
                found, _ = self._find()
            if not found:
                raise
            log.warning("The store reported a failure (%s), but %s is there and right.", error, self._url)
            return ArchiveResult(found, self._url, stored=found.task == self._request.task)

    def _find(self) -> tuple[ObjectManifest | None, str]:
        """Return the manifest of the object if that is known to be the source, else why it is not."""
        stored = self._store.find(self._path)
        if stored is None:
            return None, ""
        manifest, difference = self._read_manifest(self._manifest_path, stored)
        if manifest and manifest.complete:
            self._remove_pending()
            return manifest, ""
        pending, _ = self._read_manifest(self._pending_path, stored)
        if pending is None:
            return None, difference or "its manifest is not complete"
        log.info("%s has a pending manifest, which a killed run left; reading the object back.", self._url)
        digest = hashlib.sha256()
        for chunk in self._store.read(self._path):
            digest.update(chunk)
        if digest.hexdigest() != pending.sha256:
            return None, f"{difference}, and its content is not what its pending manifest says"
        return self._complete(pending), ""

    def _read_manifest(self, path: str, stored: Stored) -> tuple[ObjectManifest | None, str]:
        """Return a manifest if it describes the source and an object of that size, else why it does not."""
        found = self._store.find(path)
        if found is None:
            return None, "there is no manifest beside it"
        content = b"".join(self._store.read(path)) if found.size <= MAX_SIZE else b""
        manifest = read_manifest(content, self._source.manifest_type)
        if manifest is None:
            return None, "its manifest cannot be read"
        if not self._source.is_described_by(manifest):
            return None, f"its manifest says that it is {manifest.description}"
        if manifest.size != stored.size:
            return None, f"it has {stored.size} bytes, but its manifest says {manifest.size}"
        return manifest, ""

    def _store_file(self) -> ObjectManifest:
        for _ in range(_MAX_STARTS - 1):
            try:
                return self._stream()
            except FileChangedError as error:
                log.warning("%s Starting again.", error)
        return self._stream()

    def _stream(self) -> ObjectManifest:
        source = self._source
        file = RemoteFile(
            self._hook,
            source.new_link,
            expected_size=source.expected_size,
            outage_tolerance=self._request.outage_tolerance,
        )
        check = source.check()
        before = self._store.find(self._path)
        written: list[ObjectManifest] = []

        def check_and_describe() -> None:
            described = {
                "complete": False,
                "object": self._path.rpartition("/")[2],
                "size": file.digest.size,
                "sha256": file.digest.sha256,
                "stored_at": pendulum.from_timestamp(current_clock().now()).isoformat(),
                "task": self._request.task,
            }
            written.append(check.finish(file, described))
            self._put_pending(written[0])

        log.info("Streaming %s to %s.", source.description, self._url)
        try:
            with closing(withhold_last_chunk(check.passing(file.read()), check_and_describe)) as stream:
                self._store.commit(self._path, stream)
        except BaseException:
            # What was committed without an answer can still be completed by the pending manifest.
            with suppress(Exception):
                if written and self._store.find(self._path) == before:
                    self._remove_pending()
            raise
        stored = self._complete(written[0])
        log.info("Stored %s bytes, SHA-256 %s, as %s.", stored.size, stored.sha256, self._url)
        return stored

    def _complete(self, manifest: ObjectManifest) -> ObjectManifest:
        stored = self._store.find(self._path)
        if stored is None or stored.size != manifest.size:
            raise DamagedFileError(
                f"The store took {manifest.size} bytes as {self._url}, but shows"
                f" {stored.size if stored else 'no'} bytes there."
            )
        for path in (self._path, self._manifest_path, self._pending_path):
            try:
                self._store.sweep(path)
            except OSError as error:
                log.warning("What killed runs may have left of %s could not be removed (%s).", path, error)
        completed = manifest.completed()
        self._put(self._manifest_path, completed)
        self._remove_pending()
        return completed

    def _put(self, path: str, manifest: ObjectManifest) -> None:
        """Write a manifest, and read it back: there are servers that store what carries the bytes too."""
        content = manifest.to_json()
        self._store.put(path, content)
        try:
            stored = b"".join(self._store.read(path))
        except DamagedArchiveError as error:
            raise error.with_hint(_FRAMING) from None
        if stored != content:
            raise DamagedArchiveError(
                f"The store does not hold {path} as it was written: {len(stored)} bytes instead of {len(content)}."
                f" {_FRAMING}"
            )

    def _put_pending(self, manifest: ObjectManifest) -> None:
        try:
            self._put(self._pending_path, manifest)
        except MendixError:
            raise
        except Exception as error:
            # A store that forbids overwriting keeps that of a killed run, which serves as well.
            kept, _ = self._read_manifest(self._pending_path, Stored(manifest.size, ""))
            if kept is None or kept.sha256 != manifest.sha256:
                raise
            log.info("Keeping the pending manifest of %s (%s).", self._url, error)

    def _remove_pending(self) -> None:
        try:
            if self._store.find(self._pending_path):
                self._store.remove(self._pending_path)
        except Exception as error:  # noqa: BLE001 - there are stores that forbid it
            log.warning("%s%s is left (%s); it is not needed.", self._url, PENDING_SUFFIX, error)
