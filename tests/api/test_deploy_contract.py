"""What goes over the wire to bring a package to an environment, and what is read from the documented answers."""

from __future__ import annotations

import json

import msgspec
import pendulum
import pytest
from rich.pretty import pretty_repr

from airflow_provider_mendix import __version__
from airflow_provider_mendix.api import backups, deploy
from airflow_provider_mendix.api.backups import Restore, Snapshot, Snapshots
from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.api.call import Endpoint
from airflow_provider_mendix.api.deploy import App, Environment, Settings, StartedEnvironment, StartJob
from airflow_provider_mendix.exceptions import InvalidInputError

PROJECT_ID = "fae5de74-69c2-4488-a4de-abf89daac63e"
TEST_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c01"
ACCEPTANCE_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c02"
PACKAGE_ID = "5f0e8a1d-7c34-4b92-9d60-2ab1c3d4e5f6"
JOB_ID = "8e2d6f14-0b9c-4a57-b3e8-d17c5a9f4e20"
SNAPSHOT_ID = "a7d30c52-1f68-4e0b-95c4-3e8b7f6a2d10"
FAILED_SNAPSHOT_ID = "a7d30c52-1f68-4e0b-95c4-3e8b7f6a2d11"
RESTORE_ID = "d4b8e6f0-93a1-47c5-8e2d-0f5a6c7b1e33"
ENVIRONMENTS = "/api/1/apps/library/environments"
ACCEPTANCE = f"{ENVIRONMENTS}/Acceptance"
BACKUPS = f"/api/v2/apps/{PROJECT_ID}/environments/{ACCEPTANCE_ID}"
TARGET = f"/api/v2/apps/{PROJECT_ID}/environments/{TEST_ID}"
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

