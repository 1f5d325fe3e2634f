"""The Deploy API, version 1: what each call sends and reads, what Mendix refuses, and odd responses."""

from __future__ import annotations

import json

import pendulum
import pytest
from rich.pretty import pretty_repr

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.api.deploy import App, Environment, Settings, StartedEnvironment, StartJob
from airflow_provider_mendix.exceptions import (
    AlreadyStartedError,
    AlreadyStartingError,
    AppNotFoundError,
    EnvironmentNotFoundError,
    ForbiddenError,
    InvalidInputError,
    InvalidRequestError,
    MalformedResponseError,
    PackageNotFoundError,
    ServiceUnavailableError,
    StartFailedError,
    StartJobNotFoundError,
    StopFailedError,
    TransportRefusedError,
)

from .checks import CANARY, OUTCOME_UNKNOWN, check_malformed, documented, endpoints, on, refused

PROJECT_ID = "fae5de74-69c2-4488-a4de-abf89daac63e"
TEST_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c01"
ACCEPTANCE_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c02"
PACKAGE_ID = "5f0e8a1d-7c34-4b92-9d60-2ab1c3d4e5f6"
JOB_ID = "8e2d6f14-0b9c-4a57-b3e8-d17c5a9f4e20"
ENVIRONMENTS = "/api/1/apps/library/environments"
ACCEPTANCE = f"{ENVIRONMENTS}/Acceptance"
PASSWORD = "open-sesame-1"
RUNNING_ENVIRONMENT = Environment(
    mode="Test",
    status="Running",
    environment_id=TEST_ID,
    url="https://library-test.mendixcloud.com",
    model_version="3.1.0.118",
    mendix_version="9.24.2",
    production=False,
)
STOPPED_ENVIRONMENT = Environment(
    mode="Acceptance",
    status="Stopped",
    environment_id=ACCEPTANCE_ID,
    url="https://library-accp.mendixcloud.com",
    model_version="3.0.4.109",
    mendix_version="9.24.0",
    production=False,
)
EMPTY_ENVIRONMENT = Environment(
    mode="Production",
    status="Empty",
    environment_id="1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c03",
    url="https://library.mendixcloud.com",
    model_version="",
    mendix_version="",
    production=True,
)
SETTINGS = Settings(
    constants=(
        {
            "Name": "Library.MailServer",
            "DataType": "String",
            "Value": "smtp.example.com",
            "DeployedValue": "smtp.example.com",
        },
        {
            "Name": "Library.MailPassword",
            "DataType": "String",
            "Value": PASSWORD,
            "DeployedValue": "open-sesame-0",
        },
        {"Name": "Library.LoanDays", "DataType": "Integer", "Value": "21", "DeployedValue": "14"},
    ),
    custom_settings=(),
    scheduled_events=({"Name": "Library.SendReminders", "Value": "Enabled", "DeployedValue": "Disabled"},),
)
AT = ("library", "Acceptance")
GET_APP = deploy.get_app("library")
LIST_ENVIRONMENTS = deploy.list_environments("library")
GET_ENVIRONMENT = deploy.get_environment(*AT)
GET_PACKAGE = deploy.get_environment_package(*AT)
TRANSPORT = deploy.transport_package(*AT, "5f0e8a1d-7c34-4b92-9d60-2ab1c3d4e5f6")
STOP = deploy.stop_environment(*AT)
START = deploy.start_environment(*AT, auto_sync_db=True)
GET_START_JOB = deploy.get_start_job(*AT, JOB_ID)
GET_SETTINGS = deploy.get_settings(*AT)
SET_SETTINGS = deploy.set_settings(*AT, Settings())
LEAST = {"Mode": "Acceptance", "Status": "Running"}


