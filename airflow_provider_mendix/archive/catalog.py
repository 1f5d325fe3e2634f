"""What an archive holds, according to its manifests."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.archive.archived_object import ArchivedObject, read_complete_manifest
from airflow_provider_mendix.archive.manifest import SUFFIX, Manifest
from airflow_provider_mendix.archive.stores.selection import select_store
from airflow_provider_mendix.exceptions import DamagedArchiveError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

ARCHIVED = "archived"

log = logging.getLogger(__name__)


def list_manifests(location: ObjectStoragePath, app_id: str) -> list[Manifest]:
    """Return the manifests of :func:`list_archived`."""
    return [found.manifest for found in list_archived(location, app_id) if found.manifest]


def list_archived_packages(location: ObjectStoragePath, app_id: str) -> list[Package]:
    """Return the packages of :func:`list_archived` in the form of Mendix's own list, with the status ``ARCHIVED``.

    They are compared with the list of an app, which lacks what Mendix has deleted meanwhile.
    """
    found = [
        Package(manifest.package_id, ARCHIVED, name=manifest.name, version=manifest.version)
        for manifest in list_manifests(location, app_id)
    ]
    log.info("The archive %s has %d package(s) of app %s.", location, len(found), app_id)
    return found


def list_archived(location: ObjectStoragePath, app_id: str) -> list[ArchivedObject]:
    """Return the packages of an app that are archived in a folder or below it, the one stored last first.

    Only those with a complete manifest whose object has the size that it says. The objects are not read.

    :param location: the folder.
    """
    store, root = select_store(location), location.path.rstrip("/")
    sizes = store.list(location.path)
    found = []
    for path, size in sizes.items():
        manifest = read_complete_manifest(store, path + SUFFIX) if path + SUFFIX in sizes else None
        if manifest and manifest.app_id == app_id and manifest.size == size:
            url = str(location / path.removeprefix(root).lstrip("/"))
            found.append(ArchivedObject(store=store, path=path, url=url, size=size, manifest=manifest))
    return sorted(found, key=_stored_at, reverse=True)


def reasons_not_archived(location: ObjectStoragePath, app_id: str, package_ids: Collection[str]) -> dict[str, str]:
    """Return those packages that are not safely archived below a folder, each with the reason.

    A package is safe if one of its objects is right; each is read until one is.
    """
    if not package_ids:
        return {}
    by_package: dict[str, list[ArchivedObject]] = {}
    for found in list_archived(location, app_id):
        if found.manifest:
            by_package.setdefault(found.manifest.package_id, []).append(found)
    reasons = {}
    for package_id in package_ids:
        objects = by_package.get(package_id, [])
        if not objects:
            reasons[package_id] = f"it is not archived in {location}"
        elif not any(_is_right(found, package_id) for found in objects):
            reasons[package_id] = f"its archived object is damaged ({objects[0].url})"
    return reasons


def _is_right(found: ArchivedObject, package_id: str) -> bool:
    try:
        sha256 = found.verify()
    except (DamagedArchiveError, FileNotFoundError) as error:
        log.warning("The archived object of package %s cannot be used. %s", package_id, error)
        return False
    log.info("Package %s is archived: read back %s, SHA-256 %s.", package_id, found.url, sha256)
    return True


def _stored_at(found: ArchivedObject) -> tuple[datetime, str]:
    """Return the time, and the path, so that the order is always the same."""
    stored = datetime.min.replace(tzinfo=UTC)
    if found.manifest:
        try:
            stored = datetime.fromisoformat(found.manifest.stored_at)
        except ValueError:
            log.debug("%s: stored_at cannot be read", found.url)
    return stored if stored.tzinfo else stored.replace(tzinfo=UTC), found.path
