"""The trigger of all deferred waits, and how a task defers to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.waits.base import Outcome, Wait, wait_from_json
from airflow_provider_mendix.waits.event import failure_event, success_event
from airflow_provider_mendix.waits.poll_state import PollState

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

__all__ = ["MendixWaitTrigger"]

_MARGIN = 5 * 60.0


class MendixWaitTrigger(BaseTrigger):
    """Poll Mendix until a wait has ended, then fire one event that says how.

    :param mendix_conn_id: id of the Airflow connection; its secrets are not part of the trigger.
    :param wait: what to wait for, as JSON values.
    :param poll_state: what the wait has seen so far, and when to poll again, as JSON values.
    """

    def __init__(self, *, mendix_conn_id: str, wait: dict[str, Any], poll_state: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mendix_conn_id = mendix_conn_id
        self.wait = wait
        self.poll_state = poll_state

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that rebuild this trigger."""
        arguments = {"mendix_conn_id": self.mendix_conn_id, "wait": self.wait, "poll_state": self.poll_state}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event. A failed wait is an event too; only bugs are raised."""
        try:
            outcome = await self._wait()
        except MendixError as error:
            yield TriggerEvent(failure_event(error))
        else:
            yield TriggerEvent(success_event(outcome.result))

    async def on_kill(self) -> None:
        """Change nothing: Airflow also calls this when it moves the trigger to another process."""
        description = wait_from_json(self.wait).description
        self.log.info("The trigger was stopped: %s. Nothing was cancelled in Mendix.", description)

    async def _wait(self) -> Outcome:
        # Only a triggerer needs this module; a worker that defers loads the one you are reading.
        from airflow_provider_mendix.polling.poller import poller_of

        clock = current_clock()
        wait = wait_from_json(self.wait)
        state = PollState.from_json(self.poll_state).take_over(wait, clock.now())
        async with poller_of(self.mendix_conn_id) as poller:
            while True:
                response: Any
                try:
                    now = clock.now()
                    due_in, expires_in = state.delay(now), state.time_left(now)
                    wait = await poller.run(wait.resolve(), due_in=due_in, expires_in=expires_in)
                    now = clock.now()
                    due_in, expires_in = state.delay(now), state.time_left(now)
                    response = await poller.poll(wait, due_in=due_in, expires_in=expires_in)
                except MendixError as error:
                    response = error
                state, outcome = state.record(wait, response, clock.now())
                if outcome.log_message:
                    self.log.info(outcome.log_message)
                if outcome.done:
                    return outcome


def defer(
    operator: BaseOperator,
    mendix_conn_id: str,
    wait: Wait,
    state: PollState,
    method_name: str = "execute_complete",
) -> NoReturn:
    """Hand a wait over to the triggerer; the operator's method ``method_name`` gets the event.

    Airflow's own time-out comes later than that of the trigger, which knows what was seen last.
    """
    until = "without a deadline" if state.deadline is None else f"until {_utc(state.deadline)} at the latest"
    operator.log.info("Waiting in the triggerer: next poll at %s, %s.", _utc(state.next_poll_at), until)
    trigger = MendixWaitTrigger(mendix_conn_id=mendix_conn_id, wait=wait.to_json(), poll_state=state.to_json())
    timeout = timedelta(seconds=state.time_left(current_clock().now()) + _MARGIN)
    operator.defer(trigger=trigger, method_name=method_name, timeout=timeout)


def _utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
