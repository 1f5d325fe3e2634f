"""A final error fails a task at once, unless the task has a retry policy of its own."""

from __future__ import annotations

import logging
import traceback
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from airflow_provider_mendix import exceptions
from airflow_provider_mendix.exceptions import (
    InvalidRequestError,
    MendixConnectionError,
    MendixError,
    NotFoundError,
    OutageError,
    UnauthorizedError,
)
from airflow_provider_mendix.failures import fail_without_retry, mendix_retry_policy

HAS_RETRY_POLICIES = find_spec("airflow.sdk.definitions.retry_policy") is not None
ERRORS = [getattr(exceptions, name) for name in exceptions.__all__ if name.endswith("Error")]


def raise_in_task(error, retried=(), **arguments):
    operator = BaseOperator(task_id="task", **arguments)
    operator.retried_errors = retried
    with fail_without_retry(operator):
        raise error


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_fails_the_task_for_good_if_it_is_final(kind):
    error = kind("Something failed.")
    with pytest.raises(AirflowFailException if kind.final else kind) as failed:
        raise_in_task(error)
    if kind.final:
        assert failed.value.__context__ is error
        assert str(failed.value) == f"{kind.__name__}: Something failed."


@pytest.mark.parametrize("kind", [UnauthorizedError, OutageError])
def test_the_log_begins_with_the_reason_in_lines_that_fit_and_has_one_traceback(kind, caplog):
    error = kind("What failed: why. What to do. " * 8, request="GET /api/1/apps: HTTP 401", status=401)
    operator = SimpleNamespace(log=logging.getLogger("task"))

    with pytest.raises(Exception, match="What failed") as failed, fail_without_retry(operator):
        raise error from OSError("the cause")

    (record,) = caplog.records
    lines = record.getMessage().splitlines()
    assert record.levelname == "ERROR"
    assert lines[0].startswith("What failed: why. What to do.")
    assert max(map(len, lines)) <= 120
    assert record.getMessage().endswith("(GET /api/1/apps: HTTP 401)")
    assert "".join(traceback.format_exception(failed.value)).count("Traceback") == 1


def test_an_operator_can_name_errors_that_another_try_may_fix():
    with pytest.raises(NotFoundError):
        raise_in_task(NotFoundError("There is none."), (NotFoundError,))


def test_other_errors_pass():
    with pytest.raises(OSError, match="disk"):
        raise_in_task(OSError("disk"))


@pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="Airflow has no retry policies before 3.3")
def test_a_retry_policy_decides_instead():
    policy = mendix_retry_policy()
    with pytest.raises(InvalidRequestError):
        raise_in_task(InvalidRequestError("No such app."), retry_policy=policy)


@pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="Airflow has no retry policies before 3.3")
@pytest.mark.parametrize("serialized", [False, True])
@pytest.mark.parametrize(
    ("error", "action"),
    [(InvalidRequestError, "fail"), (MendixConnectionError, "default"), (MendixError, "default")],
)
def test_the_policy_fails_final_errors_only(error, action, serialized):
    policy = mendix_retry_policy()
    if serialized:
        policy = type(policy).deserialize(policy.serialize())
    assert policy.evaluate(error(""), 1, 3).action.value == action
