"""One intent, one build: a task finds the build that it has already started instead of starting another.

Before and after each start, the list of packages is searched for the intent's marker. So a lost response, a killed
worker, a retry and a second worker all end at the same package.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import msgspec

from airflow_provider_mendix.api.build import Package, PackageStatus, split_version
from airflow_provider_mendix.api.revisions import is_shown_as
from airflow_provider_mendix.builds.intent import Intent
from airflow_provider_mendix.builds.resolve import BuildPolicy, Target, resolve
from airflow_provider_mendix.builds.started_before import Order, find_started_before
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT
from airflow_provider_mendix.waits.package import BuildCapacityWait

log = logging.getLogger(__name__)


class Build(msgspec.Struct, frozen=True):
    """The build of an intent.

    :param package_id: the package to wait for.
    :param target: what it is built from, as far as its version shows.
    :param extra: further packages of the same intent, which no task waits for.
    :param is_reused: whether it is the build of another intent.
    """

    package_id: str
    target: Target
    extra: tuple[str, ...] = ()
    is_reused: bool = False


def find_or_start(hook: MendixHook, intent: Intent, policy: BuildPolicy) -> Build | BuildCapacityWait:
    """Return the intent's build, started now if there is none; or what to wait for before that.

    The order is fixed: a build that this intent has started, a package of the revision that may be used instead,
    capacity for a build, the next version.

    :raises MendixError: if the start cannot be confirmed and no package appears; the next try searches again. Also
        whatever Mendix refuses the build for.
    """
    is_retry = intent.owner.is_retry
    own, packages = find_started_before(
        partial(hook.list_packages, intent.app_id),
        partial(_own, intent, intent.resembles if is_retry else _never),
        _order,
        timeout=VISIBILITY_TIMEOUT if is_retry else 0.0,
        is_settled=lambda listed: any(intent.owns(one) and intent.is_of_previous_try(one) for one in listed),
    )
    if own:
        log.info(
            "Found package %s (%s), which this task has started before; not starting another.",
            own[0].package_id,
            own[0].status,
        )
        return _converge(intent, own)
    target = resolve(hook, intent, policy, packages)
    match target:
        case BuildCapacityWait():
            return target
        case Package():
            log.info(
                "Package %s (%s, %s) has the same revision; not starting a build (if_exists='%s').",
                target.package_id,
                target.version,
                target.status,
                policy.if_exists,
            )
            return Build(target.package_id, _target_of(intent, target), is_reused=True)
        case Target():
            _log_why(intent, packages)
            return _start(hook, intent, target, packages)


def _start(hook: MendixHook, intent: Intent, target: Target, packages: list[Package]) -> Build:
    intent = msgspec.structs.replace(
        intent, revision=target.revision, version=target.version, branch=target.branch
    )
    known = {package.package_id for package in packages}
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
        return _recover_unconfirmed_start(hook, intent, known, error)
    log.info(
        "Started package %s of app %s: version %s, revision %s, branch %s.",
        package_id,
        intent.app_id,
        target.version,
        target.revision,
        target.branch or "not given",
    )
    return _check_duplicates(hook, intent, Build(package_id, target), known)


def _recover_unconfirmed_start(hook: MendixHook, intent: Intent, known: set[str], error: MendixError) -> Build:
    log.warning("Start request not confirmed; searching for the build. %s", error)
    next_try = "The next try of this task searches again before it starts a build."
    try:
        own, _ = find_started_before(
            partial(hook.list_packages, intent.app_id),
            partial(_own, intent, lambda one: one.package_id not in known and intent.resembles(one)),
            _order,
            timeout=VISIBILITY_TIMEOUT,
        )
    except MendixError as failed:
        raise error.with_hint(f"Searching for the build failed too: {failed} {next_try}") from error
    if not own:
        raise error.with_hint(
            f"No package of this task appeared within {VISIBILITY_TIMEOUT:.0f} s. {next_try}"
        ) from error
    log.info("Found package %s: the build was started.", own[0].package_id)
    return _converge(intent, own)


def _check_duplicates(hook: MendixHook, intent: Intent, build: Build, known: set[str]) -> Build:
    """Return the build that counts: another worker may have started the same one at the same moment."""
    try:
        packages = hook.list_packages(intent.app_id)
    except MendixError as error:
        log.warning("Could not check whether the build was started twice. %s", error)
        return build
    _warn_of_same_version(intent, build, [package for package in packages if package.package_id not in known])
    own = sorted(_own(intent, _never, packages), key=_order)
    if not own:
        return build
    is_listed = any(package.package_id == build.package_id for package in own)
    # What is listed already was made before what is not.
    return _converge(intent, own, () if is_listed else (build.package_id,))


def _warn_of_same_version(intent: Intent, build: Build, new: list[Package]) -> None:
    for package in new:
        if (
            package.package_id != build.package_id
            and not intent.owns(package)
            and split_version(package.version)[0] == build.target.version
        ):
            log.warning(
                "Package %s was started at the same time under the same version %s. Both are kept. They differ in"
                " their ids, and in the revision at the end of their versions unless that is the same too.",
                package.package_id,
                build.target.version,
            )


def _own(intent: Intent, is_probably_own: Callable[[Package], bool], packages: list[Package]) -> list[Package]:
    """Return the intent's packages that no retry replaces.

    :param is_probably_own: recognise a package without a marker, if none with a marker is left.
    """
    marked = [package for package in packages if intent.owns(package)]
    # A build is started only if nothing earlier is left: a package without a marker must be newer.
    newest = max(map(_age, marked), default=None)
    probable = [
        package for package in packages if is_probably_own(package) and (newest is None or _age(package) > newest)
    ]
    return _not_replaced(intent, marked) or _not_replaced(intent, probable)


def _not_replaced(intent: Intent, packages: list[Package]) -> list[Package]:
    return [package for package in packages if not intent.is_replaced(package)]


def _converge(intent: Intent, own: list[Package], extra: tuple[str, ...] = ()) -> Build:
    first, *others = own
    extra = (*(package.package_id for package in others), *extra)
    if extra:
        log.warning(
            "This task has more than one package: using %s; no task waits for %s. Delete what is not needed.",
            first.package_id,
            ", ".join(extra),
        )
    return Build(first.package_id, _target_of(intent, first), extra)


def _target_of(intent: Intent, package: Package) -> Target:
    """Return what a package was built from; its version shows what the intent leaves open."""
    version, shown = split_version(package.version)
    revision = intent.revision if intent.revision and is_shown_as(intent.revision, shown) else shown
    return Target(revision, version, intent.branch)


def _log_why(intent: Intent, packages: list[Package]) -> None:
    replaced = [package for package in packages if intent.owns(package) and intent.is_replaced(package)]
    left = sorted((package for package in packages if intent.left_behind(package)), key=_age)
    if replaced:
        log.info("Starting a build: package %s of an earlier try is Failed.", replaced[-1].package_id)
    elif left:
        log.info(
            "Starting a build: the task was cleared since it started package %s (on_clear='rebuild').",
            left[-1].package_id,
        )
    else:
        log.info("Starting a build: this task has not started one yet.")


def _order(package: Package) -> Order:
    has_failed = package.status == PackageStatus.FAILED
    return Order.of(package.package_id, package.creation_date, has_failed=has_failed)


def _age(package: Package) -> tuple[float, str]:
    _, created_at, package_id = _order(package)
    return created_at, package_id


def _never(package: Package) -> bool:
    return False
