"""Wait here or defer: what every operator that waits shares.

A wait on the worker, a deferred wait and a sensor's poke ask with the same `Wait` and judge with the same `Watch`,
so they cannot disagree.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_mendix.clock import Clock, current_clock
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import RenderedArguments, boolean, seconds
from airflow_provider_mendix.settings import (
    DEFAULT_OUTAGE_TOLERANCE,
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    MIN_POLL_INTERVAL,
    default_deferrable,
)
from airflow_provider_mendix.waits.base import Outcome, Wait, result_of, wait_to_json
from airflow_provider_mendix.waits.poll_state import Watch

if TYPE_CHECKING:
    from airflow.sdk import Context

_TRIGGER_ENDS_FIRST = 5 * 60.0

log = logging.getLogger(__name__)


def look(hook: MendixHook, watch: Watch, clock: Clock) -> Outcome:
    """Look once and log what is new.

    :raises MendixError: if the wait is over, and badly.
    """
    try:
        answer: Any = hook.send_once(watch.wait.call())
    except MendixError as error:
        answer = error
    outcome = watch.observe(answer, clock.now())
    if watch.news:
        log.info(watch.news)
    return outcome


def defer(
    operator: BaseOperator, mendix_conn_id: str, watch: Watch, now: float, resume: str = "execute_complete"
) -> NoReturn:
    """Hand a wait over to the triggerer; the operator's method ``resume`` gets the event.

    Airflow's own time-out is only the net under the trigger's, which knows what was last seen.
    """
    from airflow_provider_mendix.triggers.wait import MendixWaitTrigger

    trigger = MendixWaitTrigger(
        mendix_conn_id=mendix_conn_id,
        wait=wait_to_json(watch.wait),
        poll_interval=watch.poll_interval,
        deadline=watch.deadline,
        outage_tolerance=watch.outage_tolerance,
        state=watch.state,
        changed_at=watch.changed_at,
        spent=watch.spent,
        look_at=now + watch.delay(now),
    )
    net = timedelta(seconds=max(0.0, watch.deadline - now) + _TRIGGER_ENDS_FIRST)
    operator.defer(trigger=trigger, method_name=resume, timeout=net)


def report_phases(app_id: str, result: dict[str, Any]) -> None:
    """Give Airflow's metrics the seconds that a build has spent in each phase, as far as they were seen."""
    try:
        from airflow.providers.common.compat.sdk import Stats

        for phase, seconds in result.get("phases", {}).items():
            Stats.timing(f"mendix.package.{phase}", timedelta(seconds=seconds), tags={"app_id": app_id})
    except Exception as error:  # noqa: BLE001 - a release must not fail for want of metrics
        log.debug("No metrics: %s", error)


class MendixWaitingOperator(RenderedArguments, BaseOperator):
    """Base of the operators that start something in Mendix and may wait until it is done.

    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until it is done; otherwise the task ends as soon as it is started.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most.
    :param outage_tolerance: seconds without one good answer from Mendix that the wait puts up with.
    """

    def __init__(
        self,
        *,
        mendix_conn_id: str = MendixHook.default_conn_name,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        outage_tolerance: float | timedelta = DEFAULT_OUTAGE_TOLERANCE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mendix_conn_id = mendix_conn_id
        self.wait_for_completion = boolean("wait_for_completion", wait_for_completion)
        self.deferrable = default_deferrable() if deferrable is None else boolean("deferrable", deferrable)
        self.poll_interval = seconds("poll_interval", poll_interval, at_least=MIN_POLL_INTERVAL)
        self.timeout = seconds("timeout", timeout, at_least=1)
        self.outage_tolerance = seconds("outage_tolerance", outage_tolerance, at_least=0)

    @property
    def longest_wait(self) -> float:
        """Seconds to wait at most: Airflow itself does not apply `execution_timeout` while a task is deferred."""
        limit = self.execution_timeout.total_seconds() if self.execution_timeout else self.timeout
        return min(self.timeout, limit)

    def wait_for(self, hook: MendixHook, wait: Wait, resume: str = "execute_complete") -> dict[str, Any]:
        """Wait until it is done and give the result; deferred, the task ends here and goes on elsewhere.

        :param resume: name of the method that goes on after a deferred wait.
        :raises MendixError: if the wait ends badly.
        """
        now = current_clock().now()
        watch = Watch(
            wait,
            poll_interval=self.poll_interval,
            deadline=now + self.longest_wait,
            outage_tolerance=self.outage_tolerance,
            now=now,
        )
        while not (outcome := look(hook, watch, current_clock())).done:
            if self.deferrable:
                defer(self, self.mendix_conn_id, watch, current_clock().now(), resume)
            current_clock().sleep(watch.delay(current_clock().now()))
        return outcome.result

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Go on after the triggerer has waited."""
        with fail_without_retry(self):
            return self.finish(result_of(event))

    def finish(self, result: dict[str, Any]) -> Any:
        """Make the task's return value of what the wait resulted in."""
        return result
