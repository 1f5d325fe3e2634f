"""What to build: which revision, whether there is a package of it already, and under which version."""

from __future__ import annotations

import logging
import re
from typing import Literal

import msgspec

from airflow_provider_mendix.api.build import Package, PackageStatus, split_version
from airflow_provider_mendix.api.revisions import is_shown_as
from airflow_provider_mendix.builds.marker import Intent
from airflow_provider_mendix.exceptions import AppNotFoundError, ForbiddenError, RevisionAlreadyBuiltError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.waits.package import BuildCapacityWait

Bump = Literal["patch", "minor", "major"]
IfExists = Literal["rebuild", "reuse", "skip", "fail"]

_SVN_MAIN_LINE = "Main line"

log = logging.getLogger(__name__)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How to choose what to build.

    :param bump: which part of the newest version to raise, where no version is given.
    :param if_exists: what to do about a revision that is built already.
    :param check_revision: refuse a revision that is not on the branch.
    :param most_at_once: how many builds of the app may be under way.
    """

    bump: Bump | None = None
    if_exists: IfExists = "rebuild"
    check_revision: bool = True
    most_at_once: int | None = None


class Target(msgspec.Struct, frozen=True):
    """What to build.

    :param revision: in full length where the repository could be asked.
    :param version: ``major.minor.patch``.
    :param branch: as the Build API wants it.
    """

    revision: str
    version: str
    branch: str | None


def choose(
    hook: MendixHook, intent: Intent, rules: Rules, seen: list[Package]
) -> Target | Package | BuildCapacityWait:
    """Choose what to build, or a package that there is already, or to wait until there is room for a build.

    :param seen: the packages of the app.
    :raises RevisionAlreadyBuiltError: if the revision is built already, and that is to be a failure.
    :raises RevisionNotFoundError: if it is not on the branch.
    """
    revision, branch = _revision(hook, intent, rules)
    built = [
        package
        for package in packages_of(seen, revision, branch)
        if intent.version in (None, split_version(package.version)[0])
    ]
    if built and rules.if_exists != "rebuild":
        best = max(built, key=lambda package: package.status == PackageStatus.SUCCEEDED)
        if rules.if_exists == "fail":
            raise RevisionAlreadyBuiltError(
                f"Revision {revision} of app {intent.app_id} is built already: package {best.package_id}"
                f" ({best.version}, {best.status}), and if_exists is 'fail'."
            )
        return best
    if rules.most_at_once is not None and sum(package.is_unfinished for package in seen) >= rules.most_at_once:
        return BuildCapacityWait(intent.app_id, rules.most_at_once)
    return Target(revision, intent.version or next_version(seen, rules.bump or "patch"), branch)


def packages_of(seen: list[Package], revision: str, branch: str | None) -> list[Package]:
    """Pick the packages, failed ones left out, that were built from a revision; the newest first.

    A Git hash says what was built. An SVN revision does not, so there the branch must be the same too.

    :param branch: as the Build API wants it; ``None`` for any.
    """
    found = [
        package
        for package in seen
        if package.status != PackageStatus.FAILED
        and is_shown_as(revision, split_version(package.version)[1])
        and (branch is None or not revision.isdigit() or package.line == _line(branch))
    ]
    return sorted(found, key=_made_at, reverse=True)


def next_version(seen: list[Package], bump: Bump) -> str:
    """Raise the highest version of all packages, failed ones too; what is no version does not count."""
    known = [
        (int(found[1]), int(found[2]), int(found[3]))
        for package in seen
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


def _revision(hook: MendixHook, intent: Intent, rules: Rules) -> tuple[str, str | None]:
    if intent.revision is None:
        newest = hook.latest_revision(intent.app_id, intent.branch or "main")
        log.info(
            "The newest revision of branch %s of app %s is %s, by %s, %s: %s",
            newest.branch,
            newest.app_id,
            newest.revision,
            newest.author or "somebody",
            newest.date or "date unknown",
            newest.message or "no message",
        )
        return newest.revision, newest.branch
    if intent.branch is None or not rules.check_revision:
        return intent.revision, intent.branch
    has_token = hook.has_token
    if not has_token and not intent.revision.isdigit():
        log.info(
            "It is not checked whether revision %s is on branch %s: for Git apps that takes a personal access"
            " token in connection %s.",
            intent.revision,
            intent.branch,
            hook.mendix_conn_id,
        )
        return intent.revision, intent.branch
    try:
        found = hook.find_revision(intent.app_id, intent.branch, intent.revision)
    except (AppNotFoundError, ForbiddenError) as error:
        if has_token:
            raise
        # The Team Server API does not serve every app that the Build API builds.
        log.warning("It cannot be checked whether revision %s is on its branch. %s", intent.revision, error)
        return intent.revision, intent.branch
    return found.revision, found.branch


def _line(branch: str) -> str:
    return _SVN_MAIN_LINE if branch == "trunk" else branch.removeprefix("branches/")


def _made_at(package: Package) -> float:
    return package.creation_date.timestamp() if package.creation_date else 0.0
