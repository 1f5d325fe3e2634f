"""One intent, one build: a task finds the build that it has already started instead of starting another.

Before and after each start the list of packages is searched for the intent's marker. A lost reply, a killed
worker, a retry and a second worker therefore all end at the same package.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from airflow_provider_mendix.api.build import Package, PackageStatus, split_version
from airflow_provider_mendix.api.revisions import is_shown_as
from airflow_provider_mendix.builds.marker import Intent
from airflow_provider_mendix.builds.resolve import Rules, Target, choose
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.settings import VISIBILITY_POLL_INTERVAL, VISIBILITY_TIMEOUT
from airflow_provider_mendix.waits.package import BuildCapacityWait

log = logging.getLogger(__name__)


class Build(msgspec.Struct, frozen=True):
    """The build of an intent.

    :param package_id: the package to wait for.
    :param target: what it is built from, as far as its version tells.
    :param extra: further packages of the same intent, which nobody waits for.
    :param is_reused: whether it is the build of another intent.
    """

    package_id: str
    target: Target
    extra: tuple[str, ...] = ()
    is_reused: bool = False


def find_or_start(hook: MendixHook, intent: Intent, rules: Rules, clock: Clock) -> Build | BuildCapacityWait:
    """Give the intent's build: the one that is there already, else a new one; or what to wait for before that.

    The order is fixed: a build that this intent has started, a package of the revision that may be taken instead,
    room for a build, the next version.

    :raises MendixError: if there is no telling whether a build was started, after looking for it for a while; the
        next try looks again. Or whatever Mendix says against the build.
    """
    patience = VISIBILITY_TIMEOUT if intent.is_retry else 0.0
    recognise = intent.resembles if intent.is_retry else _nothing
    found, seen = _look(hook, intent, clock, patience, recognise, intent.is_of_the_try_before)
    if found:
        log.info(
            "Found package %s (%s), which this task has started before: it is not started again.",
            found[0].package_id,
            found[0].status,
        )
        return _converge(intent, found)
    chosen = choose(hook, intent, rules, seen)
    match chosen:
        case BuildCapacityWait():
            return chosen
        case Package():
            log.info(
                "Package %s (%s, %s) has the same revision: no build is started (if_exists='%s').",
                chosen.package_id,
                chosen.version,
                chosen.status,
                rules.if_exists,
            )
            return Build(chosen.package_id, _target(intent, chosen), is_reused=True)
        case Target():
            _tell_why(intent, seen)
            return _start(hook, intent, chosen, seen, clock)


def _start(hook: MendixHook, intent: Intent, target: Target, seen: list[Package], clock: Clock) -> Build:
    intent = msgspec.structs.replace(
        intent, revision=target.revision, version=target.version, branch=target.branch
    )
    known = {package.package_id for package in seen}
    try:
        package_id = hook.start_build(
            intent.app_id,
            revision=target.revision,
            version=target.version,
            branch=target.branch,
            description=intent.marked_description(),
        )
    except MendixError as error:
        if not error.transient and not error.outcome_unknown:
            raise
        return _recover_unconfirmed_start(hook, intent, clock, known, error)
    log.info(
        "Started package %s of app %s: version %s, revision %s, branch %s.",
        package_id,
        intent.app_id,
        target.version,
        target.revision,
        target.branch or "not given",
    )
    return _check_duplicates(hook, intent, clock, Build(package_id, target), known)


def _recover_unconfirmed_start(
    hook: MendixHook, intent: Intent, clock: Clock, known: set[str], error: MendixError
) -> Build:
    log.warning("It is not known whether the build was started, so it is looked for. %s", error)

    def is_new(package: Package) -> bool:
        return package.package_id not in known and intent.resembles(package)

    try:
        found, _ = _look(hook, intent, clock, VISIBILITY_TIMEOUT, is_new)
    except MendixError as blind:
        raise _still_in_doubt(error, f"Looking for it failed too: {blind}") from error
    if not found:
        raise _still_in_doubt(
            error, f"No package of this task appeared within {VISIBILITY_TIMEOUT:.0f} s."
        ) from error
    log.info("Found package %s: the build was started all the same.", found[0].package_id)
    return _converge(intent, found)


def _still_in_doubt(error: MendixError, what: str) -> MendixError:
    return error.with_hint(f"{what} The next try of this task looks again before it starts a build.")


def _check_duplicates(hook: MendixHook, intent: Intent, clock: Clock, build: Build, known: set[str]) -> Build:
    """There is no lock: another worker may have started the same build at the same moment."""
    try:
        found, seen = _look(hook, intent, clock, 0.0, _nothing)
    except MendixError as error:
        log.warning("It was not possible to look whether the build was started twice. %s", error)
        return build
    _tell_of_same_version(intent, build, [package for package in seen if package.package_id not in known])
    if not found:
        return build
    is_there = any(package.package_id == build.package_id for package in found)
    # Not in the list yet: whatever is there already is the earlier one.
    return _converge(intent, found, () if is_there else (build.package_id,))


def _tell_of_same_version(intent: Intent, build: Build, new: list[Package]) -> None:
    for package in new:
        if (
            package.package_id != build.package_id
            and not intent.owns(package)
            and split_version(package.version)[0] == build.target.version
        ):
            log.warning(
                "Package %s was started at the same time under the same version %s. Both are kept: they are told"
                " apart by their ids, and by the revision at the end of their versions if it differs.",
                package.package_id,
                build.target.version,
            )


def _look(
    hook: MendixHook,
    intent: Intent,
    clock: Clock,
    patience: float,
    recognise: Callable[[Package], bool],
    is_enough: Callable[[Package], bool] | None = None,
) -> tuple[list[Package], list[Package]]:
    """Give this intent's packages, earliest first, and all packages of the app.

    :param recognise: what to take for the intent's although it has no marker, if there is nothing better.
    :param is_enough: a package of the intent that, if it has failed, leaves nothing more to wait for.
    """
    waited = 0.0  # Counted, because a clock may be set.
    while True:
        seen = hook.list_packages(intent.app_id)
        owned = [package for package in seen if intent.owns(package)]
        # A build was only started because nothing older was left: what has no marker must be newer.
        newest = max(map(_age, owned), default=None)
        alike = [package for package in seen if recognise(package) and (newest is None or _age(package) > newest)]
        found = [package for package in owned if not intent.is_spent(package)]
        found = found or [package for package in alike if not intent.is_spent(package)]
        if found or waited >= patience or (is_enough and any(map(is_enough, owned))):
            return sorted(found, key=_age), seen
        clock.sleep(VISIBILITY_POLL_INTERVAL)
        waited += VISIBILITY_POLL_INTERVAL


def _converge(intent: Intent, found: list[Package], extra: tuple[str, ...] = ()) -> Build:
    """Every try picks the same one of several: the earliest that has not failed."""
    alive = [package for package in found if package.status != PackageStatus.FAILED] or found
    others = tuple(package.package_id for package in found if package is not alive[0]) + extra
    if others:
        log.warning(
            "This task has more than one package: %s counts, nobody waits for %s. Delete what is not needed.",
            alive[0].package_id,
            ", ".join(others),
        )
    return Build(alive[0].package_id, _target(intent, alive[0]), others)


def _target(intent: Intent, package: Package) -> Target:
    """What a package was built from, by its own word where the intent leaves it open."""
    version, shown = split_version(package.version)
    revision = intent.revision if intent.revision and is_shown_as(intent.revision, shown) else shown
    return Target(revision, version, intent.branch)


def _tell_why(intent: Intent, seen: list[Package]) -> None:
    spent = [package for package in seen if intent.owns(package) and intent.is_spent(package)]
    left = sorted((package for package in seen if intent.left_behind(package)), key=_age)
    if spent:
        log.info("Starting a build: package %s of an earlier try is Failed.", spent[-1].package_id)
    elif left:
        log.info(
            "Starting a build: the task was cleared since it started package %s (on_clear='rebuild').",
            left[-1].package_id,
        )
    else:
        log.info("Starting a build: there is none of this task yet.")


def _age(package: Package) -> tuple[float, str]:
    made = package.creation_date
    return (made.timestamp() if made else float("inf"), package.package_id)


def _nothing(package: Package) -> bool:
    return False
