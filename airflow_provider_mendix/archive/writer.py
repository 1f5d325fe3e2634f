"""Bring the file of a package to its place, once, whatever is there already and whatever dies on the way.

The order of steps: a manifest that says ``"complete": false``, the object, the manifest with ``true``. So an
object without a word beside it is never ours, and one with an unfinished word can be compared with that.
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
from airflow_provider_mendix.archive.manifest import LONGEST, SUFFIX, Manifest, TaskRun, read_manifest
from airflow_provider_mendix.archive.provenance import Commit, branch_of, find_commit, revision_of
from airflow_provider_mendix.archive.stores.base import Stored
from airflow_provider_mendix.archive.stores.selection import select_store
from airflow_provider_mendix.archive.verification import Verification, verify, withhold_last_chunk
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import DamagedFileError, FileChangedError, MendixError, ObjectExistsError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.archive.stream_digest import StreamDigest
    from airflow_provider_mendix.hooks.mendix import MendixHook

_MOST_STARTS = 3

log = logging.getLogger(__name__)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to bring where.

    :param replace: write over an object that is not known to be this one.
    :param deep: check every file in the zip too.
    :param outage_tolerance: seconds without progress of the download that are put up with.
    :param fast_path: whether S3 may be reached by way of `obstore`.
    """

    app_id: str
    package: Package
    destination: ObjectStoragePath
    replace: bool
    deep: bool
    outage_tolerance: float
    task: TaskRun
    fast_path: bool = True


class Archived(msgspec.Struct, frozen=True):
    """What is there now.

    :param stored: whether it was brought there just now.
    """

    manifest: Manifest
    url: str
    stored: bool

    def summary(self) -> dict[str, Any]:
        """Give what a task may hand on."""
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


def archive(hook: MendixHook, order: Order) -> Archived:
    """Bring the file of a package to its place, unless it is there.

    :raises ObjectExistsError: if something else is there, and is not to be replaced.
    :raises DownloadError: if the file does not arrive whole and right.
    :raises UnverifiableFileError: if it cannot be checked as ordered.
    :raises OSError: if the store fails; or what else its library raises then.
    """
    return _Archiving(hook, order).run()


class _Archiving:
    def __init__(self, hook: MendixHook, order: Order) -> None:
        self._hook = hook
        self._order = order
        self._store = select_store(order.destination, fast_path=order.fast_path)
        self._url = str(order.destination)
        self._path = order.destination.path
        self._manifest_path = order.destination.path + SUFFIX

    def run(self) -> Archived:
        found, objection = self._look()
        if found:
            log.info("%s is package %s already: there is nothing to do.", self._url, found.package_id)
            return Archived(found, self._url, stored=False)
        if objection and not self._order.replace:
            raise ObjectExistsError(
                f"{self._url} exists, and is not known to be package {self._order.package.package_id}:"
                f" {objection}. Give another destination, or set if_object_exists to 'replace' or 'skip'."
            )
        if objection:
            log.info("%s is going to be replaced: %s.", self._url, objection)
        try:
            return Archived(self._bring(), self._url, stored=True)
        except MendixError:
            raise
        except Exception as error:
            # It may be there all the same: committed without an answer, or by another try of this task.
            with suppress(Exception):
                found, _ = self._look()
            if not found:
                raise
            log.warning("The store reported a failure (%s), but %s is there and right.", error, self._url)
            return Archived(found, self._url, stored=found.task == self._order.task)

    def _look(self) -> tuple[Manifest | None, str]:
        """Give the manifest of the object if it is known to be this package, else what speaks against it."""
        there = self._store.find(self._path)
        if there is None:
            return None, ""
        content = self._manifest_content()
        manifest = read_manifest(content) if content is not None else None
        if manifest is None:
            return None, "there is no manifest beside it" if content is None else "its manifest cannot be read"
        if (manifest.app_id, manifest.package_id) != (self._order.app_id, self._order.package.package_id):
            return None, f"by its manifest it is package {manifest.package_id} of app {manifest.app_id}"
        if manifest.size != there.size:
            return None, f"it has {there.size} bytes, but {manifest.size} by its manifest"
        if manifest.complete:
            return manifest, ""
        log.info("%s has a manifest that a killed run has left unfinished; reading it back.", self._url)
        digest = hashlib.sha256()
        for piece in self._store.read(self._path):
            digest.update(piece)
        if digest.hexdigest() != manifest.sha256:
            return None, "its content is not what its unfinished manifest says"
        return self._complete(manifest), ""

    def _bring(self) -> Manifest:
        commit, mendix_version = find_commit(self._hook, self._order.app_id, self._order.package)
        for _ in range(_MOST_STARTS - 1):
            try:
                return self._stream(commit, mendix_version)
            except FileChangedError as error:
                log.warning("%s Starting over.", error)
        return self._stream(commit, mendix_version)

    def _stream(self, commit: Commit | None, mendix_version: str | None) -> Manifest:
        order = self._order
        file = PackageFile(
            self._hook, order.app_id, order.package.package_id, outage_tolerance=order.outage_tolerance
        )
        deep = DeepCheck() if order.deep else None
        pieces = deep.passing(file.read()) if deep else file.read()
        before, earlier = self._store.find(self._path), self._manifest_content()
        written: list[Manifest] = []

        def check_and_describe() -> None:
            verification = verify(
                file.tally,
                announced=file.size,
                by_mendix=order.package.size,
                checksums=file.checksums,
                deep_entries=deep.entries if deep else None,
            )
            written.append(self._describe(file.tally, verification, commit, mendix_version))
            self._store.put(self._manifest_path, written[0].to_json())

        log.info("Streaming package %s of app %s to %s.", order.package.package_id, order.app_id, self._url)
        try:
            with closing(withhold_last_chunk(pieces, check_and_describe)) as stream:
                self._store.commit(self._path, stream)
        except BaseException:
            if written:
                self._take_back(before, earlier)
            raise
        stored = self._complete(written[0])
        log.info("Stored %s bytes, sha256 %s, as %s.", stored.size, stored.sha256, self._url)
        return stored

    def _describe(
        self, tally: StreamDigest, verification: Verification, commit: Commit | None, mendix_version: str | None
    ) -> Manifest:
        package = self._order.package
        return Manifest(
            complete=False,
            object=self._path.rpartition("/")[2],
            package_id=package.package_id,
            app_id=self._order.app_id,
            name=package.name,
            version=package.version,
            revision=revision_of(package),
            branch=branch_of(package),
            mendix_version=mendix_version,
            commit=commit,
            size=tally.size,
            sha256=tally.sha256,
            verification=verification,
            stored_at=pendulum.from_timestamp(current_clock().now()).isoformat(),
            task=self._order.task,
        )

    def _complete(self, manifest: Manifest) -> Manifest:
        there = self._store.find(self._path)
        if there is None or there.size != manifest.size:
            raise DamagedFileError(
                f"The store took {manifest.size} bytes as {self._url}, but shows"
                f" {there.size if there else 'no'} bytes there."
            )
        for path in (self._path, self._manifest_path):
            try:
                self._store.sweep(path)
            except OSError as error:
                log.warning("What killed runs may have left of %s could not be removed (%s).", path, error)
        completed = manifest.completed()
        self._store.put(self._manifest_path, completed.to_json())
        return completed

    def _take_back(self, before: Stored | None, earlier: bytes | None) -> None:
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

    def _manifest_content(self) -> bytes | None:
        found = self._store.find(self._manifest_path)
        if found is None:
            return None
        return b"".join(self._store.read(self._manifest_path)) if found.size <= LONGEST else b"?"
