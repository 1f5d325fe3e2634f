"""Builds go through their states by the clock, and end as planned."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.simulator import BuildOutcome, Timeline


def states(talk, package_id: str, moments: list[float]) -> list[str]:
    began = talk.clock.now()
    seen = []
    for moment in moments:
        talk.clock.time = began + moment
        seen.append(talk.get(package_id)["Status"])
    return seen


# By default 10 s Queued, 30 s Building, 5 s Uploading.
MOMENTS = [0, 9.9, 10, 39.9, 40, 44.9, 45, 86400]


Q, B, U, S, F = "Queued", "Building", "Uploading", "Succeeded", "Failed"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (BuildOutcome.SUCCEEDS, [Q, Q, B, B, U, U, S, S]),
        (BuildOutcome.FAILS_WHILE_QUEUED, [Q, Q, F, F, F, F, F, F]),
        (BuildOutcome.FAILS_WHILE_BUILDING, [Q, Q, B, B, F, F, F, F]),
        (BuildOutcome.FAILS_WHILE_UPLOADING, [Q, Q, B, B, U, U, F, F]),
        (BuildOutcome.STUCK_QUEUED, [Q, Q, Q, Q, Q, Q, Q, Q]),
        (BuildOutcome.STUCK_BUILDING, [Q, Q, B, B, B, B, B, B]),
        (BuildOutcome.UNKNOWN_STATUS, [Q, Q, "Optimizing", "Optimizing", "Optimizing", "Optimizing", S, S]),
    ],
)
def test_each_outcome(talk, outcome, expected):
    talk.platform.packages.outcome = outcome
    assert states(talk, talk.start(), MOMENTS) == expected


def test_every_outcome_is_tried():
    tried = {case[0] for mark in test_each_outcome.pytestmark for case in mark.args[1]}
    assert tried | {BuildOutcome.REFUSED} == set(BuildOutcome)


def test_next_outcomes_come_first_and_only_accepted_starts_use_them_up(talk):
    talk.platform.packages.timeline = Timeline(0, 0, 0)
    talk.platform.packages.next_outcomes.append(BuildOutcome.FAILS_WHILE_BUILDING)
    assert talk.api("POST", "/api/1/apps/shop/packages", {"Version": "1.0.0"}).status == 400
    assert talk.get(talk.start())["Status"] == "Failed"
    assert talk.get(talk.start())["Status"] == "Succeeded"


def test_an_added_package(talk):
    package_id = talk.platform.packages.add("shop", version="0.9.0", revision="abcdef0123", age=3600)
    shown = talk.get(package_id)
    assert (shown["Status"], shown["Version"]) == ("Succeeded", "0.9.0.abcdef01")
    assert shown["CreationDate"] == 1_700_000_000_000 - 3_600_000
