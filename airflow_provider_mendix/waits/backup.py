"""Waits for backups: for a snapshot, for an archive of one, and for a restore."""

from __future__ import annotations

from typing import Any

from airflow_provider_mendix.api.backups import (
    Archive,
    BackupState,
    Restore,
    Snapshot,
    get_archive,
    get_restore,
    get_snapshot,
)
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.exceptions import BackupFailedError, RestoreFailedError
from airflow_provider_mendix.waits.base import Outcome, Wait

_PORTAL = "See the app's Backups page in the portal."


class SnapshotWait(Wait, frozen=True, tag=True):
    """Wait until a snapshot is ``completed``.

    :param project_id: UUID by which the Backups API knows the app.
    :param environment_id: UUID by which the Backups API knows the environment.
    """

    app_id: str
    environment: str
    project_id: str
    environment_id: str
    snapshot_id: str

    @property
    def description(self) -> str:
        return f"Snapshot {self.snapshot_id} of environment {self.environment} of app {self.app_id}"

    def call(self) -> Call[Snapshot]:
        return get_snapshot(self.project_id, self.environment_id, self.snapshot_id)

    def judge(self, response: Snapshot) -> Outcome:
        if response.state == BackupState.FAILED:
            raise BackupFailedError(
                f"{self.description} ended as failed{_reason(response.status_message)}. Nothing is backed up: do"
                f" not continue without a backup. {_PORTAL} Another try of the task makes a new one."
            )
        done = response.state == BackupState.COMPLETED
        return Outcome(response.state, done=done, result=details(response) if done else {})


class ArchiveWait(Wait, frozen=True, tag=True):
    """Wait until an archive is ``completed``; its link is no part of the result.

    The parameters are those of :class:`SnapshotWait`.
    """

    app_id: str
    environment: str
    project_id: str
    environment_id: str
    snapshot_id: str
    archive_id: str

    @property
    def description(self) -> str:
        return f"Archive {self.archive_id} of snapshot {self.snapshot_id} of app {self.app_id}"

    def call(self) -> Call[Archive]:
        return get_archive(self.project_id, self.environment_id, self.snapshot_id, self.archive_id)

    def judge(self, response: Archive) -> Outcome:
        if response.state == BackupState.FAILED:
            raise BackupFailedError(
                f"{self.description} ended as failed{_reason(response.status_message)}. Nothing was stored."
                f" {_PORTAL} Another try of the task asks for a new one."
            )
        done = response.state == BackupState.COMPLETED
        return Outcome(response.state, done=done, result={"archive_id": response.archive_id} if done else {})


class RestoreWait(Wait, frozen=True, tag=True):
    """Wait until a restore is ``completed``; the parameters are those of :class:`SnapshotWait`."""

    app_id: str
    environment: str
    project_id: str
    environment_id: str
    restore_id: str

    @property
    def description(self) -> str:
        return f"Restore {self.restore_id} to environment {self.environment} of app {self.app_id}"

    def call(self) -> Call[Restore]:
        return get_restore(self.project_id, self.environment_id, self.restore_id)

    def judge(self, response: Restore) -> Outcome:
        if response.state == BackupState.FAILED:
            raise RestoreFailedError(
                f"{self.description} ended as failed{_reason(response.status_message)}. Its data may be"
                f" incomplete: do not start the app. {_PORTAL} Another try of the task restores the same snapshot"
                " again."
            )
        done = response.state == BackupState.COMPLETED
        return Outcome(response.state, done=done, result={"restore_id": response.restore_id} if done else {})


def details(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a task returns of a snapshot."""
    dates = {name: getattr(snapshot, name) for name in ("created_at", "finished_at", "expires_at")}
    return {
        "snapshot_id": snapshot.snapshot_id,
        "state": snapshot.state,
        "model_version": snapshot.model_version,
        "comment": snapshot.comment,
        **{name: date.isoformat() if date else None for name, date in dates.items()},
    }


def _reason(message: str | None) -> str:
    text = " ".join((message or "").split())[:300].rstrip(".")
    return f": {text}" if text else ""
