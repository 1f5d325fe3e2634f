"""Mendix refuses a step of a deployment: each documented code, which ones pass, and what to do about others."""

from __future__ import annotations

import json

import pytest

from airflow_provider_mendix.api import backups, deploy
from airflow_provider_mendix.api.call import Call, Endpoint
from airflow_provider_mendix.api.deploy import Settings, StartedEnvironment
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.client.retry import send_with_retry
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.exceptions import (
    AlreadyStartedError,
    AlreadyStartingError,
    AppNotFoundError,
    EnvironmentBusyError,
    EnvironmentNotFoundError,
    ForbiddenError,
    InvalidRequestError,
    MendixConnectionError,
    MendixError,
    MendixResponseError,
    NotFoundError,
    PackageNotFoundError,
    RestoreRefusedError,
    ServiceUnavailableError,
    StartFailedError,
    StartJobNotFoundError,
    StopFailedError,
    TransportRefusedError,
)

PROJECT_ID = "fae5de74-69c2-4488-a4de-abf89daac63e"
ENVIRONMENT_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c02"
SNAPSHOT_ID = "a7d30c52-1f68-4e0b-95c4-3e8b7f6a2d10"
JOB_ID = "8e2d6f14-0b9c-4a57-b3e8-d17c5a9f4e20"
AT = ("library", "Acceptance")
KEPT = (PROJECT_ID, ENVIRONMENT_ID)

APPS = deploy.list_apps()
APP = deploy.get_app("library")
ENVIRONMENTS = deploy.list_environments("library")
ENVIRONMENT = deploy.get_environment(*AT)
PACKAGE = deploy.get_environment_package(*AT)
TRANSPORT = deploy.transport_package(*AT, "5f0e8a1d-7c34-4b92-9d60-2ab1c3d4e5f6")
STOP = deploy.stop_environment(*AT)
START = deploy.start_environment(*AT, auto_sync_db=True)
START_JOB = deploy.get_start_job(*AT, JOB_ID)
SETTINGS = deploy.get_settings(*AT)
SET_SETTINGS = deploy.set_settings(*AT, Settings())
SNAPSHOTS = backups.list_snapshots(*KEPT)
SNAPSHOT = backups.get_snapshot(*KEPT, SNAPSHOT_ID)
CREATE_SNAPSHOT = backups.create_snapshot(*KEPT, comment="before release 3.1.0")
RESTORE = backups.get_restore(*KEPT, SNAPSHOT_ID)
CREATE_RESTORE = backups.create_restore(*KEPT, SNAPSHOT_ID)

READS = (APPS, APP, ENVIRONMENTS, ENVIRONMENT, PACKAGE, START_JOB, SETTINGS, SNAPSHOTS, SNAPSHOT, RESTORE)
CHANGES = (TRANSPORT, STOP, START, SET_SETTINGS, CREATE_SNAPSHOT, CREATE_RESTORE)
MAY_HAVE_HAPPENED = "Mendix may still have processed the request; check before sending it again."
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


def on(calls: tuple[Call, ...], refusals: list[tuple]) -> list[tuple]:
    """Refusals that several calls have in common, once for each of the calls."""
    return [(call, *refusal) for call in calls for refusal in refusals]


