"""Waits for backups."""

from __future__ import annotations

import json

import pendulum
import pytest

from airflow_provider_mendix.api.backups import Restore, Snapshot
from airflow_provider_mendix.exceptions import BackupFailedError, RestoreFailedError
from airflow_provider_mendix.waits.backup import RestoreWait, SnapshotWait
from airflow_provider_mendix.waits.base import Outcome

PROJECT, PLACE, BACKUP = (f"0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3{digit}" for digit in "bcd")
SNAPSHOT = SnapshotWait("calc", "Test", PROJECT, PLACE, BACKUP)
RESTORE = RestoreWait("calc", "Test", PROJECT, PLACE, BACKUP)


@pytest.mark.parametrize(("wait", "kind"), [(SNAPSHOT, "snapshots"), (RESTORE, "restores")])
def test_what_they_poll(wait, kind):
    assert wait.call().target == f"/api/v2/apps/{PROJECT}/environments/{PLACE}/{kind}/{BACKUP}"
    assert wait.batch_key == wait.call().identity


@pytest.mark.parametrize("state", ["queued", "running", "Completed", "paused"])
def test_not_yet(state):
    assert SNAPSHOT.judge(Snapshot(BACKUP, state)) == Outcome(state)
    assert RESTORE.judge(Restore(BACKUP, state)) == Outcome(state)


def test_completed():
    date = pendulum.datetime(2026, 11, 22)
    made = SNAPSHOT.judge(Snapshot(BACKUP, "completed", created_at=date, comment="by hand"))
    assert made.done
    assert json.loads(json.dumps(made.result)) == {
        "snapshot_id": BACKUP,
        "state": "completed",
        "model_version": None,
        "comment": "by hand",
        "created_at": "2026-11-22T00:00:00+00:00",
        "finished_at": None,
        "expires_at": None,
    }
    assert RESTORE.judge(Restore(BACKUP, "completed")).result == {"restore_id": BACKUP}


@pytest.mark.parametrize(("said", "shown"), [("No  space.", "failed: No space."), (None, "failed.")])
def test_failed(said, shown):
    with pytest.raises(
        BackupFailedError, match=f"Snapshot {BACKUP} of environment Test of app calc ended as {shown}"
    ):
        SNAPSHOT.judge(Snapshot(BACKUP, "failed", status_message=said))
    with pytest.raises(RestoreFailedError, match=f"to environment Test of app calc ended as {shown}"):
        RESTORE.judge(Restore(BACKUP, "failed", status_message=said))
