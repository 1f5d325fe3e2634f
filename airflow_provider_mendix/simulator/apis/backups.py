"""The Backups API, version 2: snapshots of the data of environments, and putting them back.

The messages are our own; Mendix's codes and HTTP statuses are the contract. A list is in no particular order, and
no page is longer than 100. A snapshot has the data of the moment in which it was asked for. Both calls that start
something answer ``ENVIRONMENT_BUSY`` while another snapshot or restore of the environment is under way, a restore
also while the app is being started.
"""

from __future__ import annotations

import collections
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_mendix.api import backups
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator.apis.environments import shown_version
from airflow_provider_mendix.simulator.apis.routes import (
    RefusedError,
    Reply,
    Request,
    json_reply,
    read_body,
    serves,
)
from airflow_provider_mendix.simulator.state.deployments import take
from airflow_provider_mendix.simulator.state.environments import (
    BACKUP_CODES,
    COMPLETED,
    FAILED,
    RESTORE_CODES,
    StoredEnvironment,
    StoredRestore,
    StoredSnapshot,
    backup_steps,
    ends_after,
)

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.state.platform import Platform

_LARGEST_PAGE = 100
_MESSAGES = {COMPLETED: "The simulator is done.", FAILED: "The simulator was asked to fail."}


class _Comment(msgspec.Struct):
    comment: str | None = None


@serves(backups.LIST_SNAPSHOTS)
def list_snapshots(platform: Platform, request: Request, project_id: str, environment_id: str) -> Reply:
    environment = _find_environment(platform, project_id, environment_id)
    offset, limit = _number(request, "offset", 0), _number(request, "limit", _LARGEST_PAGE)
    now = platform.clock.now()
    found = [
        snapshot
        for snapshot in platform.snapshots.values()
        if snapshot.environment_id == environment.environment_id and now < snapshot.expires_at
    ]
    found.sort(key=lambda snapshot: snapshot.snapshot_id)
    page = found[offset : offset + min(limit, _LARGEST_PAGE)]
    shown = [_shown_snapshot(snapshot, now) for snapshot in page]
    return json_reply({"snapshots": shown, "total": len(found), "offset": offset, "limit": limit})


@serves(backups.CREATE_SNAPSHOT)
def create_snapshot(platform: Platform, request: Request, project_id: str, environment_id: str) -> Reply:
    environment = _find_environment(platform, project_id, environment_id)
    comment = read_body(request, _Comment).comment
    _refuse_if_busy(platform, environment)
    ending = _take_ending(platform.next_backups, BACKUP_CODES)
    now = platform.clock.now()
    snapshot = StoredSnapshot(
        snapshot_id=str(uuid.uuid4()),
        environment_id=environment.environment_id,
        created_at=now,
        expires_at=now + platform.options.snapshot_lifetime,
        steps=backup_steps(platform.deployment.backing_up, ending),
        comment=comment,
        model_version=shown_version(platform, environment),
        data=environment.data,
        data_version=environment.data_version,
    )
    platform.snapshots[snapshot.snapshot_id] = snapshot
    return json_reply(_shown_snapshot(snapshot, now, "queued"))


@serves(backups.GET_SNAPSHOT)
def get_snapshot(
    platform: Platform, request: Request, project_id: str, environment_id: str, snapshot_id: str
) -> Reply:
    environment = _find_environment(platform, project_id, environment_id)
    snapshot = _find_snapshot(platform, snapshot_id)
    if snapshot is None or snapshot.environment_id != environment.environment_id:
        raise RefusedError(404, "NOT_FOUND", f"{environment.mode} has no snapshot {snapshot_id}.")
    return json_reply(_shown_snapshot(snapshot, platform.clock.now()))


@serves(backups.CREATE_RESTORE)
def create_restore(platform: Platform, request: Request, project_id: str, environment_id: str) -> Reply:
    target = _find_environment(platform, project_id, environment_id)
    wanted = request.query.get("source_snapshot_id", "")
    if not wanted or request.query.get("db_only", "false").lower() not in ("true", "false"):
        raise RefusedError(400, "INVALID_PARAMETERS", "A source_snapshot_id is missing, or db_only is no flag.")
    snapshot = _find_snapshot(platform, wanted)
    source = None if snapshot is None else _environment_of(platform, target.app_id, snapshot.environment_id)
    if snapshot is None or source is None:
        raise RefusedError(400, "NOT_FOUND", f"App {target.app_id} has no snapshot {wanted}.")
    if not platform.has_backup_access(source.app_id, source.mode):
        raise _not_allowed(f"The user has no Access to Backups of {source.mode}.")
    if target.status is EnvironmentStatus.RUNNING:
        raise _not_allowed(f"{target.mode} must be stopped.")
    _refuse_if_busy(platform, target, is_restore=True)
    now = platform.clock.now()
    if snapshot.state(now) != COMPLETED:
        raise _not_allowed(f"Snapshot {wanted} is {snapshot.state(now)}.")
    ending = _take_ending(platform.next_restores, RESTORE_CODES)
    restore = StoredRestore(
        restore_id=str(uuid.uuid4()),
        environment_id=target.environment_id,
        source=snapshot,
        created_at=now,
        steps=backup_steps(platform.deployment.restoring, ending),
    )
    platform.restores[restore.restore_id] = restore
    if ending == COMPLETED:
        ends_at = now + ends_after(restore.steps)
        target.later(ends_at, data=snapshot.data, data_version=snapshot.data_version)
    return json_reply(_shown_restore(restore, now, "queued"))


