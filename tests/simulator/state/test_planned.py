"""Planned outcomes of calls."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.simulator import InvalidOutcomeError
from airflow_provider_mendix.simulator.state.planned import Outcomes


@pytest.fixture
def outcomes() -> Outcomes:
    return Outcomes({"NOT ALLOWED": 403, "BUSY": 400}, ("failed",))


def test_they_are_used_up_in_order_and_then_calls_succeed(outcomes):
    outcomes.extend(["BUSY", "succeeds", "", "failed"])
    assert (len(outcomes), list(outcomes)) == (4, ["BUSY", "succeeds", "", "failed"])
    assert [outcomes.take() for _ in range(5)] == ["BUSY", "", "", "failed", ""]


def test_a_space_may_be_spelled_as_an_underscore(outcomes):
    outcomes.append("NOT_ALLOWED")
    assert outcomes.take() == "NOT ALLOWED"


def test_an_unknown_outcome_is_refused_with_the_known_ones(outcomes):
    with pytest.raises(InvalidOutcomeError, match="'LUCK'. There are: succeeds, failed, NOT ALLOWED, BUSY"):
        outcomes.append("LUCK")
    assert not outcomes
