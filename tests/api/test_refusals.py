"""Mendix says no: each documented code, and what is made of answers that nobody documented."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from airflow_provider_mendix.api import build, deploy
from airflow_provider_mendix.api.errors import (
    AppNotFoundError,
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
    UnauthorizedError,
)

PACKAGE_ID = "b3d14e53-2654-4534-b374-9179a69ef3cf"
LIST = build.list_packages("calc")
GET = build.get_package("calc", PACKAGE_ID)
DELETE = build.delete_package("calc", PACKAGE_ID)
DOWNLOAD = build.download_package("calc", PACKAGE_ID)
START = build.start_build("calc", revision=63, version="2.5.4")
GET_APP = deploy.get_app("calc")

LIST_PATH = "/api/1/apps/calc/packages"
PATH = f"{LIST_PATH}/{PACKAGE_ID}"
MAY_HAVE_HAPPENED = "Mendix may have carried it out all the same: look before it is sent again."
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


def refused(send, call) -> MendixError:
    with pytest.raises(MendixError) as raised:
        send(call)
    return raised.value


@pytest.mark.parametrize(
    ("call", "request_line", "status", "answer", "kind"),
    [
        (LIST, f"GET {LIST_PATH}", 400, "invalid_appid", InvalidRequestError),
        (GET, f"GET {PATH}", 400, "invalid_parameters_package", InvalidRequestError),
        (GET, f"GET {PATH}", 404, "package_not_found", PackageNotFoundError),
        (DELETE, f"DELETE {PATH}", 400, "invalid_parameters_package", InvalidRequestError),
        (DELETE, f"DELETE {PATH}", 404, "package_not_found", PackageNotFoundError),
        (DELETE, f"DELETE {PATH}", 409, "package_in_use", PackageInUseError),
        (DOWNLOAD, f"GET {PATH}/download", 400, "invalid_parameters_package", InvalidRequestError),
        (DOWNLOAD, f"GET {PATH}/download", 404, "package_not_found", PackageNotFoundError),
        (DOWNLOAD, f"GET {PATH}/download", 500, "build_not_succeeded", BuildNotSucceededError),
        (START, f"POST {LIST_PATH}", 400, "invalid_appid", InvalidRequestError),
        (START, f"POST {LIST_PATH}", 400, "invalid_parameters_start", InvalidRequestError),
        (START, f"POST {LIST_PATH}", 400, "invalid_version", InvalidRequestError),
        (START, f"POST {LIST_PATH}", 404, "app_not_found", AppNotFoundError),
        (START, f"POST {LIST_PATH}", 500, "build_failed", BuildFailedError),
        (GET_APP, "GET /api/1/apps/calc", 400, "invalid_appid", InvalidRequestError),
        (GET_APP, "GET /api/1/apps/calc", 404, "app_not_found", AppNotFoundError),
    ],
)
def test_documented_code(send, wire, sample, call, request_line, status, answer, kind):
    body = sample(f"build/error_{answer}.json")
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
    ("status", "body", "kind", "code", "transient"),
    [
        # The code decides, whatever the status.
        (500, {"errorCode": "BUILD_FAILED"}, BuildFailedError, "BUILD_FAILED", False),
        (503, {"errorCode": "BUILD_FAILED"}, BuildFailedError, "BUILD_FAILED", False),
        (400, {"errorCode": "PACKAGE_NOT_FOUND"}, PackageNotFoundError, "PACKAGE_NOT_FOUND", False),
        (500, {"errorCode": "SERVICE_UNAVAILABLE"}, ServiceUnavailableError, "SERVICE_UNAVAILABLE", True),
        (503, {"errorCode": "SERVICE UNAVAILABLE"}, ServiceUnavailableError, "SERVICE_UNAVAILABLE", True),
        (500, {"errorCode": " Service Unavailable "}, ServiceUnavailableError, "SERVICE_UNAVAILABLE", True),
        # Then the status.
        (400, b"", InvalidRequestError, None, False),
        (400, {"errorMessage": "No."}, InvalidRequestError, None, False),
        (400, {"errorCode": "SOMETHING_NEW"}, InvalidRequestError, "SOMETHING_NEW", False),
        (404, b"", NotFoundError, None, False),
        (404, {"errorCode": "BRANCH_NOT_FOUND"}, NotFoundError, "BRANCH_NOT_FOUND", False),
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
        (500, {"errorCode": "DB_SYNC_FAILED"}, MendixResponseError, "DB_SYNC_FAILED", False),
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


@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (403, ForbiddenError)])
@pytest.mark.parametrize("body", [b"", HTML, {"errorCode": "NO_ACCESS", "errorMessage": "Not for you."}])
def test_refused_credentials_name_the_permission(send, wire, status, kind, body):
    wire.answer(body, status)

    error = refused(send, LIST)

    assert type(error) is kind
    assert error.transient is False
    assert "'API Rights'" in str(error)
    assert "Permissions tab" in str(error)


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


@pytest.mark.parametrize("body", ["json", "text"])
def test_credentials_that_the_server_repeats_are_taken_out(send, wire, body):
    said = f"The key {send.account.api_key} and the token pat-1 are unknown."
    wire.answer({"errorMessage": said} if body == "json" else said.encode(), 401)

    with pytest.raises(UnauthorizedError) as raised:
        send(LIST, personal_access_token="pat-1")

    assert "The key *** and the token *** are unknown." in str(raised.value)
    assert send.account.api_key not in str(raised.value.to_json())


@pytest.mark.parametrize("call", [LIST, START, DELETE], ids=str)
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
