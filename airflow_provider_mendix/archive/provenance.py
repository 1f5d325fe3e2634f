"""What a package was built from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow_provider_mendix.api.build import split_version
from airflow_provider_mendix.archive.manifest import Commit
from airflow_provider_mendix.exceptions import MendixError

if TYPE_CHECKING:
    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.hooks.mendix import MendixHook

log = logging.getLogger(__name__)


def version_of(package: Package) -> str | None:
    """Return the first three parts of a package's version, or all of a version that has another form."""
    return split_version(package.version)[0] if _has_four_parts(package) else package.version or None


def revision_of(package: Package) -> str | None:
    """Return the fourth part of a package's version."""
    return split_version(package.version)[1] if _has_four_parts(package) else None


def find_commit(hook: MendixHook, app_id: str, package: Package) -> tuple[Commit | None, str | None]:
    """Return the revision that was built and its Mendix version. A failure is logged and fails nothing."""
    branch, revision = package.branch, revision_of(package)
    if not branch or not revision:
        return None, None
    if not revision.isdigit() and not hook.has_token:
        log.info("The manifest will not describe the commit: the connection has no personal access token.")
        return None, None
    try:
        found = hook.find_revision(app_id, branch, revision)
    except MendixError as error:
        log.info("The manifest will not describe the commit: %s", error)
        return None, None
    date = found.date.isoformat() if found.date else None
    commit = Commit(revision=found.revision, author=found.author, date=date, message=found.message)
    return commit, found.mendix_version


def _has_four_parts(package: Package) -> bool:
    return (package.version or "").count(".") == 3
