"""Refused credentials, pauses and outages: shared by all waits, and each wait ends in time."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.polling.shared_client import SharedClient
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import Reply

from ..conftest import USER, set_connection


@pytest.fixture
def lookups(monkeypatch):
    """Return a list of the times at which the connection was read."""
    read, counted = SharedClient._account, []

    async def account(self):
        counted.append(current_clock().now())
        return await read(self)

    monkeypatch.setattr(SharedClient, "_account", account)
    return counted


def spread_out(crowd, count, ending=BuildOutcome.SUCCEEDS, **changes):
    """Return triggers whose waits cannot share a request."""
    return [crowd.trigger(crowd.build(f"app{nth}", ending), f"app{nth}", **changes) for nth in range(count)]


def kinds(ended):
    return [event["error"]["type"] if "error" in event else event["ended"] for event in ended]


class TestCredentials:
    def test_many_waits_read_the_connection_once(self, crowd, lookups):
        assert kinds(crowd.run(*spread_out(crowd, 50))) == ["success"] * 50
        assert len(lookups) == 1

    def test_refused_waits_read_it_once_more_and_continue(self, crowd, platform, server, monkeypatch, lookups):
        def rotate(_):
            platform.permissions.set_api_key(USER, "the-new-key")
            set_connection(monkeypatch, host=server.api_url, password="the-new-key")

        crowd.at(15, rotate)
        assert kinds(crowd.run(*spread_out(crowd, 50))) == ["success"] * 50
        assert len(lookups) == 2

    def test_refused_waits_fail_if_it_has_not_changed(self, crowd, platform, lookups):
        crowd.at(15, lambda _: platform.permissions.set_api_key(USER, "the-new-key"))
        assert kinds(crowd.run(*spread_out(crowd, 100))) == ["UnauthorizedError"] * 100
        assert len(lookups) == 2

    def test_one_refused_wait_fails_alone(self, crowd, lookups):
        crowd.trouble = lambda request: Reply(403) if "/apps/app3/" in request.path else None
        ended = kinds(crowd.run(*spread_out(crowd, 5)))
        assert ended == ["success"] * 3 + ["ForbiddenError", "success"]
        assert len(lookups) == 2

    def test_a_connection_that_was_deleted_fails_the_waits(self, crowd, platform, monkeypatch):
        def remove(_):
            platform.permissions.set_api_key(USER, "the-new-key")
            monkeypatch.delenv("AIRFLOW_CONN_MENDIX_DEFAULT")

        crowd.at(15, remove)
        assert kinds(crowd.run(*spread_out(crowd, 5))) == ["InvalidConnectionError"] * 5

    def test_many_waits_without_a_connection_look_it_up_once(self, crowd, lookups):
        triggers = [crowd.trigger(crowd.build(), mendix_conn_id="nowhere") for _ in range(50)]
        assert kinds(crowd.run(*triggers)) == ["InvalidConnectionError"] * 50
        assert len(lookups) == 1


class TestRetryAfter:
    def test_it_pauses_all_waits(self, crowd, platform):
        crowd.at(15, lambda _: platform.faults.add("rate_limited", retry_after=300, times=1))
        triggers = spread_out(crowd, 40, next_poll_at=crowd.clock.now() - 1, poll_interval=60.0)
        assert kinds(crowd.run(*triggers)) == ["success"] * 40
        (paused_at,) = [entry.at for entry in platform.journal if entry.status == 429]
        assert not [entry for entry in platform.journal if paused_at < entry.at < paused_at + 300]

    def test_deadlines_hold(self, crowd, platform):
        crowd.at(15, lambda _: platform.faults.add("rate_limited", retry_after=900, times=None))
        triggers = spread_out(crowd, 4, timeout=60.0)
        ended_at = crowd.ends()
        assert kinds(crowd.run(*triggers)) == ["WaitTimeoutError"] * 4
        assert list(ended_at.values()) == [60.0] * 4


class TestOutage:
    def test_each_wait_has_its_own_tolerance(self, crowd):
        crowd.trouble = lambda _: Reply(0, drop="close") if crowd.clock.now() > crowd.began + 25 else None
        tolerances = [60.0, 120.0, None]
        triggers = [
            crowd.trigger(crowd.build(f"app{nth}"), f"app{nth}", outage_tolerance=tolerance, timeout=400)
            for nth, tolerance in enumerate(tolerances)
        ]
        ended_at = crowd.ends()
        assert kinds(crowd.run(*triggers)) == ["OutageError", "OutageError", "WaitTimeoutError"]
        assert list(ended_at.values()) == [80.0, 140.0, 400.0]

    def test_it_passes(self, crowd):
        crowd.trouble = lambda _: Reply(0, drop="close") if 25 < crowd.clock.now() - crowd.began < 600 else None
        assert kinds(crowd.run(*spread_out(crowd, 40))) == ["success"] * 40

    def test_an_unreachable_mendix_gets_one_request_at_a_time(self, crowd):
        tried = []

        def hang_up(_):
            if 25 < crowd.clock.now() - crowd.began < 200:
                tried.append(crowd.clock.now())
                return Reply(0, drop="close")
            return None

        crowd.trouble = hang_up
        assert kinds(crowd.run(*spread_out(crowd, 100))) == ["success"] * 100
        # The first round sends as many as may be pending at once; each later round sends one.
        assert len(tried) <= 32 + 3 + 17 * 2

    def test_errors_of_one_app_are_no_outage(self, crowd):
        crowd.trouble = lambda request: Reply(503) if "/apps/app0/" in request.path else None
        ended = kinds(crowd.run(*spread_out(crowd, 5, outage_tolerance=300.0)))
        assert ended == ["OutageError"] + ["success"] * 4


def test_a_wait_behind_hanging_requests_ends_ten_seconds_after_its_deadline(crowd):
    released, ended_at = threading.Event(), crowd.ends()
    crowd.trouble = lambda _: released.wait(30) and None
    crowd.waits_for_requests = False
    crowd.at(45, lambda _: released.set())
    assert kinds(crowd.run(*spread_out(crowd, 40, timeout=30.0))) == ["WaitTimeoutError"] * 40
    assert sorted(ended_at.values()) == [40.0] * 8 + [45.0] * 32