CALLS = [
    (
        deploy.list_apps(),
        "/api/1/apps",
        None,
        "deploy/apps.json",
        [
            App(
                app_id="calc",
                name="Calculation App",
                project_id=PROJECT_ID,
                url="https://calc.mendixcloud.com",
            ),
            App(
                app_id="tictactoc",
                name="Tic Tac Toc",
                project_id="f5129445-b638-42f4-8108-5f370c85dc57",
                url="https://tictactoc.mendixcloud.com",
            ),
        ],
    ),
    (
        deploy.get_app("calc"),
        "/api/1/apps/calc",
        None,
        "deploy/app.json",
        App(
            app_id="calc",
            name="Calculation App",
            project_id="543857rfds-dfsfsd12c5e24-3224d32eg",
            url="https://calc.mendixcloud.com",
        ),
    ),
    (
        deploy.list_environments("library"),
        ENVIRONMENTS,
        None,
        "deploy/environments.json",
        [RUNNING_ENVIRONMENT, STOPPED_ENVIRONMENT, EMPTY_ENVIRONMENT],
    ),
    (
        deploy.get_environment("library", "Acceptance"),
        ACCEPTANCE,
        None,
        "deploy/environment.json",
        STOPPED_ENVIRONMENT,
    ),
    (
        deploy.get_environment_package("library", "Acceptance"),
        f"{ACCEPTANCE}/package",
        None,
        "deploy/environment_package.json",
        Package(
            package_id=PACKAGE_ID,
            status="Succeeded",
            name="Main line-3.0.4.109.mda",
            description="Reminders by e-mail",
            version="3.0.4.109",
            creator="Mira Jansen",
            creation_date=pendulum.datetime(2024, 5, 20, 10, 46, 0, 250000),
            size=20971777,
        ),
    ),
    (
        deploy.get_start_job("library", "Acceptance", JOB_ID),
        f"{ACCEPTANCE}/start/{JOB_ID}",
        None,
        "deploy/start_job_starting.json",
        StartJob(status="Starting"),
    ),
    (
        deploy.get_start_job("library", "Acceptance", JOB_ID),
        f"{ACCEPTANCE}/start/{JOB_ID}",
        None,
        "deploy/start_job_started.json",
        StartJob(status="Started"),
    ),
    (
        deploy.get_settings("library", "Acceptance"),
        f"{ACCEPTANCE}/settings",
        None,
        "deploy/settings.json",
        SETTINGS,
    ),
    (
        deploy.start_environment("library", "Acceptance", auto_sync_db=True),
        f"{ACCEPTANCE}/start",
        {"AutoSyncDb": True},
        "deploy/started_environment.json",
        StartedEnvironment(job_id=JOB_ID),
    ),
    (
        deploy.start_environment("library", "Acceptance", auto_sync_db=False),
        f"{ACCEPTANCE}/start",
        {"AutoSyncDb": False},
        "deploy/started_environment.json",
        StartedEnvironment(job_id=JOB_ID),
    ),
    (
        deploy.start_environment("library", "Acceptance", auto_sync_db=True),
        f"{ACCEPTANCE}/start",
        {"AutoSyncDb": True},
        "deploy/error_already_started.json",
        StartedEnvironment(job_id=None, error_code="ALREADY_STARTED"),
    ),
    (deploy.stop_environment("library", "Acceptance"), f"{ACCEPTANCE}/stop", {}, None, None),
    (
        deploy.transport_package("library", "Acceptance", PACKAGE_ID),
        f"{ACCEPTANCE}/transport",
        {"PackageId": PACKAGE_ID},
        None,
        None,
    ),
    (
        deploy.set_settings("library", "Acceptance", SETTINGS),
        f"{ACCEPTANCE}/settings",
        {
            "Constants": list(SETTINGS.constants),
            "CustomSettings": [],
            "ScheduledEvents": list(SETTINGS.scheduled_events),
        },
        "deploy/settings.json",
        SETTINGS,
    ),
]
FIELDS = [
    (App, "deploy/app.json", ()),
    (Environment, "deploy/environment.json", ()),
    (StartedEnvironment, "deploy/started_environment.json", ()),
    (StartJob, "deploy/start_job_starting.json", ()),
    (StartJob, "deploy/start_job_started.json", ()),
    (Settings, "deploy/settings.json", ()),
]
UNDOCUMENTED = {StartedEnvironment: {"errorCode"}}
"""A success that says that the app already runs has the keys of a refusal."""
REFUSALS = [
    *on(
        (GET_ENVIRONMENT, GET_START_JOB, STOP, TRANSPORT, GET_SETTINGS, SET_SETTINGS),
        [
            (400, "invalid_parameters", InvalidRequestError, "Check the values of the task"),
            (400, "invalid_environment", EnvironmentNotFoundError, "name exactly as Mendix spells it"),
            (404, "environment_not_found", EnvironmentNotFoundError, "name exactly as Mendix spells it"),
        ],
    ),
    (GET_PACKAGE, 400, "invalid_parameters", InvalidRequestError, "Check the values of the task"),
    (GET_PACKAGE, 400, "invalid_environment", EnvironmentNotFoundError, "name exactly as Mendix spells it"),
    (GET_PACKAGE, 404, "package_not_found", PackageNotFoundError, "Check the package id"),
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
    (GET_START_JOB, 404, "no_such_startjob", StartJobNotFoundError, "Check the environment itself"),
    (GET_START_JOB, 500, "no_package", StartFailedError, "no package on the environment; transport one first"),
    (GET_START_JOB, 500, "already_locked", StartFailedError, "wait until it has ended, and start again"),
    (GET_START_JOB, 500, "already_started", AlreadyStartedError, "Nothing to do"),
    (
        GET_START_JOB,
        500,
        "db_sync_failed",
        StartFailedError,
        "transport the previous package, restore the snapshot",
    ),
    (GET_START_JOB, 500, "invalid_db_structure", StartFailedError, "start with auto_sync_db=True"),
    (GET_START_JOB, 500, "missing_constant", StartFailedError, "set it with MendixUpdateSettingsOperator"),
    (GET_START_JOB, 500, "insecure_admin_password", StartFailedError, "set another one, and start again"),
    (GET_START_JOB, 500, "startup_action_failed", StartFailedError, "log in the portal"),
    (GET_START_JOB, 500, "start_failed", StartFailedError, "log in the portal"),
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
    (GET_APP, 400, "invalid_appid", InvalidRequestError, "app_id is the app's subdomain"),
    (GET_APP, 404, "app_not_found", AppNotFoundError, "app_id is the app's subdomain"),
]
TRANSIENT = {"service_unavailable", "app_already_has_a_starting_job"}


