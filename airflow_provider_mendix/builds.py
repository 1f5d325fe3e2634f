"""One intent, one build: a task finds the build that it has already started instead of starting another.

The Build API has no idempotency key, but it keeps the description of a package and gives it back in the list. So
each build is started with a marker at the end of its description, and before and after each start the list is
searched for it. A lost reply, a killed worker, a retry and a second worker therefore all end at the same package.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from airflow.providers.common.compat.sdk import conf

from airflow_provider_mendix.api.build import Package, PackageStatus
from airflow_provider_mendix.api.clock import Clock
from airflow_provider_mendix.api.errors import MendixError, MendixResponseError
from airflow_provider_mendix.hooks.mendix import MendixHook

if TYPE_CHECKING:
    from airflow.sdk import Context

OnClear = Literal["rebuild", "reattach"]

LONGEST_DESCRIPTION = 200
VISIBLE_WITHIN = 60.0
LOOK_EVERY = 5.0
CLOCKS_DIFFER_BY = 600.0

log = logging.getLogger(__name__)


class Marker(msgspec.Struct, frozen=True):
    """What a description tells about who started the build, such as ``[airflow 3f9c0a7be2d14c58 try 2 of 4]``.

    :param digest: of the installation, DAG, run, task, map index and arguments.
    :param try_number: the try that started the build.
    :param last_try: the last try that may follow without somebody clearing the task. A retry keeps it, and a
        Clear always moves it, so equal values mean the same intent.
    """

    digest: str
    try_number: int
    last_try: int

    def __str__(self) -> str:
        return f"[airflow {self.digest} try {self.try_number} of {self.last_try}]"

    @classmethod
    def of(cls, description: str | None) -> Marker | None:
        """Read the marker of a description, if it has one."""
        found = re.search(r"\[airflow ([0-9a-f]{16}) try (\d{1,6}) of (\d{1,6})\]\s*$", description or "")
        return cls(found[1], int(found[2]), int(found[3])) if found else None


_LONGEST_MARKER = Marker("0" * 16, 999_999, 999_999)


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What one task run wants built, whichever try of it is running.

    :param app_id: subdomain of the app.
    :param description: the human part; it is trimmed to make room for the marker, never the other way round.
    :param marker: of the try that is running.
    :param began_at: seconds since the epoch when the DAG run began; no package of ours is older.
    :param is_retry: whether an earlier try of the same intent may have started the build.
    """

    app_id: str
    revision: str
    version: str
    branch: str | None
    description: str
    marker: Marker
    began_at: float
    is_retry: bool
    on_clear: OnClear = "rebuild"

    def marked_description(self) -> str:
        """Give the description to send; all tries trim the human part alike."""
        room = LONGEST_DESCRIPTION - len(str(_LONGEST_MARKER)) - 1
        return f"{self.description[:room].rstrip()} {self.marker}".lstrip()

    def owns(self, package: Package) -> bool:
        """Tell whether a package was started for this intent, by its marker."""
        found = Marker.of(package.description)
        if found is None or found.digest != self.marker.digest:
            return False
        if self.on_clear == "reattach" and found.last_try < self.marker.last_try:
            return True  # To clear a task of a finished DAG run moves the start of the run.
        same_intent = found.last_try == self.marker.last_try or self.on_clear == "reattach"
        return same_intent and not self._is_older(package)

    def left_behind(self, package: Package) -> bool:
        """Tell whether a package was started by this task before somebody cleared it."""
        found = Marker.of(package.description)
        return found is not None and found.digest == self.marker.digest and not self.owns(package)

    def resembles(self, package: Package) -> bool:
        """Tell whether a package whose marker Mendix cut off or dropped is probably this intent's."""
        version, _, revision = (package.version or "").rpartition(".")
        kept = (package.description or "").rstrip()
        # What every try writes alike: the rest of the marker is of the try that wrote it.
        alike = self.marked_description().rpartition(" try ")[0]
        return (
            Marker.of(package.description) is None
            and (alike.startswith(kept) or kept.startswith(alike))
            and version == self.version
            and _same_revision(self.revision.lower(), revision.lower())
            and not self._is_older(package)
        )

    def is_spent(self, package: Package) -> bool:
        """Tell whether a package is the failed attempt of an earlier try, which a retry replaces."""
        found = Marker.of(package.description)
        return package.status == PackageStatus.FAILED and (
            found is None or found.try_number < self.marker.try_number
        )

    def is_of_the_try_before(self, package: Package) -> bool:
        """Tell whether a package accounts for what the try before has started."""
        found = Marker.of(package.description)
        return found is not None and found.try_number == self.marker.try_number - 1

    def _is_older(self, package: Package) -> bool:
        made = package.creation_date
        return made is not None and made.timestamp() < self.began_at - CLOCKS_DIFFER_BY


