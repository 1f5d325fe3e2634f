"""The base of the operators that start something in Mendix and may wait for its end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import RenderedArguments, checked
from airflow_provider_mendix.settings import (
    DEFAULT_OUTAGE_TOLERANCE,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    default_deferrable,
)

# Only a running task needs the modules that are imported in functions here; parsing a DAG file does not.
if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.exceptions import MendixError
    from airflow_provider_mendix.operators.signatures import OperatorArguments, Text
    from airflow_provider_mendix.waits.base import Wait


class MendixWaitingOperator(RenderedArguments, BaseOperator):
    """Base of the operators that start something in Mendix and may wait for its end.

    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait for the end; otherwise the task ends when the start is done.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls, at least 5.
    :param timeout: seconds after which the wait gives up.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds.
    :cvar retried_errors: final errors that another try of the operator may fix.
    """

    retried_errors: tuple[type[MendixError], ...] = ()

    def __init__(
        self,
        *,
        mendix_conn_id: Text = MendixHook.default_conn_name,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        outage_tolerance: float | timedelta = DEFAULT_OUTAGE_TOLERANCE,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.mendix_conn_id: Any = mendix_conn_id
        self.wait_for_completion: bool = checked("wait_for_completion", wait_for_completion)
        self.deferrable: bool = default_deferrable() if deferrable is None else checked("deferrable", deferrable)
        self.poll_interval: float = checked("poll_interval", poll_interval)
        self.timeout: float = checked("timeout", timeout)
        self.outage_tolerance: float = checked("outage_tolerance", outage_tolerance)

    @property
    def max_wait(self) -> float:
        """Seconds after which the wait gives up: Airflow ignores `execution_timeout` while a task is deferred."""
        limit = self.execution_timeout.total_seconds() if self.execution_timeout else self.timeout
        return min(self.timeout, limit)

    def wait_for(self, hook: MendixHook, wait: Wait, method_name: str = "execute_complete") -> dict[str, Any]:
        """Wait, and return the result; a deferrable task ends here and continues in another method.

        :param method_name: the method that continues after a deferred wait.
        :raises MendixError: if the wait fails.
        """
        from airflow_provider_mendix.polling.worker import poll_once
        from airflow_provider_mendix.waits.poll_state import PollState

        clock = current_clock()
        state = PollState.begin(
            clock.now(),
            poll_interval=self.poll_interval,
            timeout=self.max_wait,
            outage_tolerance=self.outage_tolerance,
        )
        while True:
            wait, state, outcome = poll_once(hook, wait, state)
            if outcome.done:
                return outcome.result
            if self.deferrable:
                from airflow_provider_mendix.triggers.wait import defer

                defer(self, self.mendix_conn_id, wait, state, method_name)
            clock.sleep(state.delay(clock.now()))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Continue after a deferred wait."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            return self.finish(result_of(event), context)

    def finish(self, result: dict[str, Any], context: Context) -> Any:
        """Return the task's return value for the result of the wait."""
        return result
