"""Mendix says no: each documented code, and what is made of answers that nobody documented."""

from __future__ import annotations

import json
import time
import traceback
from email.utils import formatdate

import pytest

from airflow_provider_mendix.api import app_repository, build, deploy, deploy_v2, team_server
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    BranchNotFoundError,
    BuildFailedError,
    BuildNotSucceededError,
    ForbiddenError,
    InvalidRequestError,
    MendixError,
    MendixResponseError,
    NotFoundError,
    PackageInUseError,
    PackageNotFoundError,
    RateLimitedError,
    RedirectedError,
    ServiceUnavailableError,
    StartFailedError,
    UnauthorizedError,
)

TOKEN = "7LJE-token-that-nobody-may-see"
PACKAGE_ID = "b3d14e53-2654-4534-b374-9179a69ef3cf"
PROJECT_ID = "c0af1725-edae-4345-aea7-2f94f7760e33"
LIST = build.list_packages("calc")
GET = build.get_package("calc", PACKAGE_ID)
DELETE = build.delete_package("calc", PACKAGE_ID)
DOWNLOAD = build.download_package("calc", PACKAGE_ID)
START = build.start_build("calc", revision=63, version="2.5.4")
GET_APP = deploy.get_app("calc")
GET_JOB = deploy_v2.get_job("calc", "66046953-ecf7-4550-a889-4b7e9f1e1705")
BRANCHES = team_server.list_branches("calc")
BRANCH = team_server.get_branch("calc", "statistical functions")
REVISIONS = team_server.list_revisions("calc", "branches/development")
COMMITS = app_repository.list_commits(PROJECT_ID, "main")
REPOSITORY_CALLS = (
    app_repository.get_repository(PROJECT_ID),
    app_repository.list_branches(PROJECT_ID),
    app_repository.get_branch(PROJECT_ID, "branches/development"),
    COMMITS,
)

JOB_PATH = "/api/v2/apps/calc/jobs/66046953-ecf7-4550-a889-4b7e9f1e1705"
LIST_PATH = "/api/1/apps/calc/packages"
PATH = f"{LIST_PATH}/{PACKAGE_ID}"
BRANCHES_PATH = "/api/1/apps/calc/branches"
BRANCH_PATH = f"{BRANCHES_PATH}/statistical%20functions"
REVISIONS_PATH = f"{BRANCHES_PATH}/branches%2Fdevelopment/revisions"
MAY_HAVE_HAPPENED = "Mendix may still have processed the request; check before sending it again."
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


def refused(send, call) -> MendixError:
    """Send a call from an account that has both kinds of credentials, whichever host it is for."""
    base_url = send.account.base_urls[Host.DEPLOY]
    with pytest.raises(MendixError) as raised:
        send(call, personal_access_token=TOKEN, base_urls=dict.fromkeys(Host, base_url))
    return raised.value


