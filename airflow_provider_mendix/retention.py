"""Which packages of an app to keep and which to delete: decided as a whole before anything is deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pendulum

from airflow_provider_mendix.api.build import Package, PackageStatus
from airflow_provider_mendix.exceptions import MendixError, PackageInUseError, PackageNotFoundError
from airflow_provider_mendix.hooks.mendix import MendixHook

_MOST_TROUBLES_IN_A_ROW = 5
_MOST_NAMES = 20

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """A package that stays, and why."""

    package: Package
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """What is to become of the packages of an app.

    :param delete: the oldest first.
    :param keep: the newest first.
    """

    delete: tuple[Package, ...]
    keep: tuple[Kept, ...]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON-plain values."""
        return {
            "delete": [_told(package) for package in self.delete],
            "keep": [{**_told(kept.package), "reason": kept.reason} for kept in self.keep],
        }


class Done(msgspec.Struct, frozen=True):
    """What has become of the packages that were to be deleted, by their ids.

    :param in_use: Mendix refused, because an environment uses it.
    :param missing: it was not there any more.
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
    """Decide which packages go.

    Those stay that are among the newest ``keep_last`` that are ``Succeeded``, or newer than one of them; all of
    them where there are fewer than that; and whatever is unfinished or has no date.

    :param per_branch: decide for each branch on its own; packages whose name tells none are one group.
    :param older_than: those that are not older stay too.
    """
    groups: dict[str | None, list[Package]] = {}
    for package in packages:
        groups.setdefault(package.line if per_branch else None, []).append(package)
    delete, keep = [], []
    for group in groups.values():
        last = _last_to_keep(group, keep_last)
        for package in group:
            reason = _reason_to_keep(package, keep_last, last, older_than, now)
            if reason is None:
                delete.append(package)
            else:
                keep.append(Kept(package, reason))
    keep.sort(key=lambda kept: _rank(kept.package), reverse=True)
    return Plan(tuple(sorted(delete, key=_rank)), tuple(keep))


def spare(plan: Plan, reasons: Mapping[str, str]) -> Plan:
    """Keep some of what was to be deleted after all.

    :param reasons: why, by the ids of the packages.
    """
    delete = [package for package in plan.delete if package.package_id not in reasons]
    keep = list(plan.keep)
    keep += [Kept(package, reasons[package.package_id]) for package in plan.delete if package not in delete]
    keep.sort(key=lambda kept: _rank(kept.package), reverse=True)
    return Plan(tuple(delete), tuple(keep))


def announce(plan: Plan, app_id: str, now: pendulum.DateTime) -> None:
    """Log what is to be deleted."""
    for package in plan.delete:
        log.info(
            "Package %s of app %s is to be deleted: version %s, %d days old, %s",
            package.package_id,
            app_id,
            package.version or "unknown",
            _age(package, now).days,
            package.status,
        )
    log.info("App %s: %d package(s) to delete, %d to keep", app_id, len(plan.delete), len(plan.keep))


def carry_out(plan: Plan, hook: MendixHook, app_id: str) -> Done:
    """Delete what is to be deleted. One package that gives trouble does not hold up the others.

    A delete call is sent once. Whether one without an answer was carried out shows when the task runs again and
    lists the packages anew.

    :raises MendixError: if some are left; it names what is done and what is left.
    """
    done = Done()
    ids = [package.package_id for package in plan.delete]
    left: list[str] = []
    in_a_row = 0
    for position, package_id in enumerate(ids):
        trouble = _delete(package_id, hook, app_id, done)
        if trouble is None:
            in_a_row = 0
            continue
        left.append(package_id)
        in_a_row += 1
        if in_a_row == _MOST_TROUBLES_IN_A_ROW:
            # It is not the packages: whoever is down or limits requests is not helped by more of them.
            left += ids[position + 1 :]
            break
    if left:
        raise _unfinished(app_id, done, left)
    return done


def _delete(package_id: str, hook: MendixHook, app_id: str, done: Done) -> MendixError | None:
    """Delete a package and write down what became of it; give the error if that is not known."""
    try:
        hook.delete_package(app_id, package_id)
    except PackageInUseError:
        log.info("Package %s of app %s is in use, so it stays.", package_id, app_id)
        done.in_use.append(package_id)
    except PackageNotFoundError:
        log.info("Package %s of app %s is gone already.", package_id, app_id)
        done.missing.append(package_id)
    except MendixError as error:
        if error.final:
            raise
        log.warning("Package %s of app %s could not be deleted. %s", package_id, app_id, error)
        return error
    else:
        log.info("Deleted package %s of app %s.", package_id, app_id)
        done.deleted.append(package_id)
    return None


def _last_to_keep(group: list[Package], keep_last: int) -> tuple[float, str] | None:
    """Give the rank of the last one that is kept for being among the newest; nothing if there are too few."""
    succeeded = [
        _rank(package)
        for package in group
        if package.status == PackageStatus.SUCCEEDED and package.creation_date is not None
    ]
    return sorted(succeeded, reverse=True)[keep_last - 1] if len(succeeded) >= keep_last else None


def _reason_to_keep(
    package: Package,
    keep_last: int,
    last: tuple[float, str] | None,
    older_than: timedelta | None,
    now: pendulum.DateTime,
) -> str | None:
    """Say why a package stays, if it does."""
    if package.is_unfinished:
        return f"it is {package.status}"
    if package.creation_date is None:
        return "it has no date"
    if last is None:
        return f"fewer than {keep_last} have Succeeded"
    if _rank(package) >= last:
        return f"it is as new as the newest {keep_last} that have Succeeded"
    if older_than is not None and _age(package, now) <= older_than:
        return f"it is not older than {older_than}"
    return None


def _rank(package: Package) -> tuple[float, str]:
    """Order packages by age; those of the same moment have an order too, so that a plan is always the same."""
    return package.creation_date.timestamp() if package.creation_date else 0.0, package.package_id


def _age(package: Package, now: pendulum.DateTime) -> timedelta:
    return now - (package.creation_date or now)


def _told(package: Package) -> dict[str, Any]:
    summary = package.summary()
    return {name: summary[name] for name in ("package_id", "version", "status", "creation_date")}


def _unfinished(app_id: str, done: Done, left: list[str]) -> MendixError:
    return MendixError(
        f"App {app_id}: not all packages could be deleted. Left: {_some(left)}. Deleted: {_some(done.deleted)}."
        f" In use: {_some(done.in_use)}. Gone already: {_some(done.missing)}. Another try of the task looks again"
        " and goes on with what is left; the log above says what was wrong."
    )


def _some(ids: list[str]) -> str:
    more = f" and {len(ids) - _MOST_NAMES} more" if len(ids) > _MOST_NAMES else ""
    return ", ".join(ids[:_MOST_NAMES]) + more if ids else "none"
