"""The search for what a task has started before."""

from __future__ import annotations

from typing import NamedTuple

import pendulum
import pytest

from airflow_provider_mendix.builds.started_before import Order, find_started_before
from airflow_provider_mendix.exceptions import MendixConnectionError
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT

NOW = pendulum.datetime(2026, 1, 31)


class Thing(NamedTuple):
    id: str
    minute: int | None = 0
    has_failed: bool = False
    visible_after: float = 0.0


@pytest.fixture
def search(clock):
    """Search among things, of which those whose id starts with ``own`` are the task's."""

    def run(*things, **options):
        began = clock.now()
        return find_started_before(
            lambda: (thing for thing in things if clock.now() - began >= thing.visible_after),
            lambda listed: [thing for thing in listed if thing.id.startswith("own")],
            lambda thing: Order.of(
                thing.id,
                None if thing.minute is None else NOW.add(minutes=thing.minute),
                has_failed=thing.has_failed,
            ),
            **options,
        )

    return run


def test_the_earliest_that_has_not_failed_comes_first(search):
    things = [
        Thing("own-failed", 0, has_failed=True),
        Thing("own-without-date", None),
        Thing("own-late", 2),
        Thing("other", 1),
        Thing("own-early-b", 1),
        Thing("own-early-a", 1),
    ]
    own, listed = search(*things, timeout=0)
    assert [thing.id for thing in own] == [
        "own-early-a",
        "own-early-b",
        "own-late",
        "own-without-date",
        "own-failed",
    ]
    assert listed == things


@pytest.mark.parametrize(
    ("visible_after", "timeout", "is_found"),
    [
        (0, 0, True),
        (1, 0, False),
        (40, VISIBILITY_TIMEOUT, True),
        (VISIBILITY_TIMEOUT, VISIBILITY_TIMEOUT, True),
        (VISIBILITY_TIMEOUT + 1, VISIBILITY_TIMEOUT, False),
    ],
)
def test_it_polls_until_the_timeout(search, clock, visible_after, timeout, is_found):
    began = clock.now()
    own, _ = search(Thing("own", visible_after=visible_after), timeout=timeout)
    assert bool(own) is is_found
    assert clock.now() - began <= timeout


def test_it_ends_early_if_nothing_more_can_appear(search, clock):
    began = clock.now()
    own, listed = search(Thing("other"), timeout=60, is_settled=lambda listed: listed[0].id == "other")
    assert (own, [thing.id for thing in listed]) == ([], ["other"])
    assert clock.now() == began


def test_an_error_of_the_list_is_raised(clock):
    def fail():
        raise MendixConnectionError("No response.")

    with pytest.raises(MendixConnectionError):
        find_started_before(fail, list, lambda thing: Order.of("", None, has_failed=False), timeout=60)