def shown(error: MendixError) -> str:
    """All that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error.to_json())


@pytest.mark.parametrize(
    ("call", "request_line", "status", "answer", "kind"),
    [
        (LIST, f"GET {LIST_PATH}", 400, "build/invalid_appid", InvalidRequestError),
        (GET, f"GET {PATH}", 400, "build/invalid_parameters_package", InvalidRequestError),
        (GET, f"GET {PATH}", 404, "build/package_not_found", PackageNotFoundError),
        (DELETE, f"DELETE {PATH}", 400, "build/invalid_parameters_package", InvalidRequestError),
        (DELETE, f"DELETE {PATH}", 404, "build/package_not_found", PackageNotFoundError),
        (DELETE, f"DELETE {PATH}", 409, "build/package_in_use", PackageInUseError),
        (DOWNLOAD, f"GET {PATH}/download", 400, "build/invalid_parameters_package", InvalidRequestError),
        (DOWNLOAD, f"GET {PATH}/download", 404, "build/package_not_found", PackageNotFoundError),
        (DOWNLOAD, f"GET {PATH}/download", 500, "build/build_not_succeeded", BuildNotSucceededError),
        (START, f"POST {LIST_PATH}", 400, "build/invalid_appid", InvalidRequestError),
        (START, f"POST {LIST_PATH}", 400, "build/invalid_parameters_start", InvalidRequestError),
        (START, f"POST {LIST_PATH}", 400, "build/invalid_version", InvalidRequestError),
        (START, f"POST {LIST_PATH}", 404, "build/app_not_found", AppNotFoundError),
        (START, f"POST {LIST_PATH}", 500, "build/build_failed", BuildFailedError),
        (GET_APP, "GET /api/1/apps/calc", 400, "deploy/invalid_appid", InvalidRequestError),
        (GET_APP, "GET /api/1/apps/calc", 404, "deploy/app_not_found", AppNotFoundError),
        (BRANCHES, f"GET {BRANCHES_PATH}", 400, "team_server/invalid_appid", InvalidRequestError),
        (BRANCHES, f"GET {BRANCHES_PATH}", 404, "team_server/app_not_found", AppNotFoundError),
        (BRANCH, f"GET {BRANCH_PATH}", 400, "team_server/invalid_appid", InvalidRequestError),
        (BRANCH, f"GET {BRANCH_PATH}", 404, "team_server/app_not_found", AppNotFoundError),
        (BRANCH, f"GET {BRANCH_PATH}", 404, "team_server/branch_not_found", BranchNotFoundError),
        (REVISIONS, f"GET {REVISIONS_PATH}", 400, "team_server/invalid_appid", InvalidRequestError),
        (REVISIONS, f"GET {REVISIONS_PATH}", 404, "team_server/app_not_found", AppNotFoundError),
        (REVISIONS, f"GET {REVISIONS_PATH}", 404, "team_server/branch_not_found", BranchNotFoundError),
    ],
)
def test_documented_code(send, wire, sample, call, request_line, status, answer, kind):
    body = sample("{}/error_{}.json".format(*answer.split("/")))
    documented = json.loads(body)
    wire.answer(body, status)

    error = refused(send, call)

    assert type(error) is kind
    assert (error.status, error.code) == (status, documented["errorCode"])
    assert error.transient is False
    message = str(error)
    assert message.startswith(f"{request_line}: HTTP {status} {documented['errorCode']}")
    assert documented["errorMessage"] in message
    assert kind.advice
    assert message.endswith(kind.advice)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [(400, "invalid_appid", InvalidRequestError), (404, "app_not_found", AppNotFoundError)],
)
def test_a_job_is_refused_as_by_the_first_version(send, wire, sample, status, answer, kind):
    """The second version documents no refusal; those of the first one are expected of it too."""
    wire.answer(sample(f"deploy/error_{answer}.json"), status)

    error = refused(send, GET_JOB)

    assert type(error) is kind
    assert str(error).startswith(f"GET {JOB_PATH}: HTTP {status} {error.code}")


def test_a_job_that_is_not_there(send, wire):
    wire.answer(b"", 404)

    assert type(refused(send, GET_JOB)) is NotFoundError


@pytest.mark.parametrize("call", REPOSITORY_CALLS, ids=str)
@pytest.mark.parametrize(
    ("status", "kind", "transient", "advice"),
    [
        (400, InvalidRequestError, False, "Check the branch, and that the project's UUID is the App ID"),
        (
            401,
            UnauthorizedError,
            False,
            "Check the personal access token of the connection: Mendix does not know it",
        ),
        (403, ForbiddenError, False, "Check that the personal access token of the connection has the scope"),
        (404, NotFoundError, False, "Mendix does not say whether the repository or the branch is missing"),
        (500, ServiceUnavailableError, True, None),
    ],
)
def test_documented_status_of_the_repository(send, wire, sample, call, status, kind, transient, advice):
    """Mendix documents these statuses and the code RS400; that the others are called alike is inferred."""
    body = sample(f"app_repository/error_rs{status}.json")
    wire.answer(body, status, Content_Type="application/json; charset=utf-8")

    error = refused(send, call)

    assert type(error) is kind
    assert (error.status, error.code, error.transient) == (status, f"RS{status}", transient)
    said = f"{call}: HTTP {status} RS{status}: {json.loads(body)['errorMessage']}."
    assert str(error).startswith(f"{said} {advice}" if advice else said)
    assert advice or str(error) == said
    assert "API key" not in str(error)
    assert "subdomain" not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "transient"),
    [
        (400, b"", InvalidRequestError, None, False),
        (404, HTML, NotFoundError, None, False),
        (404, {"errorCode": "SOMETHING_NEW"}, NotFoundError, "SOMETHING_NEW", False),
        (429, {"errorCode": "RS429"}, RateLimitedError, "RS429", True),
        (500, b"", ServiceUnavailableError, None, True),
        (500, HTML, ServiceUnavailableError, None, True),
        (500, {"errorMessage": "Something went wrong"}, ServiceUnavailableError, None, True),
        (500, {"errorCode": "rs500 "}, ServiceUnavailableError, "RS500", True),
        (502, HTML, ServiceUnavailableError, None, True),
        (503, {"errorCode": "RS503"}, ServiceUnavailableError, "RS503", True),
        (504, b"", ServiceUnavailableError, None, True),
    ],
)
def test_classification_of_the_repository(send, wire, status, body, kind, code, transient):
    wire.answer(body, status)

    error = refused(send, COMMITS)

    assert type(error) is kind
    assert (error.status, error.code, error.transient) == (status, code, transient)
    assert MAY_HAVE_HAPPENED not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "transient"),
    [
        # The code decides, whatever the status.
        (500, {"errorCode": "BUILD_FAILED"}, BuildFailedError, "BUILD_FAILED", False),
        (503, {"errorCode": "BUILD_FAILED"}, BuildFailedError, "BUILD_FAILED", False),
        (400, {"errorCode": "PACKAGE_NOT_FOUND"}, PackageNotFoundError, "PACKAGE_NOT_FOUND", False),
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
def test_classification(send, wire, status, body, kind, code, transient):
    wire.answer(body, status)

    error = refused(send, GET)

    assert type(error) is kind
    assert (error.status, error.code, error.transient) == (status, code, transient)
    assert str(error).startswith(f"GET {PATH}: HTTP {status}")


@pytest.mark.parametrize("call", [START, DELETE], ids=str)
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
def test_a_call_that_changes_something_may_have_happened(send, wire, call, status, body):
    """Something in front of Mendix answers when it gives up waiting; what Mendix does then, it does not know."""
    wire.answer(body, status)

    error = refused(send, call)

    assert type(error) is ServiceUnavailableError
    assert str(error).endswith(f" {MAY_HAVE_HAPPENED}")


@pytest.mark.parametrize("call", [START, DELETE], ids=str)
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
def test_a_plain_no_leaves_no_doubt(send, wire, call, status, body):
    wire.answer(body, status)

    assert MAY_HAVE_HAPPENED not in str(refused(send, call))


def test_a_call_that_only_reads_leaves_no_doubt(send, wire):
    wire.answer(b"", 503)

    assert str(refused(send, LIST)) == f"GET {LIST_PATH}: HTTP 503."


@pytest.mark.parametrize("call", [LIST, GET_APP, GET_JOB, REVISIONS], ids=str)
@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (403, ForbiddenError)])
@pytest.mark.parametrize("body", [b"", HTML, {"errorCode": "NO_ACCESS", "errorMessage": "Not for you."}])
def test_a_refused_key_is_named_with_its_permission(send, wire, call, status, kind, body):
    wire.answer(body, status)

    error = refused(send, call)

    assert type(error) is kind
    assert error.transient is False
    assert "Check the user name and the API key of the connection" in str(error)
    assert "'API Rights'" in str(error)
    assert "Permissions tab" in str(error)
    assert "mx:" not in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(401, UnauthorizedError, "revoked"), (403, ForbiddenError, "mx:modelrepository:repo:read")],
)
@pytest.mark.parametrize("body", [b"", HTML, {"errorCode": "NO_ACCESS", "errorMessage": "Not for you."}])
def test_a_refused_token_is_named_with_its_scope(send, wire, status, kind, says, body):
    wire.answer(body, status)

    error = refused(send, COMMITS)

    assert type(error) is kind
    assert error.transient is False
    assert "the personal access token of the connection" in str(error)
    assert says in str(error)
    assert "API key" not in str(error)
    assert "API Rights" not in str(error)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("120", 120.0), (" 120 ", 120.0), ("soon", None), ("-5", None), ("1.5", None), ("\xb2", None)],
)
def test_retry_after_in_seconds(send, wire, status, value, seconds):
    wire.answer(b"", status, retry_after=value)

    assert refused(send, LIST).retry_after == seconds


def test_retry_after_as_a_date(send, wire):
    at = time.time() + 120
    wire.answer(b"", 429, retry_after=formatdate(at, usegmt=True))

    error = refused(send, LIST)

    assert type(error) is RateLimitedError
    assert 60 < error.retry_after <= 120


def test_retry_after_in_the_past_means_now(send, wire):
    wire.answer(b"", 429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT")

    assert refused(send, LIST).retry_after == 0


def test_no_retry_after(send, wire):
    wire.answer(b"", 429)

    assert refused(send, LIST).retry_after is None


def test_html_is_not_quoted(send, wire):
    wire.answer(HTML, 502, Content_Type="text/html; charset=utf-8")

    assert str(refused(send, LIST)) == f"GET {LIST_PATH}: HTTP 502."


def test_text_is_quoted_but_not_at_length(send, wire):
    wire.answer(b"upstream <b>is</b>\nasleep " + b"z" * 5000, 502, Content_Type="text/plain")

    message = str(refused(send, LIST))

    assert "HTTP 502: upstream is asleep zzz" in message
    assert len(message) < 500


def test_a_long_error_message_is_shortened(send, wire):
    wire.answer({"errorCode": "X" * 5000, "errorMessage": "y" * 5000}, 400)

    error = refused(send, LIST)

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
def test_credentials_that_the_server_repeats_are_taken_out(send, wire, call, status, place):
    wire.answer(place(f"The key {send.account.api_key} and the token {TOKEN} are unknown."), status)

    error = refused(send, call)

    assert ("The key *** and the token *** are unknown." in str(error)) == (status != 302)
    assert send.account.api_key not in shown(error)
    assert TOKEN not in shown(error)


@pytest.mark.parametrize("call", [LIST, START, DELETE, COMMITS], ids=str)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(send, wire, file_host, call, status):
    wire.answer(b"", status, Location=f"{file_host.url}/elsewhere?sig=canary")

    error = refused(send, call)

    assert type(error) is RedirectedError
    assert (error.status, error.transient) == (status, False)
    assert str(error).startswith(f"{call}: HTTP {status}")
    assert RedirectedError.advice in str(error)
    assert "canary" not in str(error)
    assert len(wire.requests) == 1
    assert file_host.requests == []


@pytest.mark.parametrize("location", ["https://[canary", "http://files.example/?canary", "canary", None])
def test_a_redirect_to_somewhere_odd(send, wire, location):
    wire.answer(b"canary", 302, **({"Location": location} if location else {}))

    error = refused(send, LIST)

    assert type(error) is RedirectedError
    assert "canary" not in str(error)
