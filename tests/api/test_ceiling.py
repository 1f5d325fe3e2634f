"""At most so many requests a minute, and one request for many waits: the rules without the requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mendix.polling.batching import REQUEST_COST, TRY_LIST_FOR, UNREADABLE, is_list_cheaper
from airflow_provider_mendix.polling.rate_limit import RateLimiter


@given(per_minute=st.integers(1, 400), gaps=st.lists(st.floats(0, 20), min_size=1, max_size=500))
def test_no_minute_sees_more_than_the_limit(per_minute, gaps):
    ceiling, now, sent = RateLimiter(per_minute), 1000.0, []
    for gap in gaps:
        now += gap
        now += ceiling.wait(now)
        ceiling.take(now)
        sent.append(now)
    for at in sent:
        assert sum(at <= other < at + 62 for other in sent) <= per_minute


@pytest.mark.parametrize(("per_minute", "at_once"), [(600, 100), (60, 10), (7, 1), (6, 1), (5, 1), (1, 1)])
def test_a_sixth_may_go_at_once(per_minute, at_once):
    ceiling, gone = RateLimiter(per_minute), 0
    while not ceiling.wait(1000.0):
        ceiling.take(1000.0)
        gone += 1
    assert gone == at_once


@pytest.mark.parametrize("per_minute", [1, 5, 6, 60, 600])
def test_it_is_used_up(per_minute):
    ceiling, now, gone = RateLimiter(per_minute), 1000.0, 0
    while now < 1600:
        now += ceiling.wait(now)
        ceiling.take(now)
        gone += 1
    assert per_minute * 9.5 <= gone <= per_minute * 10 + 1


def test_none_is_none():
    ceiling = RateLimiter(0)
    for _ in range(10_000):
        assert ceiling.wait(0.0) == 0
        ceiling.take(0.0)


@pytest.mark.parametrize(
    ("waits", "size", "is_scarce", "expected"),
    [
        (1, None, False, False),
        (1, 100, True, False),
        (TRY_LIST_FOR - 1, None, False, False),
        (TRY_LIST_FOR, None, False, True),
        (2, None, True, True),
        (2, REQUEST_COST - 1, False, True),
        (2, REQUEST_COST, False, False),
        (20, 19 * REQUEST_COST - 1, False, True),
        (20, 19 * REQUEST_COST, False, False),
        (20, 1e9, True, True),
        (20, UNREADABLE, True, False),
    ],
)
def test_list_or_single(waits, size, is_scarce, expected):
    assert is_list_cheaper(waits, size, is_scarce=is_scarce) is expected
