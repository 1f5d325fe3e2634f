"""Looks that come closer together towards the usual end of a build."""

from __future__ import annotations

import random

import pytest

from airflow_provider_mendix.polling.pace import History, next_look
from airflow_provider_mendix.waits.base import PackageWait
from airflow_provider_mendix.waits.poll_state import Watch

PHASES = PackageWait.phases
USUAL = {"Queued": 20.0, "Building": 300.0, "Uploading": 30.0}


def look(state, seconds, usual=USUAL, shortest=5.0, longest=120.0):
    return next_look(state, seconds, PHASES, usual, shortest=shortest, longest=longest)


def test_half_of_what_is_usually_left():
    assert look("Building", 100) == (200 + 30) / 2
    assert look("Uploading", 0) == 15


def test_never_more_often_nor_more_rarely_than_allowed():
    assert look("Queued", 0) == 120
    assert look("Uploading", 29) == 5


def test_a_build_that_takes_longer_is_looked_at_ever_more_rarely():
    assert look("Uploading", 31) == 5
    assert look("Uploading", 30 + 160) == 20
    assert look("Uploading", 10_000) == 120


@pytest.mark.parametrize("state", ["Building", "not seen yet", "Optimizing"])
def test_without_a_history_what_has_passed_decides(state):
    assert look(state, 0, usual={}) == 5
    assert look(state, 240, usual={}) == 30


def test_the_median_of_the_last_builds_is_usual():
    history = History()
    for seconds in (100.0, 9000.0, 110.0):
        history.note("shop", {"Building": seconds})
    history.note("shop", {"Building": 90.0, "Uploading": 8.0})
    assert history.usual("shop") == {"Building": 105.0, "Uploading": 8.0}
    assert history.usual("depot") == {}


def test_old_builds_are_forgotten():
    history = History()
    for seconds in [1000.0] * 9 + [10.0] * 9:
        history.note("shop", {"Building": seconds})
    assert history.usual("shop") == {"Building": 10.0}


def test_what_nobody_has_seen_is_no_history():
    history = History()
    history.note("shop", {})
    assert history.usual("shop") == {}


def test_apps_are_forgotten_before_memory_runs_out():
    history = History()
    for app in range(3000):
        history.note(app, {"Building": 1.0})
    assert history.usual(0) == {}
    assert history.usual(2999) == {"Building": 1.0}


def test_without_a_longest_interval_nothing_changes():
    watch = Watch(PackageWait("shop", "p"), poll_interval=30, deadline=1e9, outage_tolerance=None, now=0)
    watch.usual = USUAL
    watch.resume("Building", 0, {})
    assert [watch.delay(now) for now in (0, 100, 400)] == [30, 30, 30]


def test_the_deadline_holds():
    watch = Watch(
        PackageWait("shop", "p"),
        poll_interval=5,
        max_poll_interval=600,
        deadline=100,
        outage_tolerance=None,
        now=0,
    )
    watch.usual = USUAL
    watch.resume("Building", 0, {})
    assert watch.delay(10) == 90


def test_a_build_that_takes_as_long_as_usual_is_seen_soon_and_seldom_asked_for():
    chance = random.Random(7)
    looks, late = [], []
    for _ in range(200):
        ends = {"Queued": 20, "Building": 20 + 300 * chance.uniform(0.9, 1.1)}
        done = ends["Building"] + 30
        now, state, since, count = 0.0, "Queued", 0.0, 0
        while now < done:
            now += look(state, now - since)
            count += 1
            seen = "Queued" if now < 20 else "Building" if now < ends["Building"] else "Uploading"
            state, since = (seen, now) if seen != state else (state, since)
        looks.append(count)
        late.append(now - done)
    # With as many looks at a fixed interval, the end would be seen half an interval late.
    fixed = 350 / (sum(looks) / len(looks)) / 2
    assert sum(late) / len(late) < 0.7 * fixed
