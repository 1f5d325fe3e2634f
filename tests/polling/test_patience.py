"""Refused credentials, pauses, outages, the ceiling: shared by the crowd, and each wait ends in time."""

from __future__ import annotations

import logging
import threading

import pytest

from airflow_provider_mendix import settings
from airflow_provider_mendix.polling import shared_client as line
from airflow_provider_mendix.simulator.apis.routes import Reply
from airflow_provider_mendix.simulator.state.packages import Ending

from ..conftest import USER, set_connection


@pytest.fixture
def looked_up(monkeypatch):
    """Count how often the connection is read."""
    read, counted = line.Line._account, []

    async def account(self):
        counted.append(self.clock.now())
        return await read(self)

    monkeypatch.setattr(line.Line, "_account", account)
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
        triggers = spread_out(crowd, 40, look_at=crowd.clock.now() - 1, poll_interval=60.0)
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


class TestCeiling:
    def sent_in_any_minute(self, crowd):
        times = crowd.times()
        return max(sum(at <= other < at + 60 for other in times) for at in times)

    @pytest.mark.parametrize("limit", [60, 6, 4])
    def test_no_minute_sees_more(self, crowd, ceiling, limit):
        ceiling(limit)
        triggers = spread_out(crowd, 30, poll_interval=5.0, timeout=300)
        crowd.run(*triggers)
        assert limit * 0.8 <= self.sent_in_any_minute(crowd) <= limit

    def test_intervals_stretch_fairly(self, crowd, ceiling, platform):
        ceiling(60)
        stuck = Ending.STUCK_QUEUED
        crowd.run(*spread_out(crowd, 30, stuck, timeout=600, poll_interval=5.0))
        looks = [len(platform.journal.requests("GET", f"/apps/app{nth}/")) for nth in range(30)]
        assert max(looks) - min(looks) <= 1
        assert sum(looks) == pytest.approx(580, abs=20)

    def test_it_is_told_once_when_it_binds_and_once_when_not(self, crowd, ceiling, caplog):
        ceiling(12)
        caplog.set_level(logging.INFO)
        triggers = spread_out(crowd, 3, poll_interval=5.0, timeout=900)
        long = crowd.trigger(crowd.build("slow", Ending.STUCK_QUEUED), "slow", timeout=900, poll_interval=30.0)
        crowd.run(*triggers, long)
        told = [record.message for record in caplog.records if "requests_per_minute" in record.message]
        assert len(told) == 2
        assert "would need about 38 requests a minute. At most 12 are sent" in told[0]
        assert "is enough for its waits again" in told[1]

    def test_a_crowd_of_one_app_does_not_meet_it(self, crowd, ceiling, caplog):
        ceiling(60)
        crowd.run(*(crowd.trigger(crowd.build(), poll_interval=5.0) for _ in range(100)))
        assert crowd.requests() <= 20
        assert "requests_per_minute" not in caplog.text

    def test_when_it_binds_two_waits_share_a_list(self, crowd, ceiling, platform):
        ceiling(6)
        triggers = [
            crowd.trigger(crowd.build(f"app{nth // 2}"), f"app{nth // 2}", timeout=900) for nth in range(20)
        ]
        assert kinds(crowd.run(*triggers)) == ["success"] * 20
        assert crowd.requests("list") > crowd.requests("single")

    def test_deadlines_hold(self, crowd, ceiling):
        ceiling(2)
        triggers = [
            crowd.trigger(crowd.build(f"app{nth}", Ending.STUCK_QUEUED), f"app{nth}", timeout=100.0 + nth)
            for nth in range(40)
        ]
        ended_at = crowd.ends()
        assert kinds(crowd.run(*triggers)) == ["WaitTimeoutError"] * 40
        assert ended_at == {nth: 100.0 + nth for nth in range(40)}

    def test_it_is_sixty_unless_somebody_says_otherwise(self, ceiling, caplog, monkeypatch):
        monkeypatch.delenv("AIRFLOW__MENDIX__REQUESTS_PER_MINUTE")
        assert settings.requests_per_minute() == 60
        ceiling(120)
        assert settings.requests_per_minute() == 120
        for rubbish in ("many", "-1", "1.5", ""):
            ceiling(rubbish)
            assert settings.requests_per_minute() == 60
        assert "is not a number" in caplog.text


def test_who_is_behind_requests_that_hang_ends_ten_seconds_after_its_deadline(crowd):
    released, ended_at = threading.Event(), crowd.ends()
    crowd.trouble = lambda _: released.wait(30) and None
    crowd.waits_for_requests = False
    crowd.at(45, lambda _: released.set())
    assert kinds(crowd.run(*spread_out(crowd, 40, timeout=30.0))) == ["WaitTimeoutError"] * 40
    assert sorted(ended_at.values()) == [40.0] * 8 + [45.0] * 32
