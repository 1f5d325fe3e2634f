"""Which packages of an app to keep and which to delete: all of it is decided before anything is deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pendulum

from airflow_provider_mendix.api.build import Package, PackageStatus
from airflow_provider_mendix.archive.catalog import reasons_not_archived
from airflow_provider_mendix.exceptions import MendixError, PackageInUseError, PackageNotFoundError
from airflow_provider_mendix.hooks.mendix import MendixHook

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

_MAX_FAILURES_IN_A_ROW = 5
_MAX_IDS = 20
_SUMMARY = ("package_id", "version", "status", "creation_date", "expiry_date")

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """A package that stays, and why."""

    package: Package
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """What to do with the packages of an app.

    :param delete: oldest first.
    :param keep: newest first.
    """

    delete: tuple[Package, ...]
    keep: tuple[Kept, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "delete": [_summary(package) for package in self.delete],
            "keep": [{**_summary(kept.package), "reason": kept.reason} for kept in self.keep],
        }


class PruneResult(msgspec.Struct, frozen=True):
    """What happened to the packages of a plan, by their ids.

    :param in_use: Mendix refused to delete it, because an environment uses it.
    :param missing: it had been deleted before.
    """

    deleted: list[str] = []
    in_use: list[str] = []
    missing: list[str] = []


def plan(
    packages: Iterable[Package],
    *,
    keep_last: int,
    per_branch: bool,
    older_than: timedelta | None,
    now: pendulum.DateTime,
) -> Plan:
    """Decide which packages to delete.

    The newest ``keep_last`` packages that are ``Succeeded`` stay, and so does what is newer than one of them. All
    stay if there are fewer. What is unfinished or has no date stays. What has expired is left to Mendix.

    :param per_branch: decide for each branch on its own; packages whose name shows no branch are one group.
    :param older_than: keep also what is not older than this.
    """
    groups: dict[str | None, list[Package]] = {}
    for package in packages:
        groups.setdefault(package.branch if per_branch else None, []).append(package)
    delete, keep = [], []
    for group in groups.values():
        last = _last_to_keep(group, keep_last, now)
        for package in group:
            reason = _reason_to_keep(package, keep_last, last, older_than, now)
            if reason is None:
                delete.append(package)
            else:
                keep.append(Kept(package, reason))
    keep.sort(key=lambda kept: _rank(kept.package), reverse=True)
    return Plan(tuple(sorted(delete, key=_rank)), tuple(keep))


def exclude(plan: Plan, reasons: Mapping[str, str]) -> Plan:
    """Return the plan without deleting some of its packages.

    :param reasons: why each of them stays, by its id.
    """
    delete = [package for package in plan.delete if package.package_id not in reasons]
    keep = list(plan.keep)
    keep += [Kept(package, reasons[package.package_id]) for package in plan.delete if package not in delete]
    keep.sort(key=lambda kept: _rank(kept.package), reverse=True)
    return Plan(tuple(delete), tuple(keep))


def exclude_unarchived(plan: Plan, archive: ObjectStoragePath, app_id: str) -> Plan:
    """Return the plan without deleting packages that an archive does not hold undamaged.

    Failed packages have no file, and need no archive.

    :param archive: the folder; everything below it counts.
    """
    with_file = [package.package_id for package in plan.delete if package.status != PackageStatus.FAILED]
    return exclude(plan, reasons_not_archived(archive, app_id, with_file))


def log_plan(plan: Plan, app_id: str, now: pendulum.DateTime) -> None:
    """Log what is to be deleted."""
    for package in plan.delete:
        log.info(
            "To be deleted: package %s of app %s, version %s, %d days old, %s",
            package.package_id,
            app_id,
            package.version or "unknown",
            _age(package, now).days,
            package.status,
        )
    log.info("App %s: %d package(s) to delete, %d to keep", app_id, len(plan.delete), len(plan.keep))


def apply(plan: Plan, hook: MendixHook, app_id: str) -> PruneResult:
    """Delete what the plan says. A package that cannot be deleted does not stop the others.

    A delete call is sent once. If its response is lost, the next run of the task lists the packages again and
    shows whether it was processed.

    :raises MendixError: if some packages are left; it names what was deleted and what is left.
    """
    result = PruneResult()
    ids = [package.package_id for package in plan.delete]
    left: list[str] = []
    failures_in_a_row = 0
    for position, package_id in enumerate(ids):
        if _delete(package_id, hook, app_id, result):
            failures_in_a_row = 0
            continue
        left.append(package_id)
        failures_in_a_row += 1
        if failures_in_a_row == _MAX_FAILURES_IN_A_ROW:
            # The packages are not the cause. More requests do not help a server that is down or limits them.
            left += ids[position + 1 :]
            break
    if left:
        raise _unfinished(app_id, result, left)
    return result


def _delete(package_id: str, hook: MendixHook, app_id: str, result: PruneResult) -> bool:
    """Delete a package and record the result; return whether there is one."""
    try:
        hook.delete_package(app_id, package_id)
    except PackageInUseError:
        log.info("Package %s of app %s is in use; keeping it.", package_id, app_id)
        result.in_use.append(package_id)
    except PackageNotFoundError:
        log.info("Package %s of app %s does not exist any more.", package_id, app_id)
        result.missing.append(package_id)
    except MendixError as error:
        if error.final:
            raise
        log.warning("Package %s of app %s could not be deleted. %s", package_id, app_id, error)
        return False
    else:
        log.info("Deleted package %s of app %s.", package_id, app_id)
        result.deleted.append(package_id)
    return True


def _last_to_keep(group: list[Package], keep_last: int, now: pendulum.DateTime) -> tuple[float, str] | None:
    """Return the rank of the oldest package among the newest ``keep_last``; ``None`` if there are too few."""
    succeeded = [
        _rank(package)
        for package in group
        if package.status == PackageStatus.SUCCEEDED and package.creation_date and not _has_expired(package, now)
    ]
    return sorted(succeeded, reverse=True)[keep_last - 1] if len(succeeded) >= keep_last else None


def _reason_to_keep(
    package: Package,
    keep_last: int,
    last: tuple[float, str] | None,
    older_than: timedelta | None,
    now: pendulum.DateTime,
) -> str | None:
    """Return why a package stays, if it does."""
    if package.is_unfinished:
        return f"it is {package.status}"
    if package.creation_date is None:
        return "it has no date"
    if _has_expired(package, now):
        return f"Mendix deletes it by itself since {package.expiry_date}"
    if last is None:
        return f"fewer than {keep_last} have Succeeded"
    if _rank(package) >= last:
        return f"it is as new as the newest {keep_last} that have Succeeded"
    if older_than is not None and _age(package, now) <= older_than:
        return f"it is not older than {older_than}"
    return None


def _rank(package: Package) -> tuple[float, str]:
    """Return a sort key by age, then by id, so that a plan is always the same."""
    return package.creation_date.timestamp() if package.creation_date else 0.0, package.package_id


def _age(package: Package, now: pendulum.DateTime) -> timedelta:
    return now - (package.creation_date or now)


def _has_expired(package: Package, now: pendulum.DateTime) -> bool:
    return package.expiry_date is not None and package.expiry_date <= now


def _summary(package: Package) -> dict[str, Any]:
    summary = package.summary()
    return {name: summary[name] for name in _SUMMARY}


def _unfinished(app_id: str, result: PruneResult, left: list[str]) -> MendixError:
    return MendixError(
        f"App {app_id}: not all packages could be deleted. Left: {_some(left)}. Deleted: {_some(result.deleted)}."
        f" In use: {_some(result.in_use)}. Missing: {_some(result.missing)}. A retry of the task lists the"
        " packages again and goes on with what is left; the log above has the errors."
    )


def _some(ids: list[str]) -> str:
    more = f" and {len(ids) - _MAX_IDS} more" if len(ids) > _MAX_IDS else ""
    return ", ".join(ids[:_MAX_IDS]) + more if ids else "none"
