"""The one trigger that waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.settings import DEFAULT_OUTAGE_TOLERANCE, DEFAULT_POLL_INTERVAL
from airflow_provider_mendix.waits.base import Outcome, failure_event, success_event, wait_from_json
from airflow_provider_mendix.waits.poll_state import Watch


class MendixWaitTrigger(BaseTrigger):
    """Look at Mendix until a wait is over, then say how it ended.

    :param mendix_conn_id: id of the Airflow connection; its secrets are not part of the trigger.
    :param wait: what to wait for, as JSON-plain values.
    :param deadline: wall-clock time, in seconds since the epoch, at which the wait has timed out.
    :param state: the last state that was seen before.
    :param changed_at: wall-clock time since when it was in that state.
    :param spent: seconds in each state that was seen to end before.
    :param look_at: wall-clock time of the next look, as it was planned.
    :param poll_interval: seconds between two looks.
    :param outage_tolerance: seconds without one good answer that are put up with; ``None`` for any number.
    """

    def __init__(
        self,
        *,
        mendix_conn_id: str,
        wait: dict[str, Any],
        deadline: float,
        state: str,
        changed_at: float,
        spent: dict[str, float] | None = None,
        look_at: float | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
        outage_tolerance: float | None = DEFAULT_OUTAGE_TOLERANCE,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mendix_conn_id = mendix_conn_id
        self.wait = wait
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.outage_tolerance = outage_tolerance
        self.state = state
        self.changed_at = changed_at
        self.spent = spent or {}
        self.look_at = look_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments that rebuild this trigger elsewhere."""
        arguments = {
            "mendix_conn_id": self.mendix_conn_id,
            "wait": self.wait,
            "deadline": self.deadline,
            "state": self.state,
            "changed_at": self.changed_at,
        }
        optional: dict[str, tuple[Any, Any]] = {
            "spent": (self.spent, {}),
            "look_at": (self.look_at, None),
            "poll_interval": (self.poll_interval, DEFAULT_POLL_INTERVAL),
            "outage_tolerance": (self.outage_tolerance, DEFAULT_OUTAGE_TOLERANCE),
        }
        arguments |= {name: value for name, (value, default) in optional.items() if value != default}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event: failures that may be expected are events too, only bugs are raised."""
        try:
            outcome = await self._wait()
        except MendixError as error:
            yield TriggerEvent(failure_event(error))
        else:
            yield TriggerEvent(success_event(outcome.result))

    async def on_kill(self) -> None:
        """Touch nothing: Airflow also calls this when it only moves the trigger to another process."""
        self.log.info("A wait was taken away: %s. What Mendix does goes on.", wait_from_json(self.wait).subject)

    async def _wait(self) -> Outcome:
        # The module is of use in a triggerer only, and a worker that defers loads this one.
        from airflow_provider_mendix.polling.poller import poller_of

        now = current_clock().now()
        watch = Watch(
            wait_from_json(self.wait),
            poll_interval=self.poll_interval,
            deadline=self.deadline,
            outage_tolerance=self.outage_tolerance,
            now=now,
        )
        watch.resume(self.state, self.changed_at, self.spent)
        pause = watch.first_delay(now, self.look_at)
        async with poller_of(self.mendix_conn_id, current_clock()) as poller:
            while True:
                answer = await poller.ask(watch.wait, after=pause, within=watch.time_left(current_clock().now()))
                now = current_clock().now()
                outcome = watch.observe(answer, now)
                if watch.news:
                    self.log.info(watch.news)
                if outcome.done:
                    return outcome
                pause = watch.delay(now)