class Build(msgspec.Struct, frozen=True):
    """The build of an intent.

    :param package_id: the package to wait for.
    :param extra: further packages of the same intent, which nobody waits for.
    """

    package_id: str
    extra: tuple[str, ...] = ()


def digest_of(context: Context, arguments: str) -> str:
    """Give what tells the runs of all tasks of all installations apart.

    :param arguments: the task's arguments as the DAG's author wrote them, before rendering: a retry whose template
        renders to a newer revision must still find its build.
    """
    installation = conf.get("mendix", "instance_name", fallback="") or conf.get("api", "base_url", fallback="")
    ti = context["ti"]
    values = (installation, ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), arguments)
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:16]


def marker_of(context: Context, arguments: str) -> Marker:
    """Give the marker of the try that is running."""
    ti: Any = context["ti"]
    return Marker(digest_of(context, arguments), ti.try_number, ti.max_tries + 1)


def find_or_start(hook: MendixHook, intent: Intent, clock: Clock) -> Build:
    """Give the intent's build: the one that is there already, else a new one.

    :raises MendixError: if there is no telling whether a build was started, after looking for it for a while; the
        next try looks again. Or whatever Mendix says against the build.
    """
    patience = VISIBLE_WITHIN if intent.is_retry else 0.0
    recognise = intent.resembles if intent.is_retry else _nothing
    found, seen = _look(hook, intent, clock, patience, recognise, intent.is_of_the_try_before)
    if found:
        log.info(
            "Found package %s (%s), which this task has started before: it is not started again.",
            found[0].package_id,
            found[0].status,
        )
        return _converge(found)
    _tell_why(intent, seen)
    known = {package.package_id for package in seen}
    try:
        package_id = hook.start_build(
            intent.app_id,
            revision=intent.revision,
            version=intent.version,
            branch=intent.branch,
            description=intent.marked_description(),
        )
    except MendixError as error:
        unheard_of = type(error) is MendixResponseError and (error.status or 0) >= 500
        if not error.transient and not unheard_of:
            raise
        return _after_doubt(hook, intent, clock, known, error)
    log.info(
        "Started package %s of app %s: version %s, revision %s, branch %s.",
        package_id,
        intent.app_id,
        intent.version,
        intent.revision,
        intent.branch or "not given",
    )
    return _look_for_twins(hook, intent, clock, package_id)


def _after_doubt(hook: MendixHook, intent: Intent, clock: Clock, known: set[str], error: MendixError) -> Build:
    log.warning("It is not known whether the build was started, so it is looked for. %s", error)

    def is_new(package: Package) -> bool:
        return package.package_id not in known and intent.resembles(package)

    try:
        found, _ = _look(hook, intent, clock, VISIBLE_WITHIN, is_new)
    except MendixError as blind:
        raise _still_in_doubt(error, f"Looking for it failed too: {blind}") from error
    if not found:
        raise _still_in_doubt(error, f"No package of this task appeared within {VISIBLE_WITHIN:.0f} s.") from error
    log.info("Found package %s: the build was started all the same.", found[0].package_id)
    return _converge(found)


def _still_in_doubt(error: MendixError, what: str) -> MendixError:
    return type(error)(
        f"{error} {what} The next try of this task looks again before it starts a build.",
        status=error.status,
        code=error.code,
        retry_after=error.retry_after,
    )


def _look_for_twins(hook: MendixHook, intent: Intent, clock: Clock, package_id: str) -> Build:
    """There is no lock: another worker may have started the same build at the same moment."""
    try:
        found, _ = _look(hook, intent, clock, 0.0, _nothing)
    except MendixError as error:
        log.warning("It was not possible to look whether the build was started twice. %s", error)
        return Build(package_id)
    if not found:
        return Build(package_id)
    is_there = any(package.package_id == package_id for package in found)
    # Not in the list yet: whatever is there already is the earlier one.
    return _converge(found, () if is_there else (package_id,))


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
        clock.sleep(LOOK_EVERY)
        waited += LOOK_EVERY


def _converge(found: list[Package], extra: tuple[str, ...] = ()) -> Build:
    """Every try picks the same one of several: the earliest that has not failed."""
    alive = [package for package in found if package.status != PackageStatus.FAILED] or found
    others = tuple(package.package_id for package in found if package is not alive[0]) + extra
    if others:
        log.warning(
            "This task has more than one package: %s counts, nobody waits for %s. Delete what is not needed.",
            alive[0].package_id,
            ", ".join(others),
        )
    return Build(alive[0].package_id, others)


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


def _same_revision(asked: str, shown: str) -> bool:
    """Mendix shows the first 8 digits of a Git hash; a part of an SVN number is another number."""
    if asked.isdigit():
        return shown in (asked, asked[:8])
    return bool(shown) and (asked.startswith(shown) or shown.startswith(asked))


def _age(package: Package) -> tuple[float, str]:
    made = package.creation_date
    return (made.timestamp() if made else float("inf"), package.package_id)


def _nothing(package: Package) -> bool:
    return False
