"""The Backups API: what each call sends and reads, what Mendix refuses, and odd responses."""

from __future__ import annotations

import json

import msgspec
import pendulum
import pytest

from airflow_provider_mendix.api import backups
from airflow_provider_mendix.api.backups import Archive, Restore, Snapshot, Snapshots
from airflow_provider_mendix.exceptions import (
    EnvironmentBusyError,
    EnvironmentNotFoundError,
    ForbiddenError,
    InvalidInputError,
    InvalidRequestError,
    MendixResponseError,
    NotFoundError,
    RestoreRefusedError,
    ServiceUnavailableError,
)

from .checks import CANARY, check_malformed, documented, on, refused

PROJECT_ID = "fae5de74-69c2-4488-a4de-abf89daac63e"
TEST_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c01"
ACCEPTANCE_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c02"
SNAPSHOT_ID = "a7d30c52-1f68-4e0b-95c4-3e8b7f6a2d10"
FAILED_SNAPSHOT_ID = "a7d30c52-1f68-4e0b-95c4-3e8b7f6a2d11"
ARCHIVE_ID = "6c1d0f7e-52b9-4a83-bf0e-9e4d3c2b1a44"
RESTORE_ID = "d4b8e6f0-93a1-47c5-8e2d-0f5a6c7b1e33"
BACKUPS = f"/api/v2/apps/{PROJECT_ID}/environments/{ACCEPTANCE_ID}"
TARGET = f"/api/v2/apps/{PROJECT_ID}/environments/{TEST_ID}"
QUEUED_SNAPSHOT = Snapshot(
    snapshot_id=SNAPSHOT_ID,
    state="queued",
    model_version="3.0.4.109",
    comment="before release 3.1.0",
    created_at=pendulum.datetime(2024, 6, 3, 7, 15, 20),
    updated_at=pendulum.datetime(2024, 6, 3, 7, 15, 20),
)
COMPLETED_SNAPSHOT = Snapshot(
    snapshot_id=SNAPSHOT_ID,
    state="completed",
    status_message="Snapshot is complete.",
    model_version="3.0.4.109",
    comment="before release 3.1.0",
    created_at=pendulum.datetime(2024, 6, 3, 7, 15, 20),
    updated_at=pendulum.datetime(2024, 6, 3, 7, 21, 44, 500000),
    finished_at=pendulum.datetime(2024, 6, 3, 7, 21, 44, 500000),
    expires_at=pendulum.datetime(2024, 9, 3, 7, 21, 44, 500000),
)
FAILED_SNAPSHOT = Snapshot(
    snapshot_id=FAILED_SNAPSHOT_ID,
    state="failed",
    status_message="The disk of the database is full.",
    model_version="3.0.4.109",
    created_at=pendulum.datetime(2024, 6, 3, 7, 15, 20),
    updated_at=pendulum.datetime(2024, 6, 3, 7, 16, 2),
    finished_at=pendulum.datetime(2024, 6, 3, 7, 16, 2),
)
QUEUED_RESTORE = Restore(
    restore_id=RESTORE_ID,
    state="queued",
    source_snapshot_id=SNAPSHOT_ID,
    source_environment_id=ACCEPTANCE_ID,
    target_environment_id=TEST_ID,
    created_at=pendulum.datetime(2024, 6, 3, 9),
    updated_at=pendulum.datetime(2024, 6, 3, 9),
)
COMPLETED_RESTORE = Restore(
    restore_id=RESTORE_ID,
    state="completed",
    status_message="Restore is complete.",
    source_snapshot_id=SNAPSHOT_ID,
    source_environment_id=ACCEPTANCE_ID,
    target_environment_id=TEST_ID,
    created_at=pendulum.datetime(2024, 6, 3, 9),
    updated_at=pendulum.datetime(2024, 6, 3, 9, 11, 30),
    finished_at=pendulum.datetime(2024, 6, 3, 9, 11, 30),
)
QUEUED_ARCHIVE = Archive(
    archive_id=ARCHIVE_ID,
    state="queued",
    snapshot_id=SNAPSHOT_ID,
    data_type="database_only",
    model_version="3.0.4.109",
    comment="before release 3.1.0",
    created_at=pendulum.datetime(2024, 6, 4, 6),
    updated_at=pendulum.datetime(2024, 6, 4, 6),
)
COMPLETED_ARCHIVE = msgspec.structs.replace(
    QUEUED_ARCHIVE,
    state="completed",
    status_message="Archive is complete.",
    updated_at=pendulum.datetime(2024, 6, 4, 6, 12, 30),
    finished_at=pendulum.datetime(2024, 6, 4, 6, 12, 30),
    expires_at=pendulum.datetime(2024, 9, 3, 7, 21, 44, 500000),
    url="https://files.example/archives/6c1d0f7e.backup?sig=canary",
)
KEPT = (PROJECT_ID, ACCEPTANCE_ID)
SNAPSHOTS = backups.list_snapshots(*KEPT)
SNAPSHOT = backups.get_snapshot(*KEPT, SNAPSHOT_ID)
CREATE_SNAPSHOT = backups.create_snapshot(*KEPT, comment="before release 3.1.0")
ARCHIVE = backups.get_archive(*KEPT, SNAPSHOT_ID, ARCHIVE_ID)
CREATE_ARCHIVE = backups.create_archive(*KEPT, SNAPSHOT_ID)
RESTORE = backups.get_restore(*KEPT, SNAPSHOT_ID)
CREATE_RESTORE = backups.create_restore(*KEPT, SNAPSHOT_ID)


