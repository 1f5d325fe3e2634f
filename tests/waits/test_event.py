"""The event that ends a deferred wait."""

from __future__ import annotations

import json

import pytest

from airflow_provider_mendix.exceptions import PackageFailedError, UnexpectedEventError
from airflow_provider_mendix.waits.event import failure_event, result_of, success_event


def test_success():
    event = json.loads(json.dumps(success_event({"package_id": "b3d14e53"})))
    assert result_of(event) == {"package_id": "b3d14e53"}


def test_failure():
    event = json.loads(json.dumps(failure_event(PackageFailedError("it ended as Failed"))))
    with pytest.raises(PackageFailedError, match="^it ended as Failed$"):
        result_of(event)


@pytest.mark.parametrize(
    "event",
    [
        None,
        "success",
        [],
        {},
        {"ended": "success"},
        {"ended": "success", "result": None},
        {"ended": "success", "result": "b3d14e53"},
        {"result": {}},
        {"ended": "failure"},
        {"ended": "failure", "error": None},
        {"ended": "failure", "error": {"type": "NoSuchError", "message": "gone"}},
        {"ended": "else", "result": {}, "error": {}},
    ],
    ids=repr,
)
def test_anything_else_fails_closed(event):
    with pytest.raises(UnexpectedEventError):
        result_of(event)
