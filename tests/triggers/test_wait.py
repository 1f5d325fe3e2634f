"""The trigger: from its row to its one event."""

from __future__ import annotations

from airflow_provider_mendix.triggers.wait import MendixWaitTrigger
from airflow_provider_mendix.waits.package import PackageWait
from airflow_provider_mendix.waits.poll_state import PollState

from ..conftest import USER, run_trigger, set_connection


def trigger(clock, **changes):
    state = PollState.begin(clock.now(), poll_interval=30.0, timeout=3600, outage_tolerance=900.0)
    arguments = {
        "mendix_conn_id": "mendix_default",
        "wait": PackageWait("shop", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b").to_json(),
        "poll_state": state.to_json(),
        **changes,
    }
    return MendixWaitTrigger(**arguments)


def test_it_continues_with_a_rotated_key(platform, server, clock, monkeypatch):
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    platform.permissions.set_api_key(USER, "the-new-key")
    answer = platform.handle

    def handle(request):
        reply = answer(request)
        if reply.status == 401:
            set_connection(monkeypatch, host=server.api_url, password="the-new-key")
        return reply

    platform.handle = handle
    event = run_trigger(trigger(clock, wait=PackageWait("shop", package_id).to_json()))
    assert event["ended"] == "success"
    assert [entry.status for entry in platform.journal].count(401) == 1


def test_a_refused_key_that_did_not_change_ends_it(platform, server, clock):
    platform.permissions.set_api_key(USER, "the-new-key")
    event = run_trigger(trigger(clock))
    assert event["error"]["type"] == "UnauthorizedError"


def test_a_missing_connection_ends_it_as_an_outage(clock):
    event = run_trigger(trigger(clock, mendix_conn_id="nowhere"))
    assert event["error"]["type"] == "OutageError"
    assert "nowhere" in event["error"]["message"]


def test_an_unreadable_wait_ends_it(clock):
    event = run_trigger(trigger(clock, wait={"type": "FutureWait"}))
    assert event["error"]["type"] == "UnexpectedEventError"


def test_an_unreadable_poll_state_ends_it(clock):
    event = run_trigger(trigger(clock, poll_state={"deadline": "tomorrow"}))
    assert event["error"]["type"] == "UnexpectedEventError"


def test_its_row_rebuilds_it(clock):
    given = trigger(clock)
    path, arguments = given.serialize()
    assert path == "airflow_provider_mendix.triggers.wait.MendixWaitTrigger"
    assert MendixWaitTrigger(**arguments).serialize() == (path, arguments)