CALLS = [
    (
        backups.list_snapshots(PROJECT_ID, ACCEPTANCE_ID, offset=100),
        f"{BACKUPS}/snapshots?offset=100&limit=100",
        None,
        "backups/snapshots.json",
        Snapshots(snapshots=(COMPLETED_SNAPSHOT, FAILED_SNAPSHOT), total=102, offset=100, limit=100),
    ),
    (
        backups.get_snapshot(PROJECT_ID, ACCEPTANCE_ID, SNAPSHOT_ID),
        f"{BACKUPS}/snapshots/{SNAPSHOT_ID}",
        None,
        "backups/snapshot_completed.json",
        COMPLETED_SNAPSHOT,
    ),
    (
        backups.get_snapshot(PROJECT_ID, ACCEPTANCE_ID, FAILED_SNAPSHOT_ID),
        f"{BACKUPS}/snapshots/{FAILED_SNAPSHOT_ID}",
        None,
        "backups/snapshot_failed.json",
        FAILED_SNAPSHOT,
    ),
    (
        backups.get_restore(PROJECT_ID, TEST_ID, RESTORE_ID),
        f"{TARGET}/restores/{RESTORE_ID}",
        None,
        "backups/restore_completed.json",
        COMPLETED_RESTORE,
    ),
    (
        backups.create_snapshot(PROJECT_ID, ACCEPTANCE_ID, comment="before release 3.1.0"),
        f"{BACKUPS}/snapshots",
        {"comment": "before release 3.1.0"},
        "backups/snapshot_queued.json",
        QUEUED_SNAPSHOT,
    ),
    (
        backups.create_snapshot(PROJECT_ID, ACCEPTANCE_ID),
        f"{BACKUPS}/snapshots",
        {},
        "backups/snapshot_queued.json",
        QUEUED_SNAPSHOT,
    ),
    (
        backups.update_snapshot(*KEPT, SNAPSHOT_ID, comment="before release 3.1.0"),
        f"{BACKUPS}/snapshots/{SNAPSHOT_ID}",
        {"comment": "before release 3.1.0"},
        "backups/snapshot_completed.json",
        COMPLETED_SNAPSHOT,
    ),
    (backups.delete_snapshot(*KEPT, SNAPSHOT_ID), f"{BACKUPS}/snapshots/{SNAPSHOT_ID}", None, "", None),
    (
        backups.create_archive(*KEPT, SNAPSHOT_ID),
        f"{BACKUPS}/snapshots/{SNAPSHOT_ID}/archives?data_type=files_and_database",
        None,
        "backups/archive_queued.json",
        QUEUED_ARCHIVE,
    ),
    (
        backups.create_archive(*KEPT, SNAPSHOT_ID, data_type="database_only"),
        f"{BACKUPS}/snapshots/{SNAPSHOT_ID}/archives?data_type=database_only",
        None,
        "backups/archive_queued.json",
        QUEUED_ARCHIVE,
    ),
    (
        ARCHIVE,
        f"{BACKUPS}/snapshots/{SNAPSHOT_ID}/archives/{ARCHIVE_ID}",
        None,
        "backups/archive_completed.json",
        COMPLETED_ARCHIVE,
    ),
    (
        backups.create_restore(PROJECT_ID, TEST_ID, SNAPSHOT_ID),
        f"{TARGET}/restores?source_snapshot_id={SNAPSHOT_ID}",
        None,
        "backups/restore_queued.json",
        QUEUED_RESTORE,
    ),
    (
        backups.create_restore(PROJECT_ID, TEST_ID, SNAPSHOT_ID, db_only=True),
        f"{TARGET}/restores?source_snapshot_id={SNAPSHOT_ID}&db_only=true",
        None,
        "backups/restore_queued.json",
        QUEUED_RESTORE,
    ),
]
FIELDS = [
    (Snapshot, "backups/snapshot_queued.json", ()),
    (Snapshot, "backups/snapshot_completed.json", ()),
    (Snapshot, "backups/snapshot_failed.json", ()),
    (Snapshots, "backups/snapshots.json", ()),
    (Archive, "backups/archive_queued.json", ()),
    (Archive, "backups/archive_completed.json", ()),
    (Restore, "backups/restore_queued.json", ()),
    (Restore, "backups/restore_completed.json", ()),
]
REFUSALS = [
    *on(
        (SNAPSHOTS, SNAPSHOT, CREATE_SNAPSHOT, ARCHIVE, CREATE_ARCHIVE, RESTORE, CREATE_RESTORE),
        [
            (400, "invalid_parameters", InvalidRequestError, "its project's UUID"),
            (400, "not_supported", InvalidRequestError, "Only environments on Mendix Cloud"),
            (403, "no_access", ForbiddenError, "'Access to Backups'"),
            (404, "environment_not_found", EnvironmentNotFoundError, "no environment with this EnvironmentId"),
            (500, "service_unavailable", ServiceUnavailableError, "Try again later"),
        ],
    ),
    (SNAPSHOTS, 500, "snapshot_listing_failed", MendixResponseError, "the portal may say more"),
    (SNAPSHOT, 404, "not_found", NotFoundError, "no such snapshot, archive or restore"),
    (CREATE_SNAPSHOT, 400, "environment_busy", EnvironmentBusyError, "wait until it has ended"),
    (CREATE_SNAPSHOT, 400, "invalid_state", EnvironmentBusyError, "wait until it has ended"),
    (CREATE_ARCHIVE, 400, "unsupported", InvalidRequestError, "no such archive of this snapshot"),
    (ARCHIVE, 404, "not_found", NotFoundError, "no such snapshot, archive or restore"),
    (CREATE_RESTORE, 400, "not_found", NotFoundError, "no such snapshot, archive or restore"),
    (CREATE_RESTORE, 400, "error_not_allowed", RestoreRefusedError, "must be stopped"),
    (RESTORE, 400, "not_found", NotFoundError, "no such snapshot, archive or restore"),
]
TRANSIENT = {"service_unavailable", "environment_busy", "invalid_state"}