TestDocumented = documented(deploy, CALLS, FIELDS, undocumented=UNDOCUMENTED)
TestRefused = refused("deploy", REFUSALS, transient=TRANSIENT)


def test_no_endpoint_erases_an_environment():
    assert [
        endpoint.path for endpoint in endpoints(deploy) if "clean" in endpoint.path or endpoint.method == "DELETE"
    ] == []


ENVIRONMENT_CALLS = [
    (lambda name: deploy.get_environment("library", name), "", {"Status": "Running", "Mode": "x"}),
    (lambda name: deploy.get_environment_package("library", name), "/package", {"PackageId": "x", "Status": ""}),
    (lambda name: deploy.transport_package("library", name, PACKAGE_ID), "/transport", {}),
    (lambda name: deploy.stop_environment("library", name), "/stop", {}),
    (lambda name: deploy.start_environment("library", name, auto_sync_db=True), "/start", {}),
    (lambda name: deploy.get_start_job("library", name, JOB_ID), f"/start/{JOB_ID}", {"Status": "Started"}),
    (lambda name: deploy.get_settings("library", name), "/settings", {}),
    (lambda name: deploy.set_settings("library", name, SETTINGS), "/settings", {}),
]


@pytest.mark.parametrize(
    ("environment", "segment"),
    [
        ("Acceptance", "Acceptance"),
        ("acceptance", "acceptance"),
        ("Load Test 2", "Load%20Test%202"),
        ("blue/green", "blue%2Fgreen"),
        ("Prüfstand-Ω", "Pr%C3%BCfstand-%CE%A9"),
        ("100%?&#+;", "100%25%3F%26%23%2B%3B"),
        ("50%2Foff", "50%252Foff"),
        ("a/../b", "a%2F..%2Fb"),
        (" Test ", "%20Test%20"),
    ],
)
def test_an_environment_is_sent_as_one_segment(send, wire, environment, segment):
    for _, _, answer in ENVIRONMENT_CALLS:
        wire.answer(answer)

    send.all([call(environment) for call, _, _ in ENVIRONMENT_CALLS])

    assert [request.target for request in wire.requests] == [
        f"{ENVIRONMENTS}/{segment}{rest}" for _, rest, _ in ENVIRONMENT_CALLS
    ]