READS = [
    pytest.param(
        deploy.list_apps(),
        "/api/1/apps",
        "deploy/apps",
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
        id="list apps",
    ),
    pytest.param(
        deploy.get_app("calc"),
        "/api/1/apps/calc",
        "deploy/app",
        App(
            app_id="calc",
            name="Calculation App",
            project_id="543857rfds-dfsfsd12c5e24-3224d32eg",
            url="https://calc.mendixcloud.com",
        ),
        id="get app",
    ),
    pytest.param(
        deploy.list_environments("library"),
        ENVIRONMENTS,
        "deploy/environments",
        [RUNNING_ENVIRONMENT, STOPPED_ENVIRONMENT, EMPTY_ENVIRONMENT],
        id="list environments",
    ),
    pytest.param(
        deploy.get_environment("library", "Acceptance"),
        ACCEPTANCE,
        "deploy/environment",
        STOPPED_ENVIRONMENT,
        id="get environment",
    ),
    pytest.param(
        deploy.get_environment_package("library", "Acceptance"),
        f"{ACCEPTANCE}/package",
        "deploy/environment_package",
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
        id="get package of an environment",
    ),
    pytest.param(
        deploy.get_start_job("library", "Acceptance", JOB_ID),
        f"{ACCEPTANCE}/start/{JOB_ID}",
        "deploy/start_job_starting",
        StartJob(status="Starting"),
        id="get start job that goes on",
    ),
    pytest.param(
        deploy.get_start_job("library", "Acceptance", JOB_ID),
        f"{ACCEPTANCE}/start/{JOB_ID}",
        "deploy/start_job_started",
        StartJob(status="Started"),
        id="get start job that has ended",
    ),
    pytest.param(
        deploy.get_settings("library", "Acceptance"),
        f"{ACCEPTANCE}/settings",
        "deploy/settings",
        SETTINGS,
        id="get settings",
    ),
    pytest.param(
        backups.list_snapshots(PROJECT_ID, ACCEPTANCE_ID, offset=100),
        f"{BACKUPS}/snapshots?offset=100&limit=100",
        "backups/snapshots",
        Snapshots(snapshots=(COMPLETED_SNAPSHOT, FAILED_SNAPSHOT), total=102, offset=100, limit=100),
        id="list snapshots",
    ),
    pytest.param(
        backups.get_snapshot(PROJECT_ID, ACCEPTANCE_ID, SNAPSHOT_ID),
        f"{BACKUPS}/snapshots/{SNAPSHOT_ID}",
        "backups/snapshot_completed",
        COMPLETED_SNAPSHOT,
        id="get completed snapshot",
    ),
    pytest.param(
        backups.get_snapshot(PROJECT_ID, ACCEPTANCE_ID, FAILED_SNAPSHOT_ID),
        f"{BACKUPS}/snapshots/{FAILED_SNAPSHOT_ID}",
        "backups/snapshot_failed",
        FAILED_SNAPSHOT,
        id="get failed snapshot",
    ),
    pytest.param(
        backups.get_restore(PROJECT_ID, TEST_ID, RESTORE_ID),
        f"{TARGET}/restores/{RESTORE_ID}",
        "backups/restore_completed",
        COMPLETED_RESTORE,
        id="get restore",
    ),
]
CHANGES = [
    pytest.param(
        deploy.start_environment("library", "Acceptance", auto_sync_db=True),
        f"{ACCEPTANCE}/start",
        {"AutoSyncDb": True},
        "deploy/started_environment",
        StartedEnvironment(job_id=JOB_ID),
        id="start",
    ),
    pytest.param(
        deploy.start_environment("library", "Acceptance", auto_sync_db=False),
        f"{ACCEPTANCE}/start",
        {"AutoSyncDb": False},
        "deploy/started_environment",
        StartedEnvironment(job_id=JOB_ID),
        id="start on the database as it is",
    ),
    pytest.param(
        deploy.start_environment("library", "Acceptance", auto_sync_db=True),
        f"{ACCEPTANCE}/start",
        {"AutoSyncDb": True},
        "deploy/error_already_started",
        StartedEnvironment(job_id=None, error_code="ALREADY_STARTED"),
        id="start what runs already",
    ),
    pytest.param(
        deploy.stop_environment("library", "Acceptance"), f"{ACCEPTANCE}/stop", {}, None, None, id="stop"
    ),
    pytest.param(
        deploy.transport_package("library", "Acceptance", PACKAGE_ID),
        f"{ACCEPTANCE}/transport",
        {"PackageId": PACKAGE_ID},
        None,
        None,
        id="transport",
    ),
    pytest.param(
        deploy.set_settings("library", "Acceptance", SETTINGS),
        f"{ACCEPTANCE}/settings",
        {
            "Constants": list(SETTINGS.constants),
            "CustomSettings": [],
            "ScheduledEvents": list(SETTINGS.scheduled_events),
        },
        "deploy/settings",
        SETTINGS,
        id="set settings",
    ),
    pytest.param(
        backups.create_snapshot(PROJECT_ID, ACCEPTANCE_ID, comment="before release 3.1.0"),
        f"{BACKUPS}/snapshots",
        {"comment": "before release 3.1.0"},
        "backups/snapshot_queued",
        QUEUED_SNAPSHOT,
        id="create snapshot",
    ),
    pytest.param(
        backups.create_snapshot(PROJECT_ID, ACCEPTANCE_ID),
        f"{BACKUPS}/snapshots",
        {},
        "backups/snapshot_queued",
        QUEUED_SNAPSHOT,
        id="create snapshot without a comment",
    ),
    pytest.param(
        backups.create_restore(PROJECT_ID, TEST_ID, SNAPSHOT_ID),
        f"{TARGET}/restores?source_snapshot_id={SNAPSHOT_ID}",
        None,
        "backups/restore_queued",
        QUEUED_RESTORE,
        id="create restore",
    ),
    pytest.param(
        backups.create_restore(PROJECT_ID, TEST_ID, SNAPSHOT_ID, db_only=True),
        f"{TARGET}/restores?source_snapshot_id={SNAPSHOT_ID}&db_only=true",
        None,
        "backups/restore_queued",
        QUEUED_RESTORE,
        id="create restore of the database only",
    ),
]


IN_A_REFUSAL = {StartedEnvironment: {"errorCode"}}
"""That the app runs already is said with the keys of a refusal."""


def assert_credentials_and_origin(send, request):
    assert {name: value for name, value in request.headers.items() if name.startswith("mendix")} == {
        "mendix-username": send.account.username,
        "mendix-apikey": send.account.api_key,
    }
    assert not {"authorization", "cookie"} & set(request.headers)
    assert request.headers["user-agent"] == f"airflow-provider-mendix/{__version__}"


@pytest.mark.parametrize(("call", "target", "answer", "expected"), READS)
def test_documented_read(send, wire, sample, call, target, answer, expected):
    wire.answer(sample(f"{answer}.json"))

    assert send(call, personal_access_token="pat-1") == expected

    request = wire.request
    assert (request.method, request.target, request.body) == ("GET", target, b"")
    assert "content-type" not in request.headers
    assert_credentials_and_origin(send, request)


