"""A package as something to archive."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.archive.manifest import Commit, Manifest
from airflow_provider_mendix.archive.package_metadata import PackageMetadata, read_metadata
from airflow_provider_mendix.archive.provenance import find_commit, revision_of
from airflow_provider_mendix.archive.verification import Verification, damaged
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.archive.zip_walk import ZipWalk

if TYPE_CHECKING:
    from airflow_provider_mendix.api.build import DownloadUrl, Package
    from airflow_provider_mendix.archive.download import RemoteFile
    from airflow_provider_mendix.hooks.mendix import MendixHook

log = logging.getLogger(__name__)


class PackageSource:
    """The file of a package.

    :param deep: check every file in the zip too.
    """

    manifest_type = Manifest

    def __init__(self, hook: MendixHook, app_id: str, package: Package, *, deep: bool) -> None:
        self.app_id = app_id
        self.package = package
        self._hook = hook
        self._deep = deep

    @property
    def description(self) -> str:
        """What it is, for messages."""
        return f"package {self.package.package_id} of app {self.app_id}"

    @property
    def expected_size(self) -> float | None:
        """Bytes according to Mendix."""
        return self.package.size

    def is_described_by(self, manifest: Manifest) -> bool:
        """Return whether a manifest is one of this package."""
        return (manifest.app_id, manifest.package_id) == (self.app_id, self.package.package_id)

    def new_link(self) -> DownloadUrl:
        """Return a new signed link to the file."""
        _, link = self._hook.get_link(self.app_id, self.package.package_id)
        return link

    @cached_property
    def commit(self) -> tuple[Commit | None, str | None]:
        """The revision that was built and its Mendix version; looked up once."""
        return find_commit(self._hook, self.app_id, self.package)

    def check(self) -> PackageCheck:
        """Begin the check of one reading."""
        return PackageCheck(self, *self.commit, ZipWalk(deep=self._deep))


class PackageCheck:
    """The check of one reading of a package's file."""

    def __init__(
        self, source: PackageSource, commit: Commit | None, mendix_version: str | None, walk: ZipWalk
    ) -> None:
        self._app_id = source.app_id
        self._package = source.package
        self._commit = commit
        self._mendix_version = mendix_version
        self._walk = walk
        self.passing = walk.passing

    def finish(self, file: RemoteFile, described: dict[str, Any]) -> Manifest:
        """Check all of a file that has passed, and describe it."""
        verification = _verify(file, self._walk)
        package = self._package
        found = read_metadata(self._walk.metadata)
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
            **described,
            package_id=package.package_id,
            app_id=self._app_id,
            name=package.name,
            version=package.version,
            revision=revision_of(package),
            branch=package.branch,
            mendix_version=self._mendix_version or metadata.runtime_version,
            runtime_version=metadata.runtime_version,
            model_version=metadata.model_version,
            java_version=metadata.java_version,
            project=metadata.project,
            metadata="missing" if found is None else "contradicts" if contradicts else "read",
            commit=self._commit,
            verification=verification,
        )


def _verify(file: RemoteFile, walk: ZipWalk) -> Verification:
    file.check_sums()
    digest = file.digest
    try:
        directory = read_directory(digest.head, walk.end if walk.deep else digest.tail, digest.size)
    except NoZipError as reason:
        raise damaged(f"it is no whole zip: {reason}", file.describe()) from None
    if walk.deep:
        walk.found.compare(directory)
    return Verification(
        size_of_host=file.size is not None,
        size_of_mendix=file.size_of_mendix is not None,
        sha256_of_host=file.sha256_of_host is not None,
        zip_entries=directory.count,
        zip_directory=directory.content is not None,
        zip_contents=walk.deep,
    )