DEPLOY_REFUSALS = [
    *on(
        (ENVIRONMENT, START_JOB, STOP, TRANSPORT, SETTINGS, SET_SETTINGS),
        [
            (400, "invalid_parameters", InvalidRequestError, "Check the values of the task"),
            (400, "invalid_environment", EnvironmentNotFoundError, "name exactly as Mendix spells it"),
            (404, "environment_not_found", EnvironmentNotFoundError, "name exactly as Mendix spells it"),
        ],
    ),
    (PACKAGE, 400, "invalid_parameters", InvalidRequestError, "Check the values of the task"),
    (PACKAGE, 400, "invalid_environment", EnvironmentNotFoundError, "name exactly as Mendix spells it"),
    (PACKAGE, 404, "package_not_found", PackageNotFoundError, "Check the package id"),
    (START, 400, "invalid_appid", InvalidRequestError, "app_id is the app's subdomain"),
    (START, 404, "app_not_found", AppNotFoundError, "app_id is the app's subdomain"),
    (
        START,
        500,
        "no_mda_has_been_deployed",
        StartFailedError,
        "no package on the environment; transport one first",
    ),
    (START, 500, "app_already_has_a_starting_job", AlreadyStartingError, "Wait until that start has ended"),
    (START, 500, "already_started", AlreadyStartedError, "Nothing to do"),
    (START_JOB, 404, "no_such_startjob", StartJobNotFoundError, "Check the environment itself"),
    (START_JOB, 500, "no_package", StartFailedError, "no package on the environment; transport one first"),
    (START_JOB, 500, "already_locked", StartFailedError, "wait until it has ended, and start again"),
    (START_JOB, 500, "already_started", AlreadyStartedError, "Nothing to do"),
    (START_JOB, 500, "db_sync_failed", StartFailedError, "transport the previous package, restore the snapshot"),
    (START_JOB, 500, "invalid_db_structure", StartFailedError, "start with auto_sync_db=True"),
    (START_JOB, 500, "missing_constant", StartFailedError, "set it on the environment, and start again"),
    (START_JOB, 500, "insecure_admin_password", StartFailedError, "set another one, and start again"),
    (START_JOB, 500, "startup_action_failed", StartFailedError, "log in the portal"),
    (START_JOB, 500, "start_failed", StartFailedError, "log in the portal"),
    (STOP, 500, "stop_failed", StopFailedError, "it may still be running"),
    (TRANSPORT, 400, "invalid_runtime_version", TransportRefusedError, "cannot run the Mendix version"),
    (TRANSPORT, 403, "no_access", ForbiddenError, "'API Rights'"),
    (TRANSPORT, 403, "transport_not_allowed", TransportRefusedError, "'Transport Rights'"),
    (TRANSPORT, 403, "app_is_running", TransportRefusedError, "stop it before the transport"),
    (TRANSPORT, 403, "not_allowed", TransportRefusedError, "build or upload it again"),
    (TRANSPORT, 404, "package_not_found", PackageNotFoundError, "Check the package id"),
    (TRANSPORT, 500, "package_parse_failed", TransportRefusedError, "build or upload it again"),
    (TRANSPORT, 503, "service_unavailable", ServiceUnavailableError, "still processes the package"),
    (SET_SETTINGS, 400, "constant_not_found", InvalidRequestError, "no such constant"),
    (SET_SETTINGS, 400, "custom_setting_not_supported", InvalidRequestError, "Remove this custom setting"),
    (SET_SETTINGS, 400, "scheduled_event_not_found", InvalidRequestError, "no such scheduled event"),
    (SET_SETTINGS, 500, "invalid_scheduled_event_parameter", InvalidRequestError, "another value"),
]
BACKUPS_REFUSALS = [
    *on(
        (SNAPSHOTS, SNAPSHOT, CREATE_SNAPSHOT, RESTORE, CREATE_RESTORE),
        [
            (400, "invalid_parameters", InvalidRequestError, "its project's UUID"),
            (400, "not_supported", InvalidRequestError, "Only environments on Mendix Cloud"),
            (403, "no_access", ForbiddenError, "'Access to Backups'"),
            (404, "environment_not_found", EnvironmentNotFoundError, "no environment with this EnvironmentId"),
            (500, "service_unavailable", ServiceUnavailableError, "Try again later"),
        ],
    ),
    (SNAPSHOTS, 500, "snapshot_listing_failed", MendixResponseError, "the portal may say more"),
    (SNAPSHOT, 404, "not_found", NotFoundError, "no such snapshot or restore"),
    (CREATE_SNAPSHOT, 400, "environment_busy", EnvironmentBusyError, "wait until it has ended"),
    (CREATE_SNAPSHOT, 400, "invalid_state", EnvironmentBusyError, "wait until it has ended"),
    (CREATE_RESTORE, 400, "not_found", NotFoundError, "no such snapshot or restore"),
    (CREATE_RESTORE, 400, "error_not_allowed", RestoreRefusedError, "must be stopped"),
    (RESTORE, 400, "not_found", NotFoundError, "no such snapshot or restore"),
]
WORTH_WAITING_FOR = {
    "SERVICE_UNAVAILABLE",
    "ENVIRONMENT_BUSY",
    "INVALID_STATE",
    "APP_ALREADY_HAS_A_STARTING_JOB",
}
REFUSALS = [
    pytest.param(call, status, f"{folder}/error_{name}.json", kind, says, id=f"{call} {status} {name}")
    for folder, table in (("deploy", DEPLOY_REFUSALS), ("backups", BACKUPS_REFUSALS))
    for call, status, name, kind, says in table
]


