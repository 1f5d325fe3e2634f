"""The queue of poll requests: what is due, in which order, and what has expired."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from airflow_provider_mendix.polling.queue import PollQueue, PollRequest
from airflow_provider_mendix.waits.package import PackageWait


@pytest.fixture
def request_for():
    """Return a function that makes a request at tick 0."""
    loop = asyncio.new_event_loop()

    async def make(app_id, due_in, expires_in):
        return PollRequest(PackageWait(app_id, "p"), 0.0, due_in, expires_in)

    yield lambda app_id, due_in, expires_in=inf: loop.run_until_complete(make(app_id, due_in, expires_in))
    loop.close()


def test_the_longest_overdue_comes_first(request_for):
    queue, late, early = PollQueue(), request_for("shop", 20), request_for("calc", 10)
    queue.add(late)
    queue.add(early)
    assert queue.oldest(9) is None
    assert queue.next_due() == 10
    assert queue.oldest(30) is early
    queue.remove(early)
    assert queue.oldest(30) is late
    queue.remove(late)
    assert queue.oldest(30) is None
    assert queue.next_due() == inf


def test_a_batch_has_the_requests_of_one_key_that_are_half_due(request_for):
    queue, first = PollQueue(), request_for("shop", 10)
    half, later, other = request_for("shop", 20), request_for("shop", 22), request_for("calc", 10)
    for request in (first, half, later, other):
        queue.add(request)
    assert set(queue.batch(first, 10)) == {first, half}


def test_only_due_requests_expire(request_for):
    queue, due, waiting = PollQueue(), request_for("shop", 10, 15), request_for("shop", 40, 20)
    queue.add(due)
    queue.add(waiting)
    assert queue.pop_expired(14) == []
    assert queue.next_expiry() == 15
    assert queue.pop_expired(30) == [due]
    assert queue.oldest(30) is None


def test_a_request_may_be_put_back(request_for):
    queue, request = PollQueue(), request_for("shop", 10)
    queue.add(request)
    assert queue.oldest(10) is request
    queue.remove(request)
    request.is_single = True
    queue.add(request)
    assert queue.oldest(10) is request


def test_a_response_for_a_wait_that_has_gone_is_dropped(request_for):
    request = request_for("shop", 0)
    request.future.cancel()
    request.resolve("too late")
    request.reject(RuntimeError("too late"))
    assert request.future.cancelled()