TestDocumented = documented(backups, CALLS, FIELDS)
TestRefused = refused("backups", REFUSALS, transient=TRANSIENT)


@pytest.mark.parametrize("comment", ["für Zoë", 'a "b" \\ c', "x" * 10_000])
def test_a_comment_travels_as_it_is(send, wire, sample, comment):
    wire.answer(sample("backups/snapshot_queued.json"))

    send(backups.create_snapshot(PROJECT_ID, ACCEPTANCE_ID, comment=comment))

    assert json.loads(wire.request.body.decode("utf-8")) == {"comment": comment}


def test_the_first_page_of_snapshots_begins_at_the_start(send, wire, sample):
    wire.answer(sample("backups/snapshots.json"))

    send(backups.list_snapshots(PROJECT_ID, ACCEPTANCE_ID))

    assert wire.request.target == f"{BACKUPS}/snapshots?offset=0&limit=100"


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        (SNAPSHOT, {"snapshot_id": "x", "state": "queued"}, Snapshot(snapshot_id="x", state="queued")),
        (RESTORE, {"restore_id": "x", "state": "queued"}, Restore(restore_id="x", state="queued")),
        (SNAPSHOTS, {}, Snapshots()),
        (SNAPSHOTS, {"snapshots": [], "total": 0, "offset": 0, "limit": 100}, Snapshots((), 0, 0, 100)),
        (SNAPSHOT, {"snapshot_id": "x", "state": "paused"}, Snapshot(snapshot_id="x", state="paused")),
        (RESTORE, {"restore_id": "x", "state": "Completed"}, Restore(restore_id="x", state="Completed")),
    ],
)
def test_only_required_fields_must_be_there(mendix, call, answer, expected):
    assert mendix.read(call, answer) == expected


