"""What an archive holds, by its manifests."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_mendix.archive.archived_object import Copy, read_complete, verify
from airflow_provider_mendix.archive.manifest import SUFFIX, Manifest
from airflow_provider_mendix.archive.stores.selection import select_store
from airflow_provider_mendix.exceptions import DamagedFileError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)


def archived(location: ObjectStoragePath, app_id: str) -> list[Manifest]:
    """List the packages of an app that are archived in a folder or below it, the one stored last first.

    Those count whose manifest is complete and whose object is there with the size that it says. The objects
    themselves are not read.

    :param location: the folder.
    """
    return [copy.manifest for copy in copies(location, app_id) if copy.manifest]


def copies(location: ObjectStoragePath, app_id: str) -> list[Copy]:
    """Give the same, and where each object is: its ``url``."""
    store, root = select_store(location), location.path.rstrip("/")
    sizes = store.list(location.path)
    found = []
    for path, size in sizes.items():
        manifest = read_complete(store, path + SUFFIX) if path + SUFFIX in sizes else None
        if manifest and manifest.app_id == app_id and manifest.size == size:
            url = str(location / path.removeprefix(root).lstrip("/"))
            found.append(Copy(store=store, path=path, url=url, size=size, manifest=manifest))
    return sorted(found, key=_stored_at, reverse=True)


def not_archived(location: ObjectStoragePath, app_id: str, package_ids: Collection[str]) -> dict[str, str]:
    """Say of those packages that are not safely archived below a folder why they are not.

    One copy of a package has to be right; each is read until one is.
    """
    if not package_ids:
        return {}
    by_package: dict[str, list[Copy]] = {}
    for copy in copies(location, app_id):
        if copy.manifest:
            by_package.setdefault(copy.manifest.package_id, []).append(copy)
    reasons = {}
    for package_id in package_ids:
        held = by_package.get(package_id, [])
        if not held:
            reasons[package_id] = f"it is not archived in {location}"
        elif not any(_is_right(copy, package_id) for copy in held):
            reasons[package_id] = f"its archived copy is damaged ({held[0].url})"
    return reasons


def _is_right(copy: Copy, package_id: str) -> bool:
    try:
        sha256 = verify(copy)
    except (DamagedFileError, FileNotFoundError) as error:
        log.warning("The archived copy of package %s cannot be used. %s", package_id, error)
        return False
    log.info("Package %s is archived: read back %s, sha256 %s.", package_id, copy.url, sha256)
    return True


def _stored_at(copy: Copy) -> tuple[datetime, str]:
    """Give the time, and the path, so that there is always an order."""
    stored = datetime.min.replace(tzinfo=UTC)
    if copy.manifest:
        try:
            stored = datetime.fromisoformat(copy.manifest.stored_at)
        except ValueError:
            log.debug("%s: stored_at cannot be read", copy.url)
    return stored if stored.tzinfo else stored.replace(tzinfo=UTC), copy.path