def refused(send, call: Call) -> MendixError:
    with pytest.raises(MendixError) as raised:
        send(call)
    return raised.value


@pytest.mark.parametrize(("call", "status", "answer", "kind", "says"), REFUSALS)
def test_documented_code(send, wire, sample, call, status, answer, kind, says):
    documented = json.loads(sample(answer))
    code = documented["errorCode"].replace(" ", "_")
    wire.answer(sample(answer), status)

    error = refused(send, call)

    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert error.transient is (code in WORTH_WAITING_FOR)
    said = f"{call}: HTTP {status} {code}: {documented['errorMessage'].rstrip('.')}. "
    assert str(error).startswith(said)
    assert says in str(error).removeprefix(said)
    assert MAY_HAVE_HAPPENED not in str(error)


@pytest.mark.parametrize("folder", ["deploy", "backups"])
def test_every_sample_of_a_refusal_is_held_against_something(request, folder):
    samples = {path.name for path in (request.path.parent.parent / "samples" / folder).glob("error_*")}

    assert {f"{folder}/{name}" for name in samples} == {
        param.values[2] for param in REFUSALS if param.values[2].startswith(folder)
    }


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NOT ALLOWED", 403, TransportRefusedError),
        ("NOT_ALLOWED", 403, TransportRefusedError),
        (" Not Allowed ", 403, TransportRefusedError),
        ("SERVICE UNAVAILABLE", 503, ServiceUnavailableError),
        ("SERVICE_UNAVAILABLE", 503, ServiceUnavailableError),
        ("service unavailable", 503, ServiceUnavailableError),
        ("SERVICE  UNAVAILABLE", 500, ServiceUnavailableError),
        ("SERVICE-UNAVAILABLE", 403, ServiceUnavailableError),
    ],
)
def test_a_code_may_be_spelled_with_a_space_or_not(send, wire, code, status, kind):
    wire.answer({"errorCode": code, "errorMessage": "Not now."}, status)

    error = refused(send, TRANSPORT)

    assert type(error) is kind
    assert error.code in ("NOT_ALLOWED", "SERVICE_UNAVAILABLE")


def test_a_start_of_what_runs_already_may_be_called_a_success(send, wire, sample):
    """One version of the documentation has 200 for it, another 500."""
    wire.answer(sample("deploy/error_already_started.json"), 200)

    assert send(START) == StartedEnvironment(job_id=None, error_code="ALREADY_STARTED")


@pytest.mark.parametrize("status", [400, 409, 500, 503])
def test_a_start_of_what_runs_already_is_told_by_its_code_alone(send, wire, sample, status):
    wire.answer(sample("deploy/error_already_started.json"), status)

    error = refused(send, START)

    assert type(error) is AlreadyStartedError
    assert error.transient is False


@pytest.mark.parametrize("call", [START, START_JOB, STOP, TRANSPORT, CREATE_SNAPSHOT, CREATE_RESTORE], ids=str)
def test_a_500_with_a_code_that_nobody_knows_is_final(send, wire, call):
    """Otherwise a failure that Mendix gives a name one day would be waited for."""
    wire.answer({"errorCode": "SOMETHING_NEW", "errorMessage": "The cause."}, 500)

    error = refused(send, call)

    assert type(error) is MendixResponseError
    assert error.transient is False
    hint = "" if call.endpoint.repeatable else f" {MAY_HAVE_HAPPENED}"
    assert str(error) == f"{call}: HTTP 500 SOMETHING_NEW: The cause.{hint}"
    assert error.outcome_unknown is not call.endpoint.repeatable


