"""The Backups API, version 2: snapshots of the data of environments, and their restores.

The messages are our own; Mendix's codes and HTTP statuses are the contract. A list is in no particular order, and
no page is longer than 100. A snapshot has the data of the moment in which it was asked for. Both calls that start
something respond with ``ENVIRONMENT_BUSY`` while another snapshot or restore of the environment is under way, a
restore also while the app is being started.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from airflow_provider_mendix.api import backups
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.backups import (
    COMPLETED,
    FAILED,
    RESTORE_CODES,
    SNAPSHOT_CODES,
    Archive,
    Restore,
    Snapshot,
    job_steps,
)
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.environments import StoredEnvironment
from airflow_provider_mendix.simulator.state.planned import Outcomes
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply, read_body

_LARGEST_PAGE = 100
_MESSAGES = {COMPLETED: "The simulator is done.", FAILED: "The simulator was asked to fail."}


class _Comment(msgspec.Struct):
    comment: str | None = None


@serves(backups.LIST_SNAPSHOTS)
def list_snapshots(cloud: Cloud, request: Request, project_id: str, environment_id: str) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    offset, limit = _number(request, "offset", 0), _number(request, "limit", _LARGEST_PAGE)
    found = sorted(cloud.backups.snapshots_of(environment), key=lambda snapshot: snapshot.snapshot_id)
    page = found[offset : offset + min(limit, _LARGEST_PAGE)]
    shown = [shown_snapshot(cloud, snapshot) for snapshot in page]
    return json_reply({"snapshots": shown, "total": len(found), "offset": offset, "limit": limit})


@serves(backups.CREATE_SNAPSHOT)
def create_snapshot(cloud: Cloud, request: Request, project_id: str, environment_id: str) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    comment = read_body(request, _Comment, cloud.options.request_json).comment
    _check_not_busy(cloud, environment)
    outcome = take_outcome(cloud.backups.next_snapshots, SNAPSHOT_CODES)
    now = cloud.clock.now()
    snapshot = Snapshot(
        snapshot_id=str(uuid.uuid4()),
        environment_id=environment.environment_id,
        created_at=now,
        expires_at=now + cloud.options.snapshot_lifetime,
        steps=job_steps(cloud.environments.timeline.backing_up, outcome),
        comment=comment,
        model_version=cloud.shown_version(environment),
        data=environment.data,
        data_version=environment.data_version,
    )
    cloud.backups.snapshots[snapshot.snapshot_id] = snapshot
    return json_reply(shown_snapshot(cloud, snapshot, "queued"))


@serves(backups.GET_SNAPSHOT)
def get_snapshot(cloud: Cloud, request: Request, project_id: str, environment_id: str, snapshot_id: str) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    return json_reply(shown_snapshot(cloud, find_snapshot(cloud, environment, snapshot_id)))


@serves(backups.UPDATE_SNAPSHOT)
def update_snapshot(
    cloud: Cloud, request: Request, project_id: str, environment_id: str, snapshot_id: str
) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    snapshot = find_snapshot(cloud, environment, snapshot_id)
    comment = read_body(request, _Comment, cloud.options.request_json).comment
    changed = msgspec.structs.replace(snapshot, comment=comment)
    cloud.backups.snapshots[snapshot_id] = changed
    return json_reply(shown_snapshot(cloud, changed))


@serves(backups.DELETE_SNAPSHOT)
def delete_snapshot(
    cloud: Cloud, request: Request, project_id: str, environment_id: str, snapshot_id: str
) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    del cloud.backups.snapshots[find_snapshot(cloud, environment, snapshot_id).snapshot_id]
    return Reply(204)


@serves(backups.CREATE_RESTORE)
def create_restore(cloud: Cloud, request: Request, project_id: str, environment_id: str) -> Reply:
    target = find_environment(cloud, project_id, environment_id)
    snapshot_id = request.query.get("source_snapshot_id", "")
    if not snapshot_id or request.query.get("db_only", "false").lower() not in ("true", "false"):
        raise RefusedError(400, "INVALID_PARAMETERS", "A source_snapshot_id is missing, or db_only is no flag.")
    snapshot = cloud.backups.snapshot(snapshot_id)
    source = None if snapshot is None else _environment_of(cloud, target.app_id, snapshot.environment_id)
    if snapshot is None or source is None:
        raise RefusedError(400, "NOT_FOUND", f"App {target.app_id} has no snapshot {snapshot_id}.")
    if not cloud.permissions.has("backups", source.app_id, source.mode):
        raise _not_allowed(f"The user has no Access to Backups of {source.mode}.")
    if target.status is EnvironmentStatus.RUNNING:
        raise _not_allowed(f"{target.mode} must be stopped.")
    _check_not_busy(cloud, target, is_restore=True)
    now = cloud.clock.now()
    if snapshot.state(now) != COMPLETED:
        raise _not_allowed(f"Snapshot {snapshot_id} is {snapshot.state(now)}.")
    outcome = take_outcome(cloud.backups.next_restores, RESTORE_CODES)
    restore = Restore(
        restore_id=str(uuid.uuid4()),
        environment_id=target.environment_id,
        source=snapshot,
        created_at=now,
        steps=job_steps(cloud.environments.timeline.restoring, outcome),
    )
    cloud.backups.restores[restore.restore_id] = restore
    if outcome == COMPLETED:
        target.change_at(restore.finished_at, data=snapshot.data, data_version=snapshot.data_version)
    return json_reply(_shown_restore(cloud, restore, "queued"))


@serves(backups.GET_RESTORE)
def get_restore(cloud: Cloud, request: Request, project_id: str, environment_id: str, restore_id: str) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    restore = cloud.backups.restores.get(restore_id)
    if restore is None or restore.environment_id != environment.environment_id:
        raise RefusedError(400, "NOT_FOUND", f"{environment.mode} has no restore {restore_id}.")
    return json_reply(_shown_restore(cloud, restore))


def find_environment(cloud: Cloud, project_id: str, environment_id: str) -> StoredEnvironment:
    """Return an environment by the UUIDs of its project and its own.

    :raises RefusedError: if there is none, or the user has no API Rights or no Access to Backups on it.
    """
    if not project_id or not environment_id:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both ProjectId and EnvironmentId must be given.")
    app = cloud.apps.of_project(project_id)
    environment = _environment_of(cloud, app.app_id, environment_id) if app else None
    if environment is None:
        raise RefusedError(404, "ENVIRONMENT_NOT_FOUND", f"App {project_id} has no environment {environment_id}.")
    key = (environment.app_id, environment.mode)
    if not cloud.permissions.has("api", *key) or not cloud.permissions.has("backups", *key):
        raise RefusedError(403, "NO_ACCESS", f"The user has no access to the backups of {environment.mode}.")
    return environment


def find_snapshot(cloud: Cloud, environment: StoredEnvironment, snapshot_id: str) -> Snapshot:
    """Return a snapshot of an environment.

    :raises RefusedError: if there is none.
    """
    snapshot = cloud.backups.snapshot(snapshot_id)
    if snapshot is None or snapshot.environment_id != environment.environment_id:
        raise RefusedError(404, "NOT_FOUND", f"{environment.mode} has no snapshot {snapshot_id}.")
    return snapshot


def _environment_of(cloud: Cloud, app_id: str, environment_id: str) -> StoredEnvironment | None:
    found = cloud.environments.of(app_id)
    return next((one for one in found if one.environment_id == environment_id.lower()), None)


def _check_not_busy(cloud: Cloud, environment: StoredEnvironment, *, is_restore: bool = False) -> None:
    is_busy = any(cloud.backups.is_under_way(kind, environment) for kind in ("snapshots", "restores"))
    if is_busy or (is_restore and cloud.environments.start_job_of(environment)):
        raise RefusedError(400, "ENVIRONMENT_BUSY", f"Something else is being done to {environment.mode}.")


def take_outcome(outcomes: Outcomes, codes: Mapping[str, int]) -> str:
    """Return the state in which a job ends.

    :raises RefusedError: if a code was planned.
    """
    outcome = outcomes.take() or COMPLETED
    if outcome in codes:
        raise RefusedError(codes[outcome], outcome, "The simulator was asked for this.")
    return outcome


def _not_allowed(message: str) -> RefusedError:
    return RefusedError(400, "ERROR_NOT_ALLOWED", message)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise RefusedError(400, "INVALID_PARAMETERS", f"{name} cannot be {text!r}.")
    return int(text)


def shown_snapshot(cloud: Cloud, snapshot: Snapshot, state: str | None = None) -> dict[str, Any]:
    """Return a snapshot as Mendix shows it.

    :param state: replaces the present one.
    """
    shown = shown_progress(cloud, snapshot, state)
    return {
        "snapshot_id": snapshot.snapshot_id,
        "comment": snapshot.comment,
        "model_version": snapshot.model_version if shown["finished_at"] else None,
        "expires_at": _date(snapshot.expires_at),
        **shown,
    }


def _shown_restore(cloud: Cloud, restore: Restore, state: str | None = None) -> dict[str, Any]:
    return {
        "restore_id": restore.restore_id,
        "source_snapshot_id": restore.source.snapshot_id,
        "source_environment_id": restore.source.environment_id,
        "target_environment_id": restore.environment_id,
        **shown_progress(cloud, restore, state),
    }


def shown_progress(cloud: Cloud, job: Snapshot | Restore | Archive, state: str | None) -> dict[str, Any]:
    """Return what all kinds of jobs show; dates and messages appear once they are finished.

    :param state: replaces the present one: the first response says ``queued``, even if no time passes.
    """
    state = state or job.state(cloud.clock.now())
    finished_at = _date(job.finished_at) if state in _MESSAGES else None
    return {
        "state": state,
        "status_message": _MESSAGES.get(state),
        "created_at": _date(job.created_at),
        "updated_at": finished_at,
        "finished_at": finished_at,
    }


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
