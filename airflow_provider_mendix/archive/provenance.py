"""What a package was built from."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_mendix.api.build import split_version
from airflow_provider_mendix.exceptions import MendixError

if TYPE_CHECKING:
    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.api.revisions import BranchRevision
    from airflow_provider_mendix.hooks.mendix import MendixHook

_SVN_MAIN_LINE = "Main line"

log = logging.getLogger(__name__)


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """The revision that was built.

    :param revision: in full length.
    :param date: ISO 8601.
    """

    revision: str
    author: str | None = None
    date: str | None = None
    message: str | None = None


def version_of(package: Package) -> str | None:
    """Give the first three parts of a package's version, or all of one that has another form than Mendix's."""
    return split_version(package.version)[0] if _has_four_parts(package) else package.version or None


def revision_of(package: Package) -> str | None:
    """Give the fourth part of the version of a package."""
    return split_version(package.version)[1] if _has_four_parts(package) else None


def branch_of(package: Package) -> str | None:
    """Give the branch that a package was built from, as the name of the package tells it."""
    return "trunk" if package.branch_label == _SVN_MAIN_LINE else package.branch_label


def find_commit(hook: MendixHook, app_id: str, package: Package) -> tuple[Commit | None, str | None]:
    """Ask what was built and with which Mendix version. It is good to know, and no more: no failure counts."""
    branch, revision = branch_of(package), revision_of(package)
    if not branch or not revision:
        return None, None
    if not revision.isdigit() and not hook.has_token:
        log.info("The manifest will not tell about the commit: for Git apps that takes a personal access token.")
        return None, None
    try:
        found: BranchRevision = hook.find_revision(app_id, branch, revision)
    except MendixError as error:
        log.info("The manifest will not tell about the commit. %s", error)
        return None, None
    date = found.date.isoformat() if found.date else None
    commit = Commit(revision=found.revision, author=found.author, date=date, message=found.message)
    return commit, found.mendix_version


def _has_four_parts(package: Package) -> bool:
    return (package.version or "").count(".") == 3
