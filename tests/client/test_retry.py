"""Which calls are sent again, how often, and after what pause."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.client.retry import ATTEMPTS, MAX_PAUSE, send_with_retry
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.exceptions import (
    BuildFailedError,
    MendixConnectionError,
    PackageNotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
)

LIST = build.list_packages("calc")
GET = build.get_package("calc", "b3d14e53")
START = build.start_build("calc", revision=63, version="2.5.4")
DELETE = build.delete_package("calc", "b3d14e53")


@pytest.fixture
def clock():
    return ManualClock(0.0)


@pytest.fixture
def patiently(account, clock):
    with MendixClient(account) as client:
        yield lambda call: send_with_retry(client.send, call, clock)


def test_a_passing_trouble_passes(patiently, wire, clock):
    wire.answer(b"", 503)
    wire.hang_up()
    wire.answer(b"<html>")
    wire.answer([])

    assert patiently(LIST) == []

    assert len(wire.requests) == 4
    assert 0 < clock.now() < 60


def test_a_trouble_that_stays_is_raised_as_it_is(patiently, wire):
    for _ in range(ATTEMPTS + 1):
        wire.answer(b"", 503)

    with pytest.raises(ServiceUnavailableError):
        patiently(LIST)

    assert len(wire.requests) == ATTEMPTS


@pytest.mark.parametrize("call", [START, DELETE], ids=str)
def test_a_call_that_changes_something_is_sent_once(patiently, wire, clock, call):
    wire.answer(b"", 503)

    with pytest.raises(ServiceUnavailableError):
        patiently(call)

    assert len(wire.requests) == 1
    assert clock.now() == 0


@pytest.mark.parametrize("call", [START, DELETE], ids=str)
def test_a_call_that_changes_something_is_not_sent_again_after_silence(patiently, wire, call):
    wire.hang_up()

    with pytest.raises(MendixConnectionError):
        patiently(call)

    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [(404, "package_not_found", PackageNotFoundError), (500, "build_failed", BuildFailedError)],
)
def test_a_final_answer_is_final(patiently, wire, sample, clock, status, answer, kind):
    wire.answer(sample(f"build/error_{answer}.json"), status)

    with pytest.raises(kind):
        patiently(GET)

    assert len(wire.requests) == 1
    assert clock.now() == 0


def test_the_server_may_ask_for_patience(patiently, wire, clock):
    wire.answer(b"", 429, retry_after="50")
    wire.answer([])

    patiently(LIST)

    assert 50 <= clock.now() <= MAX_PAUSE


def test_too_much_patience_is_left_to_the_task(patiently, wire, clock):
    wire.answer(b"", 429, retry_after="3600")

    with pytest.raises(RateLimitedError) as raised:
        patiently(LIST)

    assert raised.value.retry_after == 3600
    assert len(wire.requests) == 1
    assert clock.now() == 0