@pytest.mark.parametrize(("call", "target", "body", "answer", "expected"), CHANGES)
def test_documented_change(send, wire, sample, call, target, body, answer, expected):
    wire.answer(sample(f"{answer}.json") if answer else b"")

    assert send(call, personal_access_token="pat-1") == expected

    request = wire.request
    assert (request.method, request.target) == ("POST", target)
    assert (json.loads(request.body) if request.body else None) == body
    assert request.headers.get("content-type") == (None if body is None else "application/json")
    assert request.headers["content-length"] == str(len(request.body))
    assert_credentials_and_origin(send, request)


def declared() -> list[Endpoint]:
    return [
        value for family in (deploy, backups) for value in vars(family).values() if isinstance(value, Endpoint)
    ]


def test_every_endpoint_is_called():
    called = [param.values[0].endpoint for param in (*READS, *CHANGES)]

    assert declared()
    assert [endpoint for endpoint in declared() if endpoint not in called] == []


def test_what_erases_an_environment_is_not_offered():
    assert [
        endpoint.path for endpoint in declared() if "clean" in endpoint.path or endpoint.method == "DELETE"
    ] == []


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        (App, ["deploy/app"]),
        (Environment, ["deploy/environment"]),
        (StartedEnvironment, ["deploy/started_environment"]),
        (StartJob, ["deploy/start_job_starting", "deploy/start_job_started"]),
        (Settings, ["deploy/settings"]),
        (Snapshot, ["backups/snapshot_queued", "backups/snapshot_completed", "backups/snapshot_failed"]),
        (Snapshots, ["backups/snapshots"]),
        (Restore, ["backups/restore_queued", "backups/restore_completed"]),
    ],
)
def test_every_documented_field_is_read(sample, kind, answers):
    """A field that Mendix documents and nobody reads would go unnoticed otherwise."""
    read = {field.encode_name for field in msgspec.structs.fields(kind)}

    for answer in answers:
        assert read - IN_A_REFUSAL.get(kind, set()) == set(json.loads(sample(f"{answer}.json")))


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
def test_an_environment_travels_as_one_segment_spelled_as_it_is(send, wire, environment, segment):
    for _, _, answer in ENVIRONMENT_CALLS:
        wire.answer(answer)

    send.all([call(environment) for call, _, _ in ENVIRONMENT_CALLS])

    assert [request.target for request in wire.requests] == [
        f"{ENVIRONMENTS}/{segment}{rest}" for _, rest, _ in ENVIRONMENT_CALLS
    ]


@pytest.mark.parametrize("call", [call for call, _, _ in ENVIRONMENT_CALLS])
@pytest.mark.parametrize("environment", ["", ".", "..", "None", ACCEPTANCE_ID, ACCEPTANCE_ID.upper(), None, 7])
def test_what_is_no_name_of_an_environment_is_refused_before_any_request(call, environment):
    with pytest.raises(InvalidInputError, match=r"^environment "):
        call(environment)


@pytest.mark.parametrize("comment", ["für Zoë", 'a "b" \\ c', "x" * 10_000])
def test_a_comment_travels_as_it_is(send, wire, sample, comment):
    wire.answer(sample("backups/snapshot_queued.json"))

    send(backups.create_snapshot(PROJECT_ID, ACCEPTANCE_ID, comment=comment))

    assert json.loads(wire.request.body.decode("utf-8")) == {"comment": comment}


def test_the_first_page_of_snapshots_begins_at_the_start(send, wire, sample):
    wire.answer(sample("backups/snapshots.json"))

    send(backups.list_snapshots(PROJECT_ID, ACCEPTANCE_ID))

    assert wire.request.target == f"{BACKUPS}/snapshots?offset=0&limit=100"


def test_settings_are_sent_back_with_all_that_was_in_their_entries(send, wire):
    """What Mendix adds to an entry one day must not be lost by reading and writing."""
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
def test_production_is_told_by_flag_or_by_name(fields, expected):
    assert Environment(status="Running", **fields).is_production is expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [(RUNNING_ENVIRONMENT, False), (STOPPED_ENVIRONMENT, False), (EMPTY_ENVIRONMENT, True)],
    ids=lambda value: getattr(value, "mode", None),
)
def test_production_of_the_documented_environments(environment, expected):
    assert environment.is_production is expected
