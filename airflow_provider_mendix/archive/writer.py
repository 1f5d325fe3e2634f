"""Store the file of a package, once, whatever is there already and whatever dies on the way.

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

from airflow_provider_mendix.archive.download import PackageFile
from airflow_provider_mendix.archive.manifest import (
    MAX_SIZE,
    PENDING_SUFFIX,
    SUFFIX,
    Commit,
    Manifest,
    TaskRun,
    read_manifest,
)
from airflow_provider_mendix.archive.package_metadata import PackageMetadata, read_metadata
from airflow_provider_mendix.archive.provenance import find_commit, revision_of
from airflow_provider_mendix.archive.stores.base import Store, Stored
from airflow_provider_mendix.archive.verification import Verification, verify, withhold_last_chunk
from airflow_provider_mendix.archive.zip_walk import ZipWalk
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

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.hooks.mendix import MendixHook

_MAX_STARTS = 3
_FRAMING = (
    "A server that is only like S3 may not know the checksums of new clients: set"
    ' {"config_kwargs": {"request_checksum_calculation": "when_required"}} in the extra of the connection.'
)

log = logging.getLogger(__name__)


class ArchiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which package to store where.

    :param store: the one that the destination is in.
    :param replace: replace an object that is not known to be this package.
    :param deep: check every file in the zip too.
    :param outage_tolerance: how long the download may make no progress before it gives up, in seconds.
    """

    app_id: str
    package: Package
    destination: ObjectStoragePath
    store: Store
    replace: bool
    deep: bool
    outage_tolerance: float
    task: TaskRun


class ArchiveResult(msgspec.Struct, frozen=True):
    """The object that is there now.

    :param stored: whether this run stored it.
    """

    manifest: Manifest
    url: str
    stored: bool

    def summary(self) -> dict[str, Any]:
        """Return the result of the task."""
        return {
            "package_id": self.manifest.package_id,
            "app_id": self.manifest.app_id,
            "version": self.manifest.version,
            "revision": self.manifest.revision,
            "url": self.url,
            "manifest": self.url + SUFFIX,
            "size": self.manifest.size,
            "sha256": self.manifest.sha256,
            "stored": self.stored,
        }


def archive(hook: MendixHook, request: ArchiveRequest) -> ArchiveResult:
    """Store the file of a package, unless it is there.

    :raises ObjectExistsError: if another object is there and must not be replaced.
    :raises DownloadError: if the file does not arrive whole and right.
    :raises UnverifiableFileError: if it cannot be checked as requested.
    :raises OSError: if the store fails; or another error of its library.
    """
    return _Writer(hook, request).run()


class _Writer:
    def __init__(self, hook: MendixHook, request: ArchiveRequest) -> None:
        self._hook = hook
        self._request = request
        self._package = request.package
        self._store = request.store
        self._url = str(request.destination)
        self._path = request.destination.path
        self._manifest_path = request.destination.path + SUFFIX
        self._pending_path = request.destination.path + PENDING_SUFFIX

    def run(self) -> ArchiveResult:
        self._store.check(self._path)
        found, difference = self._find()
        if found:
            log.info("%s is already package %s; nothing to do.", self._url, found.package_id)
            return ArchiveResult(found, self._url, stored=False)
        if difference and not self._request.replace:
            raise ObjectExistsError(
                f"{self._url} exists, and is not known to be package {self._package.package_id}: {difference}."
                " Use another destination, or set if_object_exists to 'replace' or 'skip'."
            )
        if difference:
            log.info("Replacing %s: %s.", self._url, difference)
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

    def _find(self) -> tuple[Manifest | None, str]:
        """Return the manifest of the object if that is known to be this package, else why it is not."""
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

    def _read_manifest(self, path: str, stored: Stored) -> tuple[Manifest | None, str]:
        """Return a manifest if it describes this package and an object of that size, else why it does not."""
        found = self._store.find(path)
        if found is None:
            return None, "there is no manifest beside it"
        content = b"".join(self._store.read(path)) if found.size <= MAX_SIZE else b""
        manifest = read_manifest(content)
        if manifest is None:
            return None, "its manifest cannot be read"
        if (manifest.app_id, manifest.package_id) != (self._request.app_id, self._package.package_id):
            return None, f"its manifest says that it is package {manifest.package_id} of app {manifest.app_id}"
        if manifest.size != stored.size:
            return None, f"it has {stored.size} bytes, but its manifest says {manifest.size}"
        return manifest, ""

    def _store_file(self) -> Manifest:
        commit, mendix_version = find_commit(self._hook, self._request.app_id, self._package)
        for _ in range(_MAX_STARTS - 1):
            try:
                return self._stream(commit, mendix_version)
            except FileChangedError as error:
                log.warning("%s Starting again.", error)
        return self._stream(commit, mendix_version)

    def _stream(self, commit: Commit | None, mendix_version: str | None) -> Manifest:
        request = self._request
        file = PackageFile(
            self._hook,
            request.app_id,
            self._package.package_id,
            expected_size=self._package.size,
            outage_tolerance=request.outage_tolerance,
        )
        walk = ZipWalk(deep=request.deep)
        before = self._store.find(self._path)
        written: list[Manifest] = []

        def check_and_describe() -> None:
            verification = verify(
                file.digest,
                size_of_host=file.size,
                size_of_mendix=self._package.size,
                sha256_of_host=file.sha256_of_host,
                walk=walk,
                description=file.describe(),
            )
            written.append(self._describe(file, walk, verification, commit, mendix_version))
            self._put_pending(written[0])

        log.info("Streaming package %s of app %s to %s.", self._package.package_id, request.app_id, self._url)
        try:
            with closing(withhold_last_chunk(walk.passing(file.read()), check_and_describe)) as stream:
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

    def _describe(
        self,
        file: PackageFile,
        walk: ZipWalk,
        verification: Verification,
        commit: Commit | None,
        mendix_version: str | None,
    ) -> Manifest:
        package = self._package
        found = read_metadata(walk.metadata)
        contradicts = found is not None and found.contradicts(package.version)
        if found is None:
            log.warning("The package has no model/metadata.json that can be read; the manifest says so.")
        elif contradicts:
            log.warning(
                "The package says that it is version %s, and Mendix that it is %s; the manifest says so.",
                found.model_version,
                package.version,
            )
        metadata = found or PackageMetadata()
        return Manifest(
            complete=False,
            object=self._path.rpartition("/")[2],
            package_id=package.package_id,
            app_id=self._request.app_id,
            name=package.name,
            version=package.version,
            revision=revision_of(package),
            branch=package.branch,
            mendix_version=mendix_version or metadata.runtime_version,
            runtime_version=metadata.runtime_version,
            model_version=metadata.model_version,
            java_version=metadata.java_version,
            project=metadata.project,
            metadata="missing" if found is None else "contradicts" if contradicts else "read",
            commit=commit,
            size=file.digest.size,
            sha256=file.digest.sha256,
            verification=verification,
            stored_at=pendulum.from_timestamp(current_clock().now()).isoformat(),
            task=self._request.task,
        )

    def _complete(self, manifest: Manifest) -> Manifest:
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

    def _put(self, path: str, manifest: Manifest) -> None:
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

    def _put_pending(self, manifest: Manifest) -> None:
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
