"""Waits on backups: for a snapshot, and for one to be put back."""

from __future__ import annotations

from typing import Any

from airflow_provider_mendix.api.backups import BackupState, Restore, Snapshot, get_restore, get_snapshot
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.exceptions import (
    BackupFailedError,
    MendixError,
    NotFoundError,
    RestoreFailedError,
)
from airflow_provider_mendix.waits.base import Outcome
from airflow_provider_mendix.waits.environment import WaitOnEnvironment

_PORTAL = "See the app's Backups page in the portal."


class WaitOnBackup(WaitOnEnvironment, frozen=True):
    """What both share.

    :param project_id: UUID by which the Backups API knows the app.
    :param environment_id: UUID by which it knows the environment.
    :param backup_id: of the snapshot or of the restore.
    :param visible_by: wall-clock time, in seconds since the epoch, until when one that is not there counts as not
        there *yet*.
    """

    project_id: str
    environment_id: str
    backup_id: str
    visible_by: float = 0.0

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Tell whether an error may pass."""
        return error.transient or (isinstance(error, NotFoundError) and now < self.visible_by)


class SnapshotWait(WaitOnBackup, frozen=True, tag=True, omit_defaults=True):
    """Wait until a snapshot is ``completed``."""

    @property
    def subject(self) -> str:
        return f"Snapshot {self.backup_id} of environment {self.environment} of app {self.app_id}"

    def call(self) -> Call[Snapshot]:
        return get_snapshot(self.project_id, self.environment_id, self.backup_id)

    def judge(self, answer: Snapshot) -> Outcome:
        if answer.state == BackupState.FAILED:
            raise BackupFailedError(
                f"{self.subject} ended as failed{_said(answer.status_message)}. Nothing is backed up: do not go on"
                f" without a backup. {_PORTAL} Another try of the task makes a new one."
            )
        done = answer.state == BackupState.COMPLETED
        return Outcome(answer.state, done=done, result=details(answer) if done else {})


class RestoreWait(WaitOnBackup, frozen=True, tag=True, omit_defaults=True):
    """Wait until a snapshot is put back."""

    @property
    def subject(self) -> str:
        return f"Restore {self.backup_id} to environment {self.environment} of app {self.app_id}"

    def call(self) -> Call[Restore]:
        return get_restore(self.project_id, self.environment_id, self.backup_id)

    def judge(self, answer: Restore) -> Outcome:
        if answer.state == BackupState.FAILED:
            raise RestoreFailedError(
                f"{self.subject} ended as failed{_said(answer.status_message)}. Its data may be half way: do not"
                f" start the app. {_PORTAL} Another try of the task restores the same snapshot again."
            )
        done = answer.state == BackupState.COMPLETED
        return Outcome(answer.state, done=done, result={"restore_id": answer.restore_id} if done else {})


def details(snapshot: Snapshot) -> dict[str, Any]:
    """Give what a task may hand on of a snapshot."""
    dates = {name: getattr(snapshot, name) for name in ("created_at", "finished_at", "expires_at")}
    return {
        "snapshot_id": snapshot.snapshot_id,
        "state": snapshot.state,
        "model_version": snapshot.model_version,
        "comment": snapshot.comment,
        **{name: date.isoformat() if date else None for name, date in dates.items()},
    }


def _said(message: str | None) -> str:
    text = " ".join((message or "").split())[:300].rstrip(".")
    return f": {text}" if text else ""