@pytest.mark.parametrize("call", [call for call, _, _ in ENVIRONMENT_CALLS])
@pytest.mark.parametrize("environment", ["", ".", "..", "None", ACCEPTANCE_ID, ACCEPTANCE_ID.upper(), None, 7])
def test_a_wrong_name_of_an_environment_is_refused_before_any_request(call, environment):
    with pytest.raises(InvalidInputError, match=r"^environment "):
        call(environment)


def test_settings_are_sent_back_with_all_that_was_in_their_entries(send, wire):
    """Keys that Mendix adds to an entry must not be lost by reading and writing."""
    said = {
        "Constants": [
            {"Name": "A.B", "DataType": "Decimal", "Value": None, "DeployedValue": "1.50", "New": {"x": [1]}}
        ],
        "CustomSettings": [{"Whatever": True}, {}],
        "ScheduledEvents": [{"Name": "A.C", "Value": "true", "DeployedValue": False, "größe": "Ω"}],
    }
    wire.answer(said)
    wire.answer(said)

    settings = send(deploy.get_settings("library", "Acceptance"))
    send(deploy.set_settings("library", "Acceptance", settings))

    assert json.loads(wire.requests[1].body) == said


@pytest.mark.parametrize(
    "show", [repr, str, pretty_repr, "{!r:.5000}".format], ids=["repr", "str", "rich", "format"]
)
def test_settings_show_no_values(show):
    shown = show(SETTINGS)

    assert "Library.MailPassword" in shown
    assert "sesame" not in shown
    assert "smtp.example.com" not in shown


@pytest.mark.parametrize("show", [repr, str, pretty_repr], ids=["repr", "str", "rich"])
def test_a_call_shows_no_values(show):
    shown = show(deploy.set_settings("library", "Acceptance", SETTINGS))

    assert f"POST {ACCEPTANCE}/settings" in shown
    assert "sesame" not in shown


def test_a_refusal_that_quotes_a_setting_does_not_show_its_value(mendix):
    call = deploy.set_settings("library", "Acceptance", SETTINGS)
    said = {"errorCode": "CONSTANT_NOT_FOUND", "errorMessage": f"Library.Mail cannot be '{PASSWORD}'"}

    error = mendix.refusal(call, said, 400)

    assert "Library.Mail cannot be '***'" in str(error)
    assert PASSWORD not in repr(error)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"mode": "Production", "production": True}, True),
        ({"mode": "Acceptance", "production": True}, True),
        ({"mode": "Production", "production": False}, True),
        ({"mode": "Production", "production": None}, True),
        ({"mode": "PRODUCTION"}, True),
        ({"mode": "production"}, True),
        ({"mode": " Production "}, True),
        ({"mode": "Prod"}, True),
        ({"mode": "Acceptance", "production": False}, False),
        ({"mode": "Acceptance"}, False),
        ({"mode": "Test", "production": None}, False),
        ({"mode": "Preproduction", "production": False}, False),
        ({"mode": ""}, False),
    ],
)
def test_production_is_recognised_by_flag_or_name(fields, expected):
    assert Environment(status="Running", **fields).is_production is expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [(RUNNING_ENVIRONMENT, False), (STOPPED_ENVIRONMENT, False), (EMPTY_ENVIRONMENT, True)],
    ids=lambda value: getattr(value, "mode", None),
)
def test_production_of_the_documented_environments(environment, expected):
    assert environment.is_production is expected


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
def test_the_body_of_a_stop_or_transport_does_not_matter(send, wire, call, body, kind, status):
    wire.answer(body, status, Content_Type=kind)

    assert send(call) is None


