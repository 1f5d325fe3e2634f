"""What a response that is no success becomes: Mendix's code decides first, the HTTP status second."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from airflow_provider_mendix.api import app_repository, backups, build, deploy, deploy_v2, team_server
from airflow_provider_mendix.exceptions import (
    BranchNotFoundError,
    BuildFailedError,
    ForbiddenError,
    InvalidRequestError,
    MendixResponseError,
    NotFoundError,
    PackageNotFoundError,
    RateLimitedError,
    RedirectedError,
    ServiceUnavailableError,
    StartFailedError,
    UnauthorizedError,
)

from .checks import HTML, OUTCOME_UNKNOWN, TOKEN, shown

PACKAGE_ID = "b3d14e53-2654-4534-b374-9179a69ef3cf"
PROJECT_ID = "c0af1725-edae-4345-aea7-2f94f7760e33"
LIST = build.list_packages("calc")
GET = build.get_package("calc", PACKAGE_ID)
DELETE = build.delete_package("calc", PACKAGE_ID)
START = build.start_build("calc", revision=63, version="2.5.4")
GET_APP = deploy.get_app("calc")
GET_JOB = deploy_v2.get_job("calc", "66046953-ecf7-4550-a889-4b7e9f1e1705")
REVISIONS = team_server.list_revisions("calc", "branches/development")
COMMITS = app_repository.list_commits(PROJECT_ID, "main")
LIST_PATH = "/api/1/apps/calc/packages"
PATH = f"{LIST_PATH}/{PACKAGE_ID}"
AT = ("library", "Acceptance")
KEPT = (PROJECT_ID, "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c02")
SNAPSHOT_ID = "a7d30c52-1f68-4e0b-95c4-3e8b7f6a2d10"
START_JOB = deploy.get_start_job(*AT, "8e2d6f14-0b9c-4a57-b3e8-d17c5a9f4e20")
READS = (
    LIST,
    GET,
    GET_APP,
    GET_JOB,
    REVISIONS,
    START_JOB,
    deploy.list_apps(),
    deploy.list_environments("library"),
    deploy.get_environment(*AT),
    deploy.get_environment_package(*AT),
    deploy.get_settings(*AT),
    backups.list_snapshots(*KEPT),
    backups.get_snapshot(*KEPT, SNAPSHOT_ID),
    backups.get_restore(*KEPT, SNAPSHOT_ID),
)
CHANGES = (
    START,
    DELETE,
    deploy.transport_package(*AT, PACKAGE_ID),
    deploy.stop_environment(*AT),
    deploy.start_environment(*AT, auto_sync_db=True),
    deploy.set_settings(*AT, deploy.Settings()),
    backups.create_snapshot(*KEPT),
    backups.create_restore(*KEPT, SNAPSHOT_ID),
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "transient"),
    [
        # The code decides, whatever the status.
        (500, {"errorCode": "BUILD_FAILED"}, BuildFailedError, "BUILD_FAILED", False),
        (503, {"errorCode": "BUILD_FAILED"}, BuildFailedError, "BUILD_FAILED", False),
        (400, {"errorCode": "PACKAGE_NOT_FOUND"}, PackageNotFoundError, "PACKAGE_NOT_FOUND", False),
        (400, {"errorCode": "INVALID_CREDENTIALS"}, UnauthorizedError, "INVALID_CREDENTIALS", False),
        (500, {"errorCode": "SERVICE_UNAVAILABLE"}, ServiceUnavailableError, "SERVICE_UNAVAILABLE", True),
        (500, {"errorCode": "RS500"}, ServiceUnavailableError, "RS500", True),
        (503, {"errorCode": "SERVICE UNAVAILABLE"}, ServiceUnavailableError, "SERVICE_UNAVAILABLE", True),
        (500, {"errorCode": " Service Unavailable "}, ServiceUnavailableError, "SERVICE_UNAVAILABLE", True),
        # Then the status.
        (400, b"", InvalidRequestError, None, False),
        (400, {"errorMessage": "No."}, InvalidRequestError, None, False),
        (400, {"errorCode": "SOMETHING_NEW"}, InvalidRequestError, "SOMETHING_NEW", False),
        (404, b"", NotFoundError, None, False),
        (404, {"errorCode": "BRANCH_NOT_FOUND"}, BranchNotFoundError, "BRANCH_NOT_FOUND", False),
        (408, b"", ServiceUnavailableError, None, True),
        (429, b"", RateLimitedError, None, True),
        (502, HTML, ServiceUnavailableError, None, True),
        (503, b"", ServiceUnavailableError, None, True),
        (504, HTML, ServiceUnavailableError, None, True),
        (502, {"errorCode": "SOMETHING_NEW"}, ServiceUnavailableError, "SOMETHING_NEW", True),
        (503, {"errorCode": "SOMETHING_NEW"}, ServiceUnavailableError, "SOMETHING_NEW", True),
        (504, {"errorCode": "SOMETHING_NEW"}, ServiceUnavailableError, "SOMETHING_NEW", True),
        # A 500 is an outage only where Mendix gives no code.
        (501, b"", MendixResponseError, None, False),
        (505, HTML, MendixResponseError, None, False),
        (500, b"", ServiceUnavailableError, None, True),
        (500, HTML, ServiceUnavailableError, None, True),
        (500, {"errorMessage": "No."}, ServiceUnavailableError, None, True),
        (500, {"errorCode": ""}, ServiceUnavailableError, None, True),
        (500, {"errorCode": None}, ServiceUnavailableError, None, True),
        (500, b"[[[", ServiceUnavailableError, None, True),
        (500, b"[" * 100_000, ServiceUnavailableError, None, True),
        (500, b"\xff\xfe", ServiceUnavailableError, None, True),
        (500, b'{"errorMessage": "\xff"}', ServiceUnavailableError, None, True),
        (500, [1], ServiceUnavailableError, None, True),
        (520, b"", ServiceUnavailableError, None, True),
        (500, {"errorCode": "DB_SYNC_FAILED"}, StartFailedError, "DB_SYNC_FAILED", False),
        (520, {"errorCode": "SOMETHING_NEW"}, MendixResponseError, "SOMETHING_NEW", False),
        (418, b"", MendixResponseError, None, False),
    ],
)
def test_classification(mendix, status, body, kind, code, transient):
    error = mendix.refusal(GET, body, status)

    assert type(error) is kind
    assert (error.status, error.code, error.transient) == (status, code, transient)
    assert f" (GET {PATH}: HTTP {status}" in str(error)


@pytest.mark.parametrize("call", CHANGES, ids=str)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b""),
        (500, b"upstream sleeps"),
        (502, HTML),
        (503, b""),
        (504, b""),
        (503, {"errorCode": "SOMETHING_NEW"}),
    ],
)
def test_the_outcome_of_a_change_is_unknown_after_an_outage(mendix, call, status, body):
    """A proxy in front of Mendix may have answered, after Mendix got the request."""
    error = mendix.refusal(call, body, status)

    assert type(error) is ServiceUnavailableError
    assert error.message.endswith(f" {OUTCOME_UNKNOWN}")


@pytest.mark.parametrize("call", CHANGES, ids=str)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (404, b""),
        (408, b""),
        (429, b""),
        (501, b""),
        (302, b""),
        (503, {"errorCode": "SERVICE_UNAVAILABLE"}),
    ],
)
def test_the_outcome_of_a_refused_change_is_known(mendix, call, status, body):
    assert OUTCOME_UNKNOWN not in str(mendix.refusal(call, body, status))


@pytest.mark.parametrize("call", READS, ids=str)
def test_the_outcome_of_a_read_does_not_matter(mendix, call):
    assert str(mendix.refusal(call, b"", 502)) == f"Mendix is not available. ({call}: HTTP 502)"


@pytest.mark.parametrize("call", [call for call in (*READS, *CHANGES) if call is not REVISIONS], ids=str)
@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (403, ForbiddenError)])
@pytest.mark.parametrize("body", [b"", HTML, {"errorCode": "SOMETHING_NEW", "errorMessage": "Not for you."}])
def test_a_refused_key_is_named_with_its_permission(mendix, call, status, kind, body):
    error = mendix.refusal(call, body, status)

    assert type(error) is kind
    assert error.transient is False
    assert "Check the user name and the API key of the connection" in str(error)
    assert "'API Rights'" in str(error)
    assert "Permissions tab" in str(error)
    assert "mx:" not in str(error)


@pytest.mark.parametrize("call", [call for call in CHANGES if call is not DELETE][:-2], ids=str)
def test_a_refused_change_names_the_other_permission_too(mendix, call):
    assert "'Transport Rights'" in str(mendix.refusal(call, b"", 403))
    assert "'Transport Rights'" not in str(mendix.refusal(call, b"", 401))
    assert "'Transport Rights'" not in str(mendix.refusal(LIST, b"", 403))


@pytest.mark.parametrize("call", [*READS, *CHANGES], ids=str)
def test_refused_credentials_are_a_refused_key_whatever_the_status(mendix, call):
    error = mendix.refusal(call, {"errorCode": "INVALID_CREDENTIALS", "errorMessage": "No."}, 400)

    assert type(error) is UnauthorizedError
    assert "a personal access token has a field of its own" in str(error)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("120", 120.0), (" 120 ", 120.0), ("soon", None), ("-5", None), ("1.5", None), ("\xb2", None)],
)
def test_retry_after_in_seconds(mendix, status, value, seconds):
    assert mendix.refusal(LIST, b"", status, retry_after=value).retry_after == seconds


def test_retry_after_as_a_date(mendix):
    at = time.time() + 120
    error = mendix.refusal(LIST, b"", 429, retry_after=formatdate(at, usegmt=True))

    assert type(error) is RateLimitedError
    assert 60 < error.retry_after <= 120


def test_retry_after_in_the_past_means_now(mendix):
    assert mendix.refusal(LIST, b"", 429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT").retry_after == 0


def test_no_retry_after(mendix):
    assert mendix.refusal(LIST, b"", 429).retry_after is None


def test_html_is_not_quoted(mendix):
    assert (
        str(mendix.refusal(LIST, HTML, 502, Content_Type="text/html; charset=utf-8"))
        == f"Mendix is not available. (GET {LIST_PATH}: HTTP 502)"
    )


def test_text_is_quoted_but_not_at_length(mendix):
    message = str(
        mendix.refusal(LIST, b"upstream <b>is</b>\nasleep " + b"z" * 5000, 502, Content_Type="text/plain")
    )

    assert message.startswith("Mendix is not available: upstream is asleep zzz")
    assert len(message) < 500


def test_a_long_error_message_is_shortened(mendix):
    error = mendix.refusal(LIST, {"errorCode": "X" * 5000, "errorMessage": "y" * 5000}, 400)

    assert len(str(error)) < 700
    assert len(error.code) == 60


@pytest.mark.parametrize("call", [LIST, COMMITS], ids=str)
@pytest.mark.parametrize("status", [302, 400, 401, 404, 500])
@pytest.mark.parametrize(
    "place",
    [
        lambda said: {"errorMessage": said},
        lambda said: {"errorCode": said, "errorMessage": said},
        lambda said: said.encode(),
    ],
    ids=["message", "code", "text"],
)
def test_credentials_that_the_server_repeats_are_taken_out(mendix, send, call, status, place):
    error = mendix.refusal(
        call, place(f"The key {send.account.api_key} and the token {TOKEN} are unknown."), status
    )

    assert ("The key *** and the token *** are unknown." in str(error)) == (status != 302)
    assert send.account.api_key not in shown(error)
    assert TOKEN not in shown(error)


@pytest.mark.parametrize("call", [LIST, START, DELETE, COMMITS], ids=str)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(mendix, file_host, call, status):
    error = mendix.refusal(call, b"", status, Location=f"{file_host.url}/elsewhere?sig=canary")

    assert type(error) is RedirectedError
    assert (error.status, error.transient) == (status, False)
    assert str(error).endswith(f" ({call}: HTTP {status})")
    assert RedirectedError.advice in str(error)
    assert "canary" not in str(error)
    assert sum(len(wire.requests) for wire in mendix.wires.values()) == 1
    assert file_host.requests == []


@pytest.mark.parametrize("location", ["https://[canary", "http://files.example/?canary", "canary", None])
def test_a_redirect_to_somewhere_odd(mendix, location):
    error = mendix.refusal(LIST, b"canary", 302, **({"Location": location} if location else {}))

    assert type(error) is RedirectedError
    assert "canary" not in str(error)


@pytest.mark.parametrize("call", [START_JOB, *CHANGES], ids=str)
def test_a_500_with_an_unknown_code_is_final(mendix, call):
    """Otherwise a new kind of failure would be waited for."""
    error = mendix.refusal(call, {"errorCode": "SOMETHING_NEW", "errorMessage": "The cause."}, 500)

    assert type(error) is MendixResponseError
    assert error.transient is False
    hint = "" if call.endpoint.repeatable else f" {OUTCOME_UNKNOWN}"
    assert str(error) == f"Mendix refused the request: The cause.{hint} ({call}: HTTP 500 SOMETHING_NEW)"
    assert error.outcome_unknown is not call.endpoint.repeatable