@pytest.mark.parametrize("field", ["created_at", "updated_at", "finished_at", "expires_at"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("2024-06-03T07:15:20Z", pendulum.datetime(2024, 6, 3, 7, 15, 20)),
        ("2024-06-03T07:15:20.123456Z", pendulum.datetime(2024, 6, 3, 7, 15, 20, 123456)),
        ("2024-06-03T09:15:20+02:00", pendulum.datetime(2024, 6, 3, 7, 15, 20)),
        ("2024-06-03T07:15:20", pendulum.datetime(2024, 6, 3, 7, 15, 20)),
    ],
)
def test_dates_of_a_snapshot_are_timezone_aware(send, wire, field, value, expected):
    wire.answer({"snapshot_id": "x", "state": "queued", field: value})

    found = getattr(send(SNAPSHOT), field)

    assert found == expected
    assert found is None or found.utcoffset() is not None


@pytest.mark.parametrize(
    ("call", "answer", "says"),
    [
        (SNAPSHOT, {"SnapshotId": CANARY, "State": "queued"}, "missing required field"),
        (SNAPSHOT, {"snapshot_id": "x", "state": "queued", "created_at": CANARY}, "$.created_at"),
        (SNAPSHOTS, [{"snapshot_id": CANARY}], "Expected `object`"),
        (SNAPSHOTS, {"snapshots": [{"snapshot_id": CANARY}]}, "$.snapshots[0]"),
        (CREATE_SNAPSHOT, {"state": CANARY}, "`snapshot_id`"),
        (ARCHIVE, {"archive_id": "x", "state": "completed", "url": [CANARY]}, "$.url"),
        (RESTORE, {"state": CANARY}, "`restore_id`"),
        (CREATE_RESTORE, b"", "truncated"),
    ],
)
def test_a_success_that_cannot_be_read(mendix, call, answer, says):
    check_malformed(mendix, call, answer, says)


def test_a_link_is_in_no_repr():
    assert "canary" in COMPLETED_ARCHIVE.link.location
    assert QUEUED_ARCHIVE.link is None
    shown = f"{COMPLETED_ARCHIVE!r} {COMPLETED_ARCHIVE.__rich_repr__()} {COMPLETED_ARCHIVE.link!r}"
    assert "canary" not in shown


@pytest.mark.parametrize("data_type", ["", "files", None, "FILES_AND_DATABASE"])
def test_another_data_type_is_refused_before_any_request(data_type):
    with pytest.raises(InvalidInputError, match="must be one of: files_and_database, database_only"):
        backups.create_archive(*KEPT, SNAPSHOT_ID, data_type=data_type)


@pytest.mark.parametrize("make", [backups.update_snapshot, backups.delete_snapshot, backups.create_archive])
def test_an_id_that_is_no_uuid_is_refused_before_any_request(make):
    more = {"comment": ""} if make is backups.update_snapshot else {}
    with pytest.raises(InvalidInputError, match="snapshot_id"):
        make(*KEPT, "x", **more)