@pytest.mark.parametrize(
    "body", [b"", b" \r\n", b"OK", b"Started", b'""', b"true", b"null", b"\xff", b"{}", b'{"JobId": null}']
)
def test_a_start_may_name_no_job(send, wire, body):
    """Mendix has accepted the start; the status of the environment shows its progress."""
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
def test_the_outcome_of_a_start_that_cannot_be_read_is_unknown(send, wire, body):
    wire.answer(body)

    with pytest.raises(MalformedResponseError) as raised:
        send(START)

    assert raised.value.message.endswith(f" {OUTCOME_UNKNOWN}")


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        (GET_ENVIRONMENT, LEAST, Environment(mode="Acceptance", status="Running")),
        (LIST_ENVIRONMENTS, [LEAST], [Environment(mode="Acceptance", status="Running")]),
        (START, {"JobId": "x"}, StartedEnvironment(job_id="x")),
        (GET_SETTINGS, {}, Settings()),
        (GET_SETTINGS, {"Constants": [{}]}, Settings(constants=({},))),
        (LIST_ENVIRONMENTS, [], []),
        (GET_ENVIRONMENT, {**LEAST, "Status": "Stopping"}, Environment(mode="Acceptance", status="Stopping")),
        (GET_ENVIRONMENT, {**LEAST, "Status": ""}, Environment(mode="Acceptance", status="")),
        (GET_START_JOB, {"Status": "Failed"}, StartJob(status="Failed")),
        (GET_ENVIRONMENT, {**LEAST, "Instances": 2, "production": True}, Environment("Acceptance", "Running")),
        (GET_START_JOB, {"Status": "Started", "Log": ["a"]}, StartJob(status="Started")),
        (START, {"JobId": "x", "errorMessage": "fine"}, StartedEnvironment(job_id="x")),
    ],
)
def test_only_required_fields_must_be_there(mendix, call, answer, expected):
    assert mendix.read(call, answer) == expected


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

    absent, null = send.all([GET_ENVIRONMENT, GET_ENVIRONMENT])

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

    assert send(GET_ENVIRONMENT).is_production is expected


@pytest.mark.parametrize("flag", ["true", "yes", 1, [True]])
def test_an_unreadable_production_flag_does_not_count_as_false(send, wire, flag):
    """Otherwise production could be changed as if it were something else."""
    wire.answer({**LEAST, "Production": flag})

    with pytest.raises(MalformedResponseError, match=r"\$\.Production"):
        send(GET_ENVIRONMENT)


@pytest.mark.parametrize(
    ("call", "answer", "says"),
    [
        (GET_ENVIRONMENT, {"Status": "Running", "Url": CANARY}, "`Mode`"),
        (GET_ENVIRONMENT, {"Mode": "Acceptance", "Url": CANARY}, "`Status`"),
        (GET_ENVIRONMENT, {**LEAST, "Mode": None, "Url": CANARY}, "$.Mode"),
        (GET_ENVIRONMENT, {"status": CANARY, "mode": CANARY}, "missing required field"),
        (GET_ENVIRONMENT, b"", "truncated"),
        (GET_ENVIRONMENT, b"<html>" + CANARY.encode(), "malformed"),
        (LIST_ENVIRONMENTS, LEAST, "Expected `array`"),
        (LIST_ENVIRONMENTS, [LEAST, {"Mode": CANARY}], "$[1]"),
        (GET_PACKAGE, {"Name": CANARY}, "missing required field"),
        (GET_PACKAGE, None, "Expected `object`"),
        (GET_START_JOB, {"status": CANARY}, "`Status`"),
        (GET_START_JOB, b"", "truncated"),
        (GET_SETTINGS, [{"Constants": CANARY}], "Expected `object`"),
        (GET_SETTINGS, {"Constants": CANARY}, "$.Constants"),
        (GET_SETTINGS, {"Constants": [CANARY]}, "$.Constants[0]"),
        (SET_SETTINGS, b"", "truncated"),
    ],
)
def test_a_success_that_cannot_be_read(mendix, call, answer, says):
    check_malformed(mendix, call, answer, says)


def test_already_started_may_be_a_success(send, wire, sample):
    """One version of the documentation has 200 for it, another 500."""
    wire.answer(sample("deploy/error_already_started.json"), 200)

    assert send(START) == StartedEnvironment(job_id=None, error_code="ALREADY_STARTED")


@pytest.mark.parametrize("status", [400, 409, 500, 503])
def test_already_started_is_recognised_by_its_code(mendix, sample, status):
    error = mendix.refusal(START, sample("deploy/error_already_started.json"), status)

    assert type(error) is AlreadyStartedError
    assert error.transient is False


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
def test_a_code_may_be_spelled_with_a_space_or_not(mendix, code, status, kind):
    error = mendix.refusal(TRANSPORT, {"errorCode": code, "errorMessage": "Not now."}, status)

    assert type(error) is kind
    assert error.code in ("NOT_ALLOWED", "SERVICE_UNAVAILABLE")
