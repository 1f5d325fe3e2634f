"""Decide what to build: which revision, whether a package of it exists already, and under which version."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from airflow_provider_mendix.api.app_repository import CREDENTIAL_TO_ADD
from airflow_provider_mendix.api.build import Package, PackageStatus, split_version
from airflow_provider_mendix.api.revisions import GIT_HASH, is_shown_as
from airflow_provider_mendix.builds.intent import Intent
from airflow_provider_mendix.exceptions import MendixError, RetiredApiError, RevisionAlreadyBuiltError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.waits.package import BuildCapacityWait

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

Bump = Literal["patch", "minor", "major"]
IfExists = Literal["rebuild", "reuse", "skip", "fail"]

log = logging.getLogger(__name__)


class BuildPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How the author wants it to be decided what is built.

    :param bump: which part of the highest version to raise, if no version is given.
    :param if_exists: what to do if the revision is built already.
    :param check_revision: refuse a revision that is not on the branch.
    :param max_parallel_builds: how many builds of the app may be in progress.
    :param archive: a folder whose packages count too, when it is decided what is built already and which version
        is the highest.
    """

    bump: Bump | None = None
    if_exists: IfExists = "rebuild"
    check_revision: bool = True
    max_parallel_builds: int | None = None
    archive: ObjectStoragePath | None = None


class Target(msgspec.Struct, frozen=True):
    """What to build.

    :param revision: in full length where the repository could be asked.
    :param version: ``major.minor.patch``.
    :param branch: as the Build API expects it.
    :param warning: what to log before the build is started: what is not known about the revision.
    """

    revision: str
    version: str
    branch: str | None
    warning: str = ""


def resolve(
    hook: MendixHook, intent: Intent, policy: BuildPolicy, packages: list[Package], archived: list[Package]
) -> Target | Package | BuildCapacityWait:
    """Return what to build, or an existing package to use instead, or the wait for capacity for a build.

    :param packages: the packages of the app.
    :param archived: those in the archive.
    :raises RevisionAlreadyBuiltError: if the revision is built already and ``if_exists`` is ``"fail"``.
    :raises RevisionNotFoundError: if it is not on the branch.
    """
    revision, branch, unchecked = _resolve_revision(hook, intent, policy)
    known = {package.package_id for package in packages}
    every = [*packages, *(package for package in archived if package.package_id not in known)]
    built = [
        package
        for package in packages_of(packages if policy.if_exists == "reuse" else every, revision, branch)
        if intent.version in (None, split_version(package.version)[0])
    ]
    if built and policy.if_exists != "rebuild":
        best = max(built, key=lambda package: package.status == PackageStatus.SUCCEEDED)
        if policy.if_exists == "fail":
            raise RevisionAlreadyBuiltError(
                f"Revision {revision} of app {intent.app_id} is built already: package {best.package_id}"
                f" ({best.version}, {best.status}), and if_exists is 'fail'."
            )
        return best
    limit = policy.max_parallel_builds
    if limit is not None and sum(package.is_unfinished for package in packages) >= limit:
        return BuildCapacityWait(intent.app_id, limit)
    version = intent.version or next_version(every, policy.bump or "patch")
    return Target(revision, version, branch, f"{unchecked} {_hash_advice(revision)}".strip())


def packages_of(packages: list[Package], revision: str, branch: str | None) -> list[Package]:
    """Return the packages that were built from a revision, without the failed ones, newest first.

    A Git hash identifies what was built. An SVN revision does not, so there the branch must be the same too.

    :param branch: as the Build API expects it; ``None`` for any.
    """
    found = [
        package
        for package in packages
        if package.status != PackageStatus.FAILED
        and is_shown_as(revision, split_version(package.version)[1])
        and (branch is None or not revision.isdigit() or package.branch == branch.removeprefix("branches/"))
    ]
    return sorted(found, key=_created_at, reverse=True)


def next_version(packages: list[Package], bump: Bump) -> str:
    """Return the version after the highest one of all packages, failed ones included.

    A package whose version is not three or four numbers does not count.
    """
    known = [
        (int(found[1]), int(found[2]), int(found[3]))
        for package in packages
        if (found := re.fullmatch(r"([0-9]+)\.([0-9]+)\.([0-9]+)(\..*)?", package.version or ""))
    ]
    major, minor, patch = max(known, default=(0, 0, 0))
    match bump:
        case "major":
            return f"{major + 1}.0.0"
        case "minor":
            return f"{major}.{minor + 1}.0"
        case "patch":
            return f"{major}.{minor}.{patch + 1}"


def _resolve_revision(hook: MendixHook, intent: Intent, policy: BuildPolicy) -> tuple[str, str | None, str]:
    """Return the revision and the branch, and why it is not known whether the one is on the other."""
    if intent.revision is None:
        newest = hook.latest_revision(intent.app_id, intent.branch or "main")
        log.info(
            "The newest revision of branch %s of app %s is %s, by %s, %s: %s",
            newest.branch,
            newest.app_id,
            newest.revision,
            newest.author or "unknown author",
            newest.date or "unknown date",
            newest.message or "no message",
        )
        return newest.revision, newest.branch, ""
    if intent.branch is None or not policy.check_revision:
        return intent.revision, intent.branch, ""
    unchecked = f"Not checked whether revision {intent.revision} is on branch {intent.branch}"
    if not hook.has_token and not intent.revision.isdigit():
        return intent.revision, intent.branch, f"{unchecked}: the connection lacks {CREDENTIAL_TO_ADD}."
    try:
        found = hook.find_revision(intent.app_id, intent.branch, intent.revision)
    except MendixError as error:
        # Mendix has retired the Team Server API: a build must not depend on it.
        if hook.has_token or not (error.transient or isinstance(error, RetiredApiError)):
            raise
        return intent.revision, intent.branch, f"{unchecked}. {error}"
    return found.revision, found.branch, ""


def _hash_advice(revision: str) -> str:
    is_short = not revision.isdigit() and len(revision) < GIT_HASH
    return "Give the full hash: with a short one, Mendix may time out on a large repository." if is_short else ""


def _created_at(package: Package) -> float:
    return package.creation_date.timestamp() if package.creation_date else 0.0
