"""One intent, one build: a task finds the build that it has already started instead of starting another.

Before and after each start, the list of packages is searched for the intent's marker. So a lost response, a killed
worker, a retry and a second worker all end at the same package.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import msgspec
import pendulum

from airflow_provider_mendix.api.build import Package, PackageStatus, split_version
from airflow_provider_mendix.api.revisions import is_shown_as
from airflow_provider_mendix.archive.catalog import list_archived_packages
from airflow_provider_mendix.builds.intent import Intent
from airflow_provider_mendix.builds.resolve import BuildPolicy, Target, resolve
from airflow_provider_mendix.builds.started_before import Order, find_started_before
from airflow_provider_mendix.client.retry import retry_until_timeout
from airflow_provider_mendix.exceptions import MendixError, OutageError, PackageFailedError
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
    :param expiry_date: when Mendix deletes the package unless it is deployed, where that is known already.
    """

    package_id: str
    target: Target
    extra: tuple[str, ...] = ()
    is_reused: bool = False
    expiry_date: pendulum.DateTime | None = None


def find_or_start(
    hook: MendixHook, intent: Intent, policy: BuildPolicy, *, outage_tolerance: float, poll_interval: float
) -> Build | BuildCapacityWait:
    """Return the intent's build, started now if there is none; or what to wait for before that.

    The order is fixed: a build that this intent has started, a package of the revision that may be used instead,
    capacity for a build, the next version.

    :param outage_tolerance: how long starting may keep failing, in seconds.
    :param poll_interval: the pause before a start is tried again, in seconds.
    :raises PackageFailedError: if the build of an earlier try has failed, and is not to be replaced.
    :raises OutageError: if the start could not be confirmed in time; the next try searches again.
    :raises MendixError: if Mendix refuses the build, or the packages cannot be listed.
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
    start = _Start(hook, intent, policy, packages)
    if (build := start.resolve(packages)) is not None:
        return build
    _log_why(intent, packages)
    start.warn()
    return retry_until_timeout(
        start.attempt,
        timeout=outage_tolerance,
        poll_interval=poll_interval,
        action=f"start a build of app {intent.app_id}",
        timeout_error=OutageError,
    )


class _Start:
    """The start of a build, as something that can be attempted until Mendix confirms it.

    An attempt that may have started a build without a confirmation searches for it, and the next attempt starts
    one only if there is none.
    """

    def __init__(self, hook: MendixHook, intent: Intent, policy: BuildPolicy, packages: list[Package]) -> None:
        self.hook = hook
        self.intent = intent
        self.policy = policy
        self._archived = [] if policy.archive is None else list_archived_packages(policy.archive, intent.app_id)
        self._known = {package.package_id for package in packages}
        self._target: Target | None = None
        self._attempted: list[Intent] = []
        self._search_timeout = 0.0

    def resolve(self, packages: list[Package]) -> Build | BuildCapacityWait | None:
        """Decide what to build; return what to use or to wait for instead, if there is something."""
        resolved = resolve(self.hook, self.intent, self.policy, packages, self._archived)
        if isinstance(resolved, BuildCapacityWait):
            return resolved
        if isinstance(resolved, Target):
            self._target = resolved
            return None
        log.info(
            "Package %s (%s, %s) has the same revision; not starting a build (if_exists='%s').",
            resolved.package_id,
            resolved.version,
            resolved.status,
            self.policy.if_exists,
        )
        target = _target_of(self.intent, resolved)
        return Build(resolved.package_id, target, is_reused=True, expiry_date=resolved.expiry_date)

    def warn(self) -> None:
        """Log what is not known about the revision, once for all attempts."""
        if self._target and self._target.warning:
            log.warning(self._target.warning)

    def attempt(self) -> Build | BuildCapacityWait:
        """Start the build, unless an attempt before has started it."""
        if self._attempted:
            own, packages = self._search()
            if own:
                return _converge(self._attempted[-1], own)
            if (build := self.resolve(packages)) is not None:
                return build
        assert self._target is not None  # noqa: S101
        target = self._target
        intent = msgspec.structs.replace(
            self.intent, revision=target.revision, version=target.version, branch=target.branch
        )
        try:
            package_id = self.hook.start_build(
                intent.app_id,
                revision=target.revision,
                version=target.version,
                branch=target.branch,
                description=intent.marked_description(),
            )
        except MendixError as error:
            if not error.transient and not error.outcome_unknown:
                raise
            self._attempted.append(intent)
            return self._recover(error)
        log.info(
            "Started package %s of app %s: version %s, revision %s, branch %s.",
            package_id,
            intent.app_id,
            target.version,
            target.revision,
            target.branch or "not given",
        )
        return _check_duplicates(self.hook, intent, Build(package_id, target), self._known)

    def _recover(self, error: MendixError) -> Build:
        """Return the build whose start was not confirmed.

        :raises MendixError: the error of the start, if there is no build.
        """
        if error.outcome_unknown:
            log.warning("Start request not confirmed; searching for the build. %s", error)
            self._search_timeout = VISIBILITY_TIMEOUT
        try:
            own, _ = self._search()
        except MendixError as failed:
            raise failed.with_hint(f"Before that, the start request was not confirmed: {error}") from error
        if not own:
            searched = f"No package of this task appeared within {VISIBILITY_TIMEOUT:.0f} s. "
            raise error.with_hint(
                f"{searched if error.outcome_unknown else ''}The task searches again before it starts a build."
            ) from error
        log.info("Found package %s: the build was started.", own[0].package_id)
        return _converge(self._attempted[-1], own)

    def _search(self) -> tuple[list[Package], list[Package]]:
        own, packages = find_started_before(
            partial(self.hook.list_packages, self.intent.app_id),
            partial(_own, self.intent, self._is_probably_own),
            _order,
            timeout=self._search_timeout,
        )
        self._search_timeout = 0.0
        return own, packages

    def _is_probably_own(self, package: Package) -> bool:
        return package.package_id not in self._known and any(
            intent.resembles(package) for intent in self._attempted
        )


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
    if intent.has_failed_before(first):
        raise PackageFailedError(
            f"Package {first.package_id} of app {intent.app_id} (version {first.version or 'unknown'}), which an"
            " earlier try of this task has started, ended as Failed. The Build API gives no reason; open the app's"
            " Environments page in the portal for the build output. Clear the task to build again, or let retries"
            " do so with retry_failed_build=True."
        )
    extra = (*(package.package_id for package in others), *extra)
    if extra:
        log.warning(
            "This task has more than one package: using %s; no task waits for %s. Delete what is not needed.",
            first.package_id,
            ", ".join(extra),
        )
    return Build(first.package_id, _target_of(intent, first), extra, expiry_date=first.expiry_date)


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