@serves(backups.GET_RESTORE)
def get_restore(
    platform: Platform, request: Request, project_id: str, environment_id: str, restore_id: str
) -> Reply:
    environment = _find_environment(platform, project_id, environment_id)
    restore = platform.restores.get(restore_id)
    if restore is None or restore.environment_id != environment.environment_id:
        raise RefusedError(400, "NOT_FOUND", f"{environment.mode} has no restore {restore_id}.")
    return json_reply(_shown_restore(restore, platform.clock.now()))


def _find_environment(platform: Platform, project_id: str, environment_id: str) -> StoredEnvironment:
    if not project_id or not environment_id:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both ProjectId and EnvironmentId must be given.")
    app = platform.app_of(project_id)
    environment = _environment_of(platform, app.app_id, environment_id) if app else None
    if environment is None:
        raise RefusedError(404, "ENVIRONMENT_NOT_FOUND", f"App {project_id} has no environment {environment_id}.")
    key = (environment.app_id, environment.mode)
    if not platform.has_rights(*key) or not platform.has_backup_access(*key):
        raise RefusedError(403, "NO_ACCESS", f"The user has no access to the backups of {environment.mode}.")
    return environment


def _environment_of(platform: Platform, app_id: str, environment_id: str) -> StoredEnvironment | None:
    found = platform.environments(app_id)
    return next((one for one in found if one.environment_id == environment_id.lower()), None)


def _find_snapshot(platform: Platform, snapshot_id: str) -> StoredSnapshot | None:
    snapshot = platform.snapshots.get(snapshot_id)
    return snapshot if snapshot and platform.clock.now() < snapshot.expires_at else None


def _refuse_if_busy(platform: Platform, environment: StoredEnvironment, *, is_restore: bool = False) -> None:
    is_busy = platform.is_backing_up(environment) or platform.is_restoring(environment)
    if is_busy or (is_restore and platform.start_job_of(environment)):
        raise RefusedError(400, "ENVIRONMENT_BUSY", f"Something else is being done to {environment.mode}.")


def _take_ending(codes: collections.deque[str], known: Mapping[str, int]) -> str:
    code = take(codes, (FAILED, *known))
    if code in known:
        raise RefusedError(known[code], code, "The simulator was asked for this.")
    return code or COMPLETED


def _not_allowed(message: str) -> RefusedError:
    return RefusedError(400, "ERROR_NOT_ALLOWED", message)


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query.get(name, str(usual))
    if not text.isascii() or not text.isdigit():
        raise RefusedError(400, "INVALID_PARAMETERS", f"{name} cannot be {text!r}.")
    return int(text)


def _shown_snapshot(snapshot: StoredSnapshot, now: float, state: str | None = None) -> dict[str, Any]:
    shown = _shown_progress(snapshot, now, state)
    return {
        "snapshot_id": snapshot.snapshot_id,
        "comment": snapshot.comment,
        "model_version": snapshot.model_version if shown["finished_at"] else None,
        "expires_at": _date(snapshot.expires_at),
        **shown,
    }


def _shown_restore(restore: StoredRestore, now: float, state: str | None = None) -> dict[str, Any]:
    return {
        "restore_id": restore.restore_id,
        "source_snapshot_id": restore.source.snapshot_id,
        "source_environment_id": restore.source.environment_id,
        "target_environment_id": restore.environment_id,
        **_shown_progress(restore, now, state),
    }


def _shown_progress(job: StoredSnapshot | StoredRestore, now: float, state: str | None) -> dict[str, Any]:
    """Show what both have; dates and words come once they are finished.

    :param state: to show instead of the one of now: the first answer says ``queued``, even if no time passes.
    """
    state = state or job.state(now)
    finished_at = _date(job.created_at + ends_after(job.steps)) if state in _MESSAGES else None
    return {
        "state": state,
        "status_message": _MESSAGES.get(state),
        "created_at": _date(job.created_at),
        "updated_at": finished_at,
        "finished_at": finished_at,
    }


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
