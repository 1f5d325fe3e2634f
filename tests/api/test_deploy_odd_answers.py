"""A step of a deployment that succeeds in other words than documented: what is put up with, and what is not."""

from __future__ import annotations

import traceback

import pendulum
import pytest

from airflow_provider_mendix.api import backups, deploy
from airflow_provider_mendix.api.backups import Restore, Snapshot, Snapshots
from airflow_provider_mendix.api.deploy import Environment, Settings, StartedEnvironment, StartJob
from airflow_provider_mendix.exceptions import MalformedResponseError

PROJECT_ID = "fae5de74-69c2-4488-a4de-abf89daac63e"
ENVIRONMENT_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c02"
SNAPSHOT_ID = "a7d30c52-1f68-4e0b-95c4-3e8b7f6a2d10"
AT = ("library", "Acceptance")
KEPT = (PROJECT_ID, ENVIRONMENT_ID)
ENVIRONMENTS = deploy.list_environments("library")
ENVIRONMENT = deploy.get_environment(*AT)
PACKAGE = deploy.get_environment_package(*AT)
TRANSPORT = deploy.transport_package(*AT, "5f0e8a1d-7c34-4b92-9d60-2ab1c3d4e5f6")
STOP = deploy.stop_environment(*AT)
START = deploy.start_environment(*AT, auto_sync_db=True)
START_JOB = deploy.get_start_job(*AT, "8e2d6f14-0b9c-4a57-b3e8-d17c5a9f4e20")
SETTINGS = deploy.get_settings(*AT)
SET_SETTINGS = deploy.set_settings(*AT, Settings())
SNAPSHOTS = backups.list_snapshots(*KEPT)
SNAPSHOT = backups.get_snapshot(*KEPT, SNAPSHOT_ID)
CREATE_SNAPSHOT = backups.create_snapshot(*KEPT)
RESTORE = backups.get_restore(*KEPT, SNAPSHOT_ID)
CREATE_RESTORE = backups.create_restore(*KEPT, SNAPSHOT_ID)

LEAST = {"Mode": "Acceptance", "Status": "Running"}
CANARY = "open-sesame-1"
MAY_HAVE_HAPPENED = "Mendix may still have processed the request; check before sending it again."


@pytest.mark.parametrize("call", [STOP, TRANSPORT], ids=str)
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 200),
        (b"", "application/json", 204),
        (b"{}", "application/json", 200),
        (b"true", "application/json", 202),
        (b'{"Status": "Stopped"}', "application/json", 200),
        (b"OK", "text/plain", 200),
        (b"<html><body>Done</body></html>", "text/html", 200),
        (b"\xff\xfe", "application/octet-stream", 200),
    ],
)
def test_a_step_that_tells_nothing_may_tell_it_in_any_words(send, wire, call, body, kind, status):
    wire.answer(body, status, Content_Type=kind)

    assert send(call) is None


@pytest.mark.parametrize(
    "body", [b"", b" \r\n", b"OK", b"Started", b'""', b"true", b"null", b"\xff", b"{}", b'{"JobId": null}']
)
def test_a_start_may_name_no_job(send, wire, body):
    """It has happened all the same, and the environment itself tells how it goes."""
    wire.answer(body)

    assert send(START) == StartedEnvironment(job_id=None, error_code=None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>Down for maintenance</body></html>",
        b"\n <!doctype html>",
        b'{"JobId": "8e2d',
        b'{"JobId": 7}',
        b'["8e2d6f14"]',
    ],
)
def test_a_start_that_cannot_be_read_is_in_doubt(send, wire, body):
    wire.answer(body)

    with pytest.raises(MalformedResponseError) as raised:
        send(START)

    assert str(raised.value).endswith(f" {MAY_HAVE_HAPPENED}")


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        # Only what nobody can do without.
        (ENVIRONMENT, LEAST, Environment(mode="Acceptance", status="Running")),
        (ENVIRONMENTS, [LEAST], [Environment(mode="Acceptance", status="Running")]),
        (START, {"JobId": "x"}, StartedEnvironment(job_id="x")),
        (SETTINGS, {}, Settings()),
        (SETTINGS, {"Constants": [{}]}, Settings(constants=({},))),
        (SNAPSHOT, {"snapshot_id": "x", "state": "queued"}, Snapshot(snapshot_id="x", state="queued")),
        (RESTORE, {"restore_id": "x", "state": "queued"}, Restore(restore_id="x", state="queued")),
        (SNAPSHOTS, {}, Snapshots()),
        # Nothing at all.
        (ENVIRONMENTS, [], []),
        (SNAPSHOTS, {"snapshots": [], "total": 0, "offset": 0, "limit": 100}, Snapshots((), 0, 0, 100)),
        # Words that nobody knows yet.
        (ENVIRONMENT, {**LEAST, "Status": "Stopping"}, Environment(mode="Acceptance", status="Stopping")),
        (ENVIRONMENT, {**LEAST, "Status": ""}, Environment(mode="Acceptance", status="")),
        (START_JOB, {"Status": "Failed"}, StartJob(status="Failed")),
        (SNAPSHOT, {"snapshot_id": "x", "state": "paused"}, Snapshot(snapshot_id="x", state="paused")),
        (RESTORE, {"restore_id": "x", "state": "Completed"}, Restore(restore_id="x", state="Completed")),
        # Keys that nobody knows yet.
        (ENVIRONMENT, {**LEAST, "Instances": 2, "production": True}, Environment("Acceptance", "Running")),
        (START_JOB, {"Status": "Started", "Log": ["a"]}, StartJob(status="Started")),
        (START, {"JobId": "x", "errorMessage": "fine"}, StartedEnvironment(job_id="x")),
    ],
)
def test_only_what_matters_must_be_there(send, wire, call, answer, expected):
    wire.answer(answer)

    assert send(call) == expected


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("EnvironmentId", "environment_id"),
        ("Url", "url"),
        ("ModelVersion", "model_version"),
        ("MendixVersion", "mendix_version"),
        ("Production", "production"),
    ],
)
def test_absent_and_null_are_the_same_of_an_environment(send, wire, field, name):
    wire.answer(LEAST)
    wire.answer({**LEAST, field: None})

    absent, null = send.all([ENVIRONMENT, ENVIRONMENT])

    assert absent == null
    assert getattr(null, name) is None


