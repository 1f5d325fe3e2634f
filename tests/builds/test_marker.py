"""The marker, and what a task run owns by it."""

from __future__ import annotations

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_mendix.builds.marker import LONGEST_DESCRIPTION, Marker, Owner, is_retry

from ..conftest import TaskInstance

NOW = 1_700_000_000.0


def owner(marker=None, on_clear="rebuild"):
    marker = marker or Marker("0123456789abcdef", 1, 4)
    return Owner(marker=marker, began_at=NOW, is_retry=True, on_clear=on_clear)


@given(
    st.text(max_size=300),
    st.text("0123456789abcdef", min_size=16, max_size=16),
    st.integers(1, 999),
    st.integers(1, 999),
)
def test_the_marker_survives_any_text(human, digest, try_number, last_try):
    marker = Marker(digest, try_number, last_try)
    described = owner(marker).mark(human)
    assert len(described) <= LONGEST_DESCRIPTION
    assert described.endswith(str(marker))
    assert Marker.of(described) == marker


def test_a_short_text_is_not_cut():
    marked = owner().mark("Release 2.5.4")
    assert marked == "Release 2.5.4 [airflow 0123456789abcdef try 1 of 4]"


@pytest.mark.parametrize("text", [None, "", "Release", "[airflow 0123 try 1 of 2]", "[airflow] try 1"])
def test_other_texts_have_no_marker(text):
    assert Marker.of(text) is None


OWN = "[airflow 0123456789abcdef try 1 of 4]"


@pytest.mark.parametrize(
    ("text", "age", "rebuild", "reattach"),
    [
        (OWN, 0, True, True),
        ("[airflow 0123456789abcdef try 1 of 8]", 0, False, True),
        ("[airflow 0123456789abcdef try 1 of 3]", 3600, False, True),
        (OWN, 599, True, True),
        (OWN, 601, False, False),
        ("[airflow fedcba9876543210 try 1 of 4]", 0, False, False),
        ("By hand", 0, False, False),
        (None, 0, False, False),
    ],
)
@pytest.mark.parametrize("on_clear", ["rebuild", "reattach"])
def test_a_task_owns_what_has_its_marker(text, age, rebuild, reattach, on_clear):
    created_at = pendulum.from_timestamp(NOW - age)
    assert owner(Marker("0123456789abcdef", 2, 4), on_clear=on_clear).owns(text, created_at) is (
        rebuild if on_clear == "rebuild" else reattach
    )


@pytest.mark.parametrize(
    ("text", "has_failed", "replaced"),
    [
        (OWN, True, True),
        (OWN, False, False),
        ("[airflow 0123456789abcdef try 2 of 4]", True, False),
        ("no marker", True, True),
    ],
)
def test_a_retry_replaces_the_failure_of_an_earlier_try(text, has_failed, replaced):
    assert owner(Marker("0123456789abcdef", 2, 4)).is_replaced(text, has_failed=has_failed) is replaced


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "rebuild", "reattach"),
    [
        (1, 3, 3, False, False),
        (2, 3, 3, True, True),
        (4, 3, 3, True, True),
        (2, 4, 3, False, True),  # the first try after a Clear
        (3, 4, 3, True, True),
        (2, 3, 0, True, True),  # retries was edited
        (1, 0, None, False, False),
    ],
)
def test_a_try_is_a_retry_unless_it_is_the_first_of_its_intent(try_number, max_tries, retries, rebuild, reattach):
    ti = TaskInstance(try_number=try_number, max_tries=max_tries)
    assert is_retry(ti, retries) is rebuild
    assert is_retry(ti, retries, "reattach") is reattach
