"""The one trigger that waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_mendix.api.account import Account
from airflow_provider_mendix.api.clients import AsyncMendixClient
from airflow_provider_mendix.api.clock import Clock, SystemClock
from airflow_provider_mendix.api.errors import (
    ForbiddenError,
    InvalidConnectionError,
    MendixError,
    UnauthorizedError,
)
from airflow_provider_mendix.api.waits import Outcome, Watch, failure_event, success_event, wait_from_json
from airflow_provider_mendix.hooks.mendix import MendixHook


class MendixWaitTrigger(BaseTrigger):
    """Look at Mendix until a wait is over, then say how it ended.

    :param mendix_conn_id: id of the Airflow connection; its secrets are not part of the trigger.
    :param wait: what to wait for, as JSON-plain values.
    :param poll_interval: seconds between two looks.
    :param deadline: wall-clock time, in seconds since the epoch, at which the wait has timed out.
    :param outage_tolerance: seconds without one good answer that are put up with; ``None`` for any number.
    :param state: the last state that was seen before.
    :param changed_at: wall-clock time since when it was in that state.
    """

    clock: ClassVar[Clock] = SystemClock()

    def __init__(
        self,
        *,
        mendix_conn_id: str,
        wait: dict[str, Any],
        poll_interval: float,
        deadline: float,
        outage_tolerance: float | None,
        state: str,
        changed_at: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mendix_conn_id = mendix_conn_id
        self.wait = wait
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.outage_tolerance = outage_tolerance
        self.state = state
        self.changed_at = changed_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments that rebuild this trigger elsewhere."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "mendix_conn_id": self.mendix_conn_id,
                "wait": self.wait,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "outage_tolerance": self.outage_tolerance,
                "state": self.state,
                "changed_at": self.changed_at,
            },
        )

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
        watch = Watch(
            wait_from_json(self.wait),
            poll_interval=self.poll_interval,
            deadline=self.deadline,
            outage_tolerance=self.outage_tolerance,
            now=self.clock.now(),
        )
        watch.state, watch.changed_at = self.state, self.changed_at
        account = await self._account()
        while True:
            try:
                async with AsyncMendixClient(account) as client:
                    return await self._look_until_done(client, watch)
            except (UnauthorizedError, ForbiddenError):
                refused, account = account, await self._account()
                if account == refused:
                    raise
            self.log.info("The credentials of connection %s have changed; waiting goes on.", self.mendix_conn_id)

    async def _look_until_done(self, client: AsyncMendixClient, watch: Watch) -> Outcome:
        while True:
            await self.clock.pause(watch.delay(self.clock.now()))
            try:
                answer: Any = await client.send(watch.wait.call())
            except MendixError as error:
                answer = error
            outcome = watch.observe(answer, self.clock.now())
            if watch.news:
                self.log.info(watch.news)
            if outcome.done:
                return outcome

    async def _account(self) -> Account:
        try:
            return await MendixHook(self.mendix_conn_id).aget_account()
        except AirflowNotFoundException:
            raise InvalidConnectionError(f"There is no connection {self.mendix_conn_id}.") from None
