"""Which calls are sent again, how often, and after which pause."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api import build, deploy
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.client.retry import ATTEMPTS, MAX_PAUSE, send_with_retry
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.exceptions import (
    BuildFailedError,
    MendixConnectionError,
    MendixResponseError,
    PackageNotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
)

LIST = build.list_packages("calc")
GET = build.get_package("calc", "b3d14e53-2654-4534-b374-9179a69ef3cf")
START_JOB = deploy.get_start_job("calc", "Test", "8e2d6f14")
START = build.start_build("calc", revision=63, version="2.5.4")
DELETE = build.delete_package("calc", "b3d14e53-2654-4534-b374-9179a69ef3cf")


@pytest.fixture
def clock():
    return ManualClock(0.0)


@pytest.fixture
def send_with_retries(account, clock):
    with MendixClient(account) as client:
        yield lambda call: send_with_retry(client.send, call, clock)


def test_a_transient_error(send_with_retries, wire, clock):
    wire.answer(b"", 503)
    wire.hang_up()
    wire.answer(b"<html>")
    wire.answer([])

    assert send_with_retries(LIST) == []

    assert len(wire.requests) == 4
    assert 0 < clock.now() < 60


def test_an_error_that_persists_is_raised(send_with_retries, wire):
    for _ in range(ATTEMPTS + 1):
        wire.answer(b"", 503)

    with pytest.raises(ServiceUnavailableError):
        send_with_retries(LIST)

    assert len(wire.requests) == ATTEMPTS


@pytest.mark.parametrize("call", [START, DELETE], ids=str)
def test_a_change_is_sent_once(send_with_retries, wire, clock, call):
    wire.answer(b"", 503)

    with pytest.raises(ServiceUnavailableError):
        send_with_retries(call)

    assert len(wire.requests) == 1
    assert clock.now() == 0


@pytest.mark.parametrize("call", [START, DELETE], ids=str)
def test_a_change_is_not_sent_again_without_a_response(send_with_retries, wire, call):
    wire.hang_up()

    with pytest.raises(MendixConnectionError):
        send_with_retries(call)

    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [(404, "package_not_found", PackageNotFoundError), (500, "build_failed", BuildFailedError)],
)
def test_a_refusal_is_not_sent_again(send_with_retries, wire, sample, clock, status, answer, kind):
    wire.answer(sample(f"build/error_{answer}.json"), status)

    with pytest.raises(kind):
        send_with_retries(GET)

    assert len(wire.requests) == 1
    assert clock.now() == 0


def test_retry_after_is_respected(send_with_retries, wire, clock):
    wire.answer(b"", 429, retry_after="50")
    wire.answer([])

    send_with_retries(LIST)

    assert 50 <= clock.now() <= MAX_PAUSE


def test_a_long_retry_after_is_raised(send_with_retries, wire, clock):
    wire.answer(b"", 429, retry_after="3600")

    with pytest.raises(RateLimitedError) as raised:
        send_with_retries(LIST)

    assert raised.value.retry_after == 3600
    assert len(wire.requests) == 1
    assert clock.now() == 0


@pytest.mark.parametrize(
    "code", ["DB_SYNC_FAILED", "MISSING_CONSTANT", "START_FAILED", "ALREADY_LOCKED", "SOMETHING_NEW"]
)
def test_a_failed_start_job_is_not_requested_again(send_with_retries, wire, code):
    wire.answer({"errorCode": code}, 500)

    with pytest.raises(MendixResponseError):
        send_with_retries(START_JOB)

    assert len(wire.requests) == 1