@pytest.mark.parametrize(
    ("mode", "flag", "expected"),
    [
        ("Acceptance", {}, False),
        ("Acceptance", {"Production": None}, False),
        ("Acceptance", {"Production": False}, False),
        ("Acceptance", {"Production": True}, True),
        ("Production", {}, True),
        ("Production", {"Production": None}, True),
        ("Production", {"Production": False}, True),
        ("production", {"Production": False}, True),
    ],
)
def test_production_is_known_whatever_the_flag_says(send, wire, mode, flag, expected):
    wire.answer({"Mode": mode, "Status": "Running", **flag})

    assert send(ENVIRONMENT).is_production is expected


@pytest.mark.parametrize("flag", ["true", "yes", 1, [True]])
def test_a_flag_that_cannot_be_read_is_not_taken_for_no(send, wire, flag):
    """Otherwise production could be changed as if it were something else."""
    wire.answer({**LEAST, "Production": flag})

    with pytest.raises(MalformedResponseError, match=r"\$\.Production"):
        send(ENVIRONMENT)


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
        (ENVIRONMENT, {"Status": "Running", "Url": CANARY}, "`Mode`"),
        (ENVIRONMENT, {"Mode": "Acceptance", "Url": CANARY}, "`Status`"),
        (ENVIRONMENT, {**LEAST, "Mode": None, "Url": CANARY}, "$.Mode"),
        (ENVIRONMENT, {"status": CANARY, "mode": CANARY}, "missing required field"),
        (ENVIRONMENT, b"", "truncated"),
        (ENVIRONMENT, b"<html>" + CANARY.encode(), "malformed"),
        (ENVIRONMENTS, LEAST, "Expected `array`"),
        (ENVIRONMENTS, [LEAST, {"Mode": CANARY}], "$[1]"),
        (PACKAGE, {"Name": CANARY}, "missing required field"),
        (PACKAGE, None, "Expected `object`"),
        (START_JOB, {"status": CANARY}, "`Status`"),
        (START_JOB, b"", "truncated"),
        (SETTINGS, [{"Constants": CANARY}], "Expected `object`"),
        (SETTINGS, {"Constants": CANARY}, "$.Constants"),
        (SETTINGS, {"Constants": [CANARY]}, "$.Constants[0]"),
        (SET_SETTINGS, b"", "truncated"),
        (SNAPSHOT, {"SnapshotId": CANARY, "State": "queued"}, "missing required field"),
        (SNAPSHOT, {"snapshot_id": "x", "state": "queued", "created_at": CANARY}, "$.created_at"),
        (SNAPSHOTS, [{"snapshot_id": CANARY}], "Expected `object`"),
        (SNAPSHOTS, {"snapshots": [{"snapshot_id": CANARY}]}, "$.snapshots[0]"),
        (CREATE_SNAPSHOT, {"state": CANARY}, "`snapshot_id`"),
        (RESTORE, {"state": CANARY}, "`restore_id`"),
        (CREATE_RESTORE, b"", "truncated"),
    ],
)
def test_what_cannot_be_read_is_told_without_showing_it(send, wire, call, answer, says):
    wire.answer(answer)

    with pytest.raises(MalformedResponseError) as raised:
        send(call)

    error = raised.value
    assert (error.status, error.transient) == (200, True)
    assert str(error).startswith(f"{call}: HTTP 200, but the body (")
    assert says in str(error)
    assert (MAY_HAVE_HAPPENED in str(error)) == (call.endpoint.method == "POST")
    assert CANARY not in "".join(traceback.format_exception(error))
