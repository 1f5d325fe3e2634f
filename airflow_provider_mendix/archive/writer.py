"""Store the file of a package, once, whatever is there already and whatever dies on the way.

The order of steps: a manifest that says ``"complete": false``, the object, the manifest with ``true``. So an
object without a manifest is never ours, and one with an unfinished manifest can be compared with that.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pendulum

from airflow_provider_mendix.archive.deep_check import DeepCheck
from airflow_provider_mendix.archive.download import PackageFile
from airflow_provider_mendix.archive.manifest import MAX_SIZE, SUFFIX, Commit, Manifest, TaskRun, read_manifest
from airflow_provider_mendix.archive.provenance import branch_of, find_commit, revision_of
from airflow_provider_mendix.archive.stores.base import Stored
from airflow_provider_mendix.archive.stores.selection import select_store
from airflow_provider_mendix.archive.verification import Verification, verify, withhold_last_chunk
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import DamagedFileError, FileChangedError, MendixError, ObjectExistsError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.hooks.mendix import MendixHook

_MAX_STARTS = 3

log = logging.getLogger(__name__)


class ArchiveRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which package to store where.

    :param replace: replace an object that is not known to be this package.
    :param deep: check every file in the zip too.
    :param outage_tolerance: how long the download may make no progress before it gives up, in seconds.
    :param fast_path: whether the object may be uploaded to S3 with `obstore`.
    """

    app_id: str
    package: Package
    destination: ObjectStoragePath
    replace: bool
    deep: bool
    outage_tolerance: float
    task: TaskRun
    fast_path: bool = True


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
        self._store = select_store(request.destination, fast_path=request.fast_path)
        self._url = str(request.destination)
        self._path = request.destination.path
        self._manifest_path = request.destination.path + SUFFIX

    def run(self) -> ArchiveResult:
        found, difference = self._find()
        if found:
            log.info("%s is already package %s; nothing to do.", self._url, found.package_id)
            return ArchiveResult(found, self._url, stored=False)
        if difference and not self._request.replace:
            raise ObjectExistsError(
                f"{self._url} exists, and is not known to be package {self._package.package_id}: {difference}."
                " Give another destination, or set if_object_exists to 'replace' or 'skip'."
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
        content = self._read_manifest()
        manifest = read_manifest(content) if content is not None else None
        if manifest is None:
            return None, "there is no manifest beside it" if content is None else "its manifest cannot be read"
        if (manifest.app_id, manifest.package_id) != (self._request.app_id, self._package.package_id):
            return None, f"its manifest says that it is package {manifest.package_id} of app {manifest.app_id}"
        if manifest.size != stored.size:
            return None, f"it has {stored.size} bytes, but its manifest says {manifest.size}"
        if manifest.complete:
            return manifest, ""
        log.info("%s has a manifest that a killed run left unfinished; reading the object back.", self._url)
        digest = hashlib.sha256()
        for chunk in self._store.read(self._path):
            digest.update(chunk)
        if digest.hexdigest() != manifest.sha256:
            return None, "its content is not what its unfinished manifest says"
        return self._complete(manifest), ""

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
            self._hook, request.app_id, self._package.package_id, outage_tolerance=request.outage_tolerance
        )
        deep = DeepCheck() if request.deep else None
        chunks = deep.passing(file.read()) if deep else file.read()
        before, earlier = self._store.find(self._path), self._read_manifest()
        written: list[Manifest] = []

        def check_and_describe() -> None:
            verification = verify(
                file.digest,
                size_of_host=file.size,
                size_of_mendix=self._package.size,
                sha256_of_host=file.sha256_of_host,
                deep=deep,
            )
            written.append(self._describe(file, verification, commit, mendix_version))
            self._store.put(self._manifest_path, written[0].to_json())

        log.info("Streaming package %s of app %s to %s.", self._package.package_id, request.app_id, self._url)
        try:
            with closing(withhold_last_chunk(chunks, check_and_describe)) as stream:
                self._store.commit(self._path, stream)
        except BaseException:
            if written:
                self._restore_manifest(before, earlier)
            raise
        stored = self._complete(written[0])
        log.info("Stored %s bytes, SHA-256 %s, as %s.", stored.size, stored.sha256, self._url)
        return stored

    def _describe(
        self, file: PackageFile, verification: Verification, commit: Commit | None, mendix_version: str | None
    ) -> Manifest:
        package = self._package
        return Manifest(
            complete=False,
            object=self._path.rpartition("/")[2],
            package_id=package.package_id,
            app_id=self._request.app_id,
            name=package.name,
            version=package.version,
            revision=revision_of(package),
            branch=branch_of(package),
            mendix_version=mendix_version,
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
        for path in (self._path, self._manifest_path):
            try:
                self._store.sweep(path)
            except OSError as error:
                log.warning("What killed runs may have left of %s could not be removed (%s).", path, error)
        completed = manifest.completed()
        self._store.put(self._manifest_path, completed.to_json())
        return completed

    def _restore_manifest(self, before: Stored | None, earlier: bytes | None) -> None:
        """If nothing was committed, let the manifest be what it was."""
        try:
            if self._store.find(self._path) != before:
                return
            if earlier is None:
                self._store.remove(self._manifest_path)
            else:
                self._store.put(self._manifest_path, earlier)
        except OSError as error:
            log.warning("The unfinished manifest of %s is left (%s).", self._url, error)

    def _read_manifest(self) -> bytes | None:
        found = self._store.find(self._manifest_path)
        if found is None:
            return None
        return b"".join(self._store.read(self._manifest_path)) if found.size <= MAX_SIZE else b"?"
