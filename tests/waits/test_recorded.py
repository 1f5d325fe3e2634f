"""What databases hold: trigger rows and events as earlier versions wrote them. These must stay readable."""

from __future__ import annotations

import importlib

import pytest

from airflow_provider_mendix.api.revisions import RepositoryBranch, TeamServerBranch
from airflow_provider_mendix.exceptions import MendixError, PackageFailedError, WaitTimeoutError
from airflow_provider_mendix.waits.backup import ArchiveWait, RestoreWait, SnapshotWait
from airflow_provider_mendix.waits.base import MODULES, wait_from_json
from airflow_provider_mendix.waits.environment import EnvironmentWait, StartJobWait, TransportWait
from airflow_provider_mendix.waits.event import failure_event, result_of, success_event
from airflow_provider_mendix.waits.package import BuildCapacityWait, PackageWait
from airflow_provider_mendix.waits.poll_state import PollState
from airflow_provider_mendix.waits.revision import RevisionWait
from airflow_provider_mendix.waits.upload import UploadWait

PACKAGE = "b3d14e53-8654-4c0a-9c44-5d1f6f1e2a3b"
PROJECT, PLACE = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3c"
JOB, BACKUP = "5f3c2b1a-1c5e-4a5c-8a70-22d6ddc4c5d1", "3a1c2b0e-6a51-4f6a-8a6e-8d4a4c1b7f00"
ON_GIT = {"type": "RepositoryBranch", "app_id": "shop", "project_id": PROJECT, "name": "branches/next"}
ON_SVN = {"type": "TeamServerBranch", "app_id": "shop", "name": "trunk"}
ENVIRONMENT = {"app_id": "shop", "environment": "Acceptance"}
BACKUP_OF = {**ENVIRONMENT, "project_id": PROJECT, "environment_id": PLACE}

WAITS = [
    (
        {"type": "PackageWait", "app_id": "shop", "package_id": PACKAGE, "visible_by": 1700000060.5},
        PackageWait("shop", PACKAGE, visible_by=1700000060.5),
    ),
    ({"type": "BuildCapacityWait", "app_id": "shop", "limit": 2}, BuildCapacityWait("shop", 2)),
    (
        {"type": "UploadWait", "app_id": "shop", "job_id": JOB, "package_id": PACKAGE},
        UploadWait("shop", JOB, PACKAGE),
    ),
    (
        {"type": "RevisionWait", "app_id": "shop", "branch": "next", "newer_than": "63", "has_token": True},
        RevisionWait("shop", "next", "63", has_token=True),
    ),
    (
        {"type": "RevisionWait", "app_id": "shop", "branch": "branches/next", "source": ON_GIT},
        RevisionWait("shop", "branches/next", source=RepositoryBranch("shop", PROJECT, "branches/next")),
    ),
    (
        {"type": "RevisionWait", "app_id": "shop", "branch": "trunk", "source": ON_SVN},
        RevisionWait("shop", "trunk", source=TeamServerBranch("shop", "trunk")),
    ),
    (
        {
            "type": "EnvironmentWait",
            **ENVIRONMENT,
            "status": "Running",
            "package_id": PACKAGE,
            "model_version": "2.5.4.63",
        },
        EnvironmentWait("shop", "Acceptance", "Running", PACKAGE, model_version="2.5.4.63"),
    ),
    (
        {"type": "EnvironmentWait", **ENVIRONMENT, "status": "Stopped", "check_first": True},
        EnvironmentWait("shop", "Acceptance", "Stopped", check_first=True),
    ),
    (
        {"type": "TransportWait", **ENVIRONMENT, "package_id": PACKAGE},
        TransportWait("shop", "Acceptance", PACKAGE),
    ),
    ({"type": "StartJobWait", **ENVIRONMENT, "job_id": JOB}, StartJobWait("shop", "Acceptance", JOB)),
    (
        {"type": "SnapshotWait", **BACKUP_OF, "snapshot_id": BACKUP},
        SnapshotWait("shop", "Acceptance", PROJECT, PLACE, BACKUP),
    ),
    (
        {"type": "ArchiveWait", **BACKUP_OF, "snapshot_id": BACKUP, "archive_id": JOB},
        ArchiveWait("shop", "Acceptance", PROJECT, PLACE, BACKUP, JOB),
    ),
    (
        {"type": "RestoreWait", **BACKUP_OF, "restore_id": BACKUP},
        RestoreWait("shop", "Acceptance", PROJECT, PLACE, BACKUP),
    ),
]
POLL_STATE = {
    "poll_interval": 30.0,
    "outage_tolerance": 900.0,
    "deadline": 1700007200.0,
    "next_poll_at": 1700000090.0,
    "state_since": 1700000030.0,
    "last_response_at": 1700000060.0,
    "logged_at": 1700000060.0,
    "state": "Building",
    "state_polls": 2,
    "phase_seconds": {"Queued": 30.0},
    "last_error": "GET /api/1/apps/shop/packages: HTTP 503.",
}
TRIGGER = "airflow_provider_mendix.triggers.wait.MendixWaitTrigger"
RESULT = {"package_id": PACKAGE, "status": "Succeeded", "phases": {"queued": 30.0}}
SUCCESS = {"ended": "success", "result": RESULT}
FAILURE = {
    "ended": "failure",
    "error": {
        "type": "PackageFailedError",
        "message": "Package b3d14e53 ended as Failed.",
        "request": "",
        "status": None,
        "code": None,
        "retry_after": None,
        "outcome_unknown": False,
    },
}


@pytest.mark.parametrize(("row", "wait"), WAITS, ids=str)
def test_a_recorded_wait(row, wait):
    assert wait_from_json(row) == wait
    assert wait.to_json() == row


def test_each_kind_of_wait_is_recorded():
    assert {row["type"] for row, _ in WAITS} == set(MODULES)


def test_a_recorded_poll_state():
    assert PollState.from_json(POLL_STATE).to_json() == POLL_STATE


def test_a_recorded_trigger():
    module, _, name = TRIGGER.rpartition(".")
    arguments = {"mendix_conn_id": "mendix_default", "wait": WAITS[0][0], "poll_state": POLL_STATE}
    trigger = getattr(importlib.import_module(module), name)(**arguments)
    assert trigger.serialize() == (TRIGGER, arguments)


def test_recorded_events():
    assert result_of(SUCCESS) == RESULT
    assert success_event(RESULT) == SUCCESS
    with pytest.raises(PackageFailedError, match="ended as Failed"):
        result_of(FAILURE)
    assert failure_event(PackageFailedError("Package b3d14e53 ended as Failed.")) == FAILURE


@pytest.mark.parametrize("kind", [WaitTimeoutError, MendixError])
def test_events_name_the_error(kind):
    assert failure_event(kind("no"))["error"]["type"] == kind.__name__