@pytest.mark.parametrize("call", CHANGES, ids=str)
@pytest.mark.parametrize(("status", "body"), [(500, b""), (502, HTML), (503, b"busy"), (504, b"")])
def test_a_change_may_have_happened(send, wire, call, status, body):
    wire.answer(body, status)

    error = refused(send, call)

    assert type(error) is ServiceUnavailableError
    assert str(error).endswith(f" {MAY_HAVE_HAPPENED}")


@pytest.mark.parametrize("call", READS, ids=str)
@pytest.mark.parametrize(("status", "body"), [(500, b""), (502, HTML), (504, b"")])
def test_a_read_leaves_no_doubt(send, wire, call, status, body):
    wire.answer(body, status)

    error = refused(send, call)

    assert type(error) is ServiceUnavailableError
    assert MAY_HAVE_HAPPENED not in str(error)


@pytest.mark.parametrize("call", [*READS, *CHANGES], ids=str)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_and_not_shown(send, wire, call, status):
    wire.answer({"errorMessage": f"The key {send.account.api_key} is unknown."}, status)

    error = refused(send, call)

    assert "Check the user name and the API key of the connection" in str(error)
    assert "The key *** is unknown." in str(error)


@pytest.fixture
def clock():
    return ManualClock(0.0)


@pytest.fixture
def patiently(account, clock):
    with MendixClient(account) as client:
        yield lambda call: send_with_retry(client.send, call, clock)


def test_reading_is_repeatable_and_changing_is_not():
    declared = [value for api in (deploy, backups) for value in vars(api).values() if isinstance(value, Endpoint)]

    assert {endpoint.method for endpoint in declared} == {"GET", "POST"}
    assert [endpoint for endpoint in declared if endpoint.repeatable != (endpoint.method == "GET")] == []
    assert {call.endpoint.path for call in (*READS, *CHANGES)} == {endpoint.path for endpoint in declared}


@pytest.mark.parametrize("call", CHANGES, ids=str)
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (503, b"", ServiceUnavailableError),
        (503, {"errorCode": "SERVICE UNAVAILABLE"}, ServiceUnavailableError),
        (500, {"errorCode": "SERVICE_UNAVAILABLE"}, ServiceUnavailableError),
        (400, {"errorCode": "ENVIRONMENT_BUSY"}, EnvironmentBusyError),
        (400, {"errorCode": "INVALID_STATE"}, EnvironmentBusyError),
        (None, None, MendixConnectionError),
    ],
)
def test_a_change_is_sent_once(patiently, wire, clock, call, status, body, kind):
    """Whether it may be sent again is for somebody to decide who has looked at the environment."""
    if status:
        wire.answer(body, status)
    else:
        wire.hang_up()

    with pytest.raises(kind):
        patiently(call)

    assert len(wire.requests) == 1
    assert clock.now() == 0


@pytest.mark.parametrize("call", READS, ids=str)
def test_a_read_is_sent_again(patiently, wire, clock, call):
    wire.answer(b"", 503)
    wire.hang_up()
    wire.answer({"errorCode": "NO_ACCESS"}, 403)

    with pytest.raises(ForbiddenError):
        patiently(call)

    assert len(wire.requests) == 3
    assert 0 < clock.now() < 60


@pytest.mark.parametrize(
    "code", ["DB_SYNC_FAILED", "MISSING_CONSTANT", "START_FAILED", "ALREADY_LOCKED", "SOMETHING_NEW"]
)
def test_a_start_job_that_has_failed_is_not_asked_again(patiently, wire, code):
    wire.answer({"errorCode": code}, 500)

    with pytest.raises(MendixResponseError):
        patiently(START_JOB)

    assert len(wire.requests) == 1
