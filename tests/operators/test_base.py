"""What all operators that wait share: on the worker and deferred, they poll alike and end alike."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_mendix.exceptions import BackupFailedError, PackageNotFoundError, WaitTimeoutError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.base import MendixWaitingOperator
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.waits.event import failure_event, success_event
from airflow_provider_mendix.waits.package import PackageWait

from ..conftest import run_task


class WaitingOperator(MendixWaitingOperator):
    """Waits for a package, and returns its status."""

    def __init__(self, *, package_id, **kwargs):
        super().__init__(task_id="wait", **kwargs)
        self.package_id = package_id

    def execute(self, context):
        return self.finish(self.wait_for(MendixHook(), PackageWait("shop", self.package_id)), context)

    def finish(self, result, context):
        return result["status"]


@pytest.fixture
def build(platform, server):
    """Return a function that starts a build and returns its package id."""

    def start(outcome=BuildOutcome.SUCCEEDS):
        return platform.packages.add(
            "shop", version="2.5.4", revision="9f3ab2c1", steps=outcome.steps(platform.packages.timeline)
        )

    return start


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferred"])
class TestBothWays:
    def test_it_polls_at_its_interval_and_returns_the_result(self, deferrable, build, platform, context):
        assert (
            run_task(WaitingOperator(package_id=build(), deferrable=deferrable, poll_interval=10), context)
            == "Succeeded"
        )
        times = [entry.at for entry in platform.journal]
        assert [round(later - sooner) for sooner, later in pairwise(times)] == [10] * 9

    @pytest.mark.parametrize("limit", [{"timeout": 90}, {"execution_timeout": timedelta(seconds=90)}], ids=str)
    def test_it_times_out(self, deferrable, limit, build, clock, context):
        began = clock.now()
        with pytest.raises(WaitTimeoutError):
            run_task(
                WaitingOperator(package_id=build(BuildOutcome.STUCK_QUEUED), deferrable=deferrable, **limit),
                context,
            )
        assert clock.now() - began == pytest.approx(90, abs=1)

    def test_an_error_that_will_not_pass_ends_it(self, deferrable, server, context):
        with pytest.raises(PackageNotFoundError):
            run_task(
                WaitingOperator(package_id="0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b", deferrable=deferrable), context
            )


def test_a_task_that_defers_logs_its_next_poll_and_its_deadline(build, context, capsys):
    with pytest.raises(TaskDeferred) as deferred:
        WaitingOperator(package_id=build(), deferrable=True, timeout=3600).execute(context)
    assert deferred.value.method_name == "execute_complete"
    logged = capsys.readouterr().out
    assert "next poll at 2023-11-14 22:13:50 UTC, until 2023-11-14 23:13:20 UTC at the latest." in logged


def test_the_event_decides_how_it_continues(context):
    operator = WaitingOperator(package_id="p-1")
    assert operator.execute_complete(context, success_event({"status": "Succeeded"})) == "Succeeded"
    with pytest.raises(BackupFailedError):
        operator.execute_complete(context, failure_event(BackupFailedError("it failed")))
    event = {"ended": "failure", "error": {"type": "UnauthorizedError", "message": "refused"}}
    with pytest.raises(AirflowFailException):
        operator.execute_complete(context, event)
