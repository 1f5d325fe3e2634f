"""The rate limit: at most so many requests a minute, alone and in the poller."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mendix import settings
from airflow_provider_mendix.polling.rate_limit import RateLimiter
from airflow_provider_mendix.simulator.state.packages import BuildOutcome

from .test_shared_client import kinds, spread_out


@given(per_minute=st.integers(1, 400), gaps=st.lists(st.floats(0, 20), min_size=1, max_size=500))
def test_no_minute_sees_more_than_the_limit(per_minute, gaps):
    limiter, now, sent = RateLimiter(per_minute), 1000.0, []
    for gap in gaps:
        now += gap
        now += limiter.delay(now)
        limiter.record(now)
        sent.append(now)
    for at in sent:
        assert sum(at <= other < at + 62 for other in sent) <= per_minute


@pytest.mark.parametrize(("per_minute", "at_once"), [(600, 100), (60, 10), (7, 1), (6, 1), (5, 1), (1, 1)])
def test_a_sixth_may_go_at_once(per_minute, at_once):
    limiter, gone = RateLimiter(per_minute), 0
    while not limiter.delay(1000.0):
        limiter.record(1000.0)
        gone += 1
    assert gone == at_once


@pytest.mark.parametrize("per_minute", [1, 5, 6, 60, 600])
def test_it_is_used_in_full(per_minute):
    limiter, now, gone = RateLimiter(per_minute), 1000.0, 0
    while now < 1600:
        now += limiter.delay(now)
        limiter.record(now)
        gone += 1
    assert per_minute * 9.5 <= gone <= per_minute * 10 + 1


def test_zero_means_no_limit():
    limiter = RateLimiter(0)
    for _ in range(10_000):
        assert limiter.delay(0.0) == 0
        limiter.record(0.0)


class TestInThePoller:
    def sent_in_any_minute(self, crowd):
        times = crowd.times()
        return max(sum(at <= other < at + 60 for other in times) for at in times)

    @pytest.mark.parametrize("limit", [60, 6, 4])
    def test_no_minute_sees_more(self, crowd, rate_limit, limit):
        rate_limit(limit)
        triggers = spread_out(crowd, 30, poll_interval=5.0, timeout=300)
        crowd.run(*triggers)
        assert limit * 0.8 <= self.sent_in_any_minute(crowd) <= limit

    def test_intervals_stretch_fairly(self, crowd, rate_limit, platform):
        rate_limit(60)
        stuck = BuildOutcome.STUCK_QUEUED
        crowd.run(*spread_out(crowd, 30, stuck, timeout=600, poll_interval=5.0))
        polls = [len(platform.journal.requests("GET", f"/apps/app{nth}/")) for nth in range(30)]
        assert max(polls) - min(polls) <= 1
        assert sum(polls) == pytest.approx(580, abs=20)

    def test_saturation_is_logged_once_and_so_is_its_end(self, crowd, rate_limit, caplog):
        rate_limit(12)
        caplog.set_level(logging.INFO)
        triggers = spread_out(crowd, 3, poll_interval=5.0, timeout=900)
        long = crowd.trigger(
            crowd.build("slow", BuildOutcome.STUCK_QUEUED), "slow", timeout=900, poll_interval=30.0
        )
        crowd.run(*triggers, long)
        told = [record.message for record in caplog.records if "requests_per_minute" in record.message]
        assert len(told) == 2
        assert "need about 38 requests a minute, and [mendix] requests_per_minute allows 12." in told[0]
        assert "is enough for its waits again" in told[1]

    def test_many_waits_of_one_app_do_not_reach_it(self, crowd, rate_limit, caplog):
        rate_limit(60)
        crowd.run(*(crowd.trigger(crowd.build(), poll_interval=5.0) for _ in range(100)))
        assert crowd.requests() <= 20
        assert "requests_per_minute" not in caplog.text

    def test_under_saturation_two_waits_share_a_list(self, crowd, rate_limit, platform):
        rate_limit(6)
        triggers = [
            crowd.trigger(crowd.build(f"app{nth // 2}"), f"app{nth // 2}", timeout=900) for nth in range(20)
        ]
        assert kinds(crowd.run(*triggers)) == ["success"] * 20
        assert crowd.requests("list") > crowd.requests("single")

    def test_deadlines_hold(self, crowd, rate_limit):
        rate_limit(2)
        triggers = [
            crowd.trigger(crowd.build(f"app{nth}", BuildOutcome.STUCK_QUEUED), f"app{nth}", timeout=100.0 + nth)
            for nth in range(40)
        ]
        ended_at = crowd.ends()
        assert kinds(crowd.run(*triggers)) == ["WaitTimeoutError"] * 40
        assert ended_at == {nth: 100.0 + nth for nth in range(40)}

    def test_it_is_sixty_by_default(self, rate_limit, caplog, monkeypatch):
        monkeypatch.delenv("AIRFLOW__MENDIX__REQUESTS_PER_MINUTE")
        assert settings.requests_per_minute() == 60
        rate_limit(120)
        assert settings.requests_per_minute() == 120
        for rubbish in ("many", "-1", "1.5", ""):
            rate_limit(rubbish)
            assert settings.requests_per_minute() == 60
        assert "is not a number" in caplog.text
