"""Refused credentials, pauses and outages: shared by all waits, and each wait ends in time."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.polling.shared_client import SharedClient
from airflow_provider_mendix.simulator.apis.routes import Reply
from airflow_provider_mendix.simulator.state.packages import Ending

from ..conftest import USER, set_connection


@pytest.fixture
def looked_up(monkeypatch):
    """Count how often the connection is read."""
    read, counted = SharedClient._account, []

    async def account(self):
        counted.append(current_clock().now())
        return await read(self)

    monkeypatch.setattr(SharedClient, "_account", account)
    return counted


def spread_out(crowd, count, ending=Ending.SUCCEEDS, **changes):
    """Waits that cannot share a request."""
    return [crowd.trigger(crowd.build(f"app{nth}", ending), f"app{nth}", **changes) for nth in range(count)]


def kinds(ended):
    return [event["error"]["type"] if "error" in event else event["ended"] for event in ended]


class TestCredentials:
    def test_a_crowd_reads_the_connection_once(self, crowd, looked_up):
        assert kinds(crowd.run(*spread_out(crowd, 50))) == ["success"] * 50
        assert len(looked_up) == 1

    def test_a_crowd_that_is_refused_reads_it_once_more_and_goes_on(
        self, crowd, platform, server, monkeypatch, looked_up
    ):
        def rotate(_):
            platform.set_api_key(USER, "the-new-key")
            set_connection(monkeypatch, host=server.api_url, password="the-new-key")

        crowd.at(15, rotate)
        assert kinds(crowd.run(*spread_out(crowd, 50))) == ["success"] * 50
        assert len(looked_up) == 2

    def test_a_crowd_that_is_refused_for_good_is_told_so(self, crowd, platform, looked_up):
        crowd.at(15, lambda _: platform.set_api_key(USER, "the-new-key"))
        assert kinds(crowd.run(*spread_out(crowd, 100))) == ["UnauthorizedError"] * 100
        assert len(looked_up) == 2

    def test_who_is_refused_alone_leaves_alone(self, crowd, looked_up):
        crowd.trouble = lambda request: Reply(403) if "/apps/app3/" in request.path else None
        ended = kinds(crowd.run(*spread_out(crowd, 5)))
        assert ended == ["success"] * 3 + ["ForbiddenError", "success"]
        assert len(looked_up) == 2

    def test_a_connection_that_is_gone_by_then_is_told(self, crowd, platform, monkeypatch):
        def remove(_):
            platform.set_api_key(USER, "the-new-key")
            monkeypatch.delenv("AIRFLOW_CONN_MENDIX_DEFAULT")

        crowd.at(15, remove)
        assert kinds(crowd.run(*spread_out(crowd, 5))) == ["InvalidConnectionError"] * 5

    def test_a_crowd_without_a_connection_looks_for_it_once(self, crowd, looked_up):
        triggers = [crowd.trigger(crowd.build(), mendix_conn_id="nowhere") for _ in range(50)]
        assert kinds(crowd.run(*triggers)) == ["InvalidConnectionError"] * 50
        assert len(looked_up) == 1


class TestRetryAfter:
    def test_it_pauses_everybody(self, crowd, platform):
        crowd.at(15, lambda _: platform.faults.add("rate_limited", retry_after=300, times=1))
        triggers = spread_out(crowd, 40, next_poll_at=crowd.clock.now() - 1, poll_interval=60.0)
        assert kinds(crowd.run(*triggers)) == ["success"] * 40
        (paused_at,) = [entry.at for entry in platform.journal if entry.status == 429]
        assert not [entry for entry in platform.journal if paused_at < entry.at < paused_at + 300]

    def test_who_has_no_time_left_ends_in_time(self, crowd, platform):
        crowd.at(15, lambda _: platform.faults.add("rate_limited", retry_after=900, times=None))
        triggers = spread_out(crowd, 4, timeout=60.0)
        ended_at = crowd.ends()
        assert kinds(crowd.run(*triggers)) == ["WaitTimeoutError"] * 4
        assert list(ended_at.values()) == [60.0] * 4


class TestOutage:
    def test_each_wait_puts_up_with_as_much_as_it_was_told(self, crowd):
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

    def test_a_crowd_does_not_hammer_a_mendix_that_does_not_answer(self, crowd):
        tried = []

        def hang_up(_):
            if 25 < crowd.clock.now() - crowd.began < 200:
                tried.append(crowd.clock.now())
                return Reply(0, drop="close")
            return None

        crowd.trouble = hang_up
        assert kinds(crowd.run(*spread_out(crowd, 100))) == ["success"] * 100
        # The first round finds out with as many as may be on the way at once; each later one asks once.
        assert len(tried) <= 32 + 3 + 17 * 2

    def test_what_is_wrong_with_one_app_is_no_outage(self, crowd):
        crowd.trouble = lambda request: Reply(503) if "/apps/app0/" in request.path else None
        ended = kinds(crowd.run(*spread_out(crowd, 5, outage_tolerance=300.0)))
        assert ended == ["OutageError"] + ["success"] * 4


def test_who_is_behind_requests_that_hang_ends_ten_seconds_after_its_deadline(crowd):
    released, ended_at = threading.Event(), crowd.ends()
    crowd.trouble = lambda _: released.wait(30) and None
    crowd.waits_for_requests = False
    crowd.at(45, lambda _: released.set())
    assert kinds(crowd.run(*spread_out(crowd, 40, timeout=30.0))) == ["WaitTimeoutError"] * 40
    assert sorted(ended_at.values()) == [40.0] * 8 + [45.0] * 32
