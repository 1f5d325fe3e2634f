"""What is pending: the revisions and packages of a branch that a consumer of events has not processed yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import pendulum

from airflow_provider_mendix.api import app_repository, inputs
from airflow_provider_mendix.api.build import LazyPackageList, Package, PackageStatus, list_packages_lazily
from airflow_provider_mendix.api.call import Conversation
from airflow_provider_mendix.api.conversations import locate_branch
from airflow_provider_mendix.api.revisions import (
    BranchRevision,
    BranchSource,
    RepositoryBranch,
    is_newer,
    is_revision,
)
from airflow_provider_mendix.exceptions import RevisionNotFoundError

MAX_COMMITS = 1000
"""How many commits of a branch are read to find those that came since a known one."""
_EPOCH = pendulum.from_timestamp(0)


class PendingRevisions(msgspec.Struct, frozen=True):
    """The revisions that came since a known one.

    :param source: the API and the spelling by which the branch is known.
    :param newest: the newest revision of the branch; ``None`` if there is none.
    :param revisions: those that came since, oldest first; only the newest where ``is_complete`` is not set.
    :param is_complete: whether the known revision was found, so that none is missing.
    """

    source: BranchSource
    newest: BranchRevision | None
    revisions: tuple[BranchRevision, ...] = ()
    is_complete: bool = True


def pending_revisions(
    app_id: str, branch: str, since: str | None, *, has_token: bool
) -> Conversation[PendingRevisions]:
    """Locate a branch and return what came to it since a known revision.

    :param since: the known revision, or empty text if the branch had none; ``None`` makes only the newest pending.
    """
    source, response = yield from locate_branch(app_id, branch, has_token=has_token)
    return (yield from _revisions_since(source, response, since))


def revisions_since(source: BranchSource, since: str | None) -> Conversation[PendingRevisions]:
    """Return what came to a branch that has been located before."""
    return (yield from _revisions_since(source, (yield source.newest()), since))


def _revisions_since(source: BranchSource, response: Any, since: str | None) -> Conversation[PendingRevisions]:
    try:
        newest = source.read(response)
    except RevisionNotFoundError:
        return PendingRevisions(source, None)
    if since is None:
        return PendingRevisions(source, newest, (newest,))
    if since and not is_newer(newest.revision, since):
        return PendingRevisions(source, newest)
    if isinstance(source, RepositoryBranch):
        commits, found = yield from _commits_since(source, since)
        newer = [source.of(commit) for commit in commits]
    else:
        newer = [source.of(one) for one in sorted(response, key=lambda one: -one.number)]
        newer = [one for one in newer if not since or is_newer(one.revision, since)]
        found = not since or len(newer) < len(response)
    if not found or not newer:
        return PendingRevisions(source, newest, (newest,), is_complete=False)
    return PendingRevisions(source, newer[0], tuple(reversed(newer)))


def _commits_since(source: RepositoryBranch, since: str) -> Conversation[tuple[list[app_repository.Commit], bool]]:
    """Return the commits after a known one, newest first, and whether the known one was found."""
    commits: list[app_repository.Commit] = []
    cursor: str | None = None
    while len(commits) < MAX_COMMITS:
        page: app_repository.Page[app_repository.Commit]
        page = yield app_repository.list_commits(source.project_id, source.name, cursor=cursor)
        for commit in page.items:
            if since and is_revision(since, commit.id):
                return commits, True
            commits.append(commit)
        cursor = app_repository.next_cursor(page, cursor)
        if cursor is None:
            return commits, not since
    return commits, False


def list_packages(app_id: str) -> Conversation[LazyPackageList]:
    """Return the packages of an app, whose details are decoded only when they are read."""
    listed: LazyPackageList = yield list_packages_lazily(app_id)
    return listed


def is_of_branch(package: Package, branch: str) -> bool:
    """Return whether a package was built from a branch, by the package's name.

    :param branch: as :func:`airflow_provider_mendix.api.inputs.branch` returns it.
    """
    if package.branch is None:
        return False
    return package.branch.removeprefix("branches/") in {
        name.removeprefix("branches/") for name in inputs.spellings(branch)
    }


def pending_packages(
    packages: Iterable[Package], branch: str, *, done: Collection[str] = (), include_failed: bool = False
) -> list[Package]:
    """Return the finished packages of a branch that are not done yet, oldest first.

    :param done: ids of the packages that have been processed.
    :param include_failed: also those that ended as ``Failed``.
    """
    statuses = {PackageStatus.SUCCEEDED, PackageStatus.FAILED} if include_failed else {PackageStatus.SUCCEEDED}
    branch = inputs.branch(branch)
    pending = [
        package
        for package in packages
        if package.status in statuses and package.package_id not in done and is_of_branch(package, branch)
    ]
    return sorted(pending, key=lambda package: package.creation_date or _EPOCH)
