"""What every sensor of this provider shares: `poke` and `reschedule` mode and deferred waiting behave alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import AppNotFoundError, MendixError, WaitTimeoutError
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import seconds
from airflow_provider_mendix.operators.waiting import defer, look
from airflow_provider_mendix.settings import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    MAX_RETRY_AFTER,
    MIN_POLL_INTERVAL,
    default_deferrable,
)
from airflow_provider_mendix.waits.base import Wait, result_of
from airflow_provider_mendix.waits.poll_state import Watch

if TYPE_CHECKING:
    from airflow.sdk import Context


class MendixSensor(BaseSensorOperator):
    """Base of the sensors: a subclass says what to wait for, and which errors end that wait for good.

    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most.
    :cvar endings: errors by which what is waited for can no longer happen. They fail the task without another
        try; with ``soft_fail=True`` they skip it, as the time-out does.
    """

    endings: ClassVar[tuple[type[MendixError], ...]] = ()

    def __init__(
        self,
        *,
        mendix_conn_id: str = MendixHook.default_conn_name,
        deferrable: bool | None = None,
        poke_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=seconds("poke_interval", poke_interval, at_least=MIN_POLL_INTERVAL),
            timeout=timeout,
            **kwargs,
        )
        self.mendix_conn_id = mendix_conn_id
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._watch: Watch | None = None

    def make_wait(self, hook: MendixHook) -> Wait:
        """Say what to wait for. It may ask Mendix to find that out: a passing trouble then means "not yet"."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Look once, and then wait in the way that was chosen."""
        if not self.deferrable:
            return super().execute(context)
        with self._ending_as_sensors_do():
            hook = MendixHook(self.mendix_conn_id)
            watch = self._begin_by(hook, current_clock().now() + self.timeout)
            outcome = look(hook, watch, current_clock())
        if outcome.done:
            return self.finish(outcome.result)
        return defer(self, self.mendix_conn_id, watch, current_clock().now())

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; Airflow itself watches the time-out in these modes."""
        with self._ending_as_sensors_do():
            hook = MendixHook(self.mendix_conn_id)
            try:
                self._watch = self._watch or self._begin(hook, deadline=inf)
            except MendixError as error:
                if not error.transient:
                    raise
                self._say_not_yet(error)
                return PokeReturnValue(False)
            outcome = look(hook, self._watch, current_clock())
        return PokeReturnValue(outcome.done, self.finish(outcome.result) if outcome.done else None)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer has waited."""
        with self._ending_as_sensors_do():
            return self.finish(result_of(event))

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Make the task's return value of what the wait resulted in."""
        return result

    def _begin(self, hook: MendixHook, deadline: float) -> Watch:
        return Watch(
            self.make_wait(hook),
            poll_interval=self.poke_interval,
            deadline=deadline,
            outage_tolerance=None,
            now=current_clock().now(),
        )

    def _begin_by(self, hook: MendixHook, deadline: float) -> Watch:
        """Begin as soon as Mendix lets us: a trigger is handed a wait, and could not find out what to wait for."""
        while True:
            try:
                return self._begin(hook, deadline)
            except MendixError as error:
                if not error.transient:
                    raise
                left = deadline - current_clock().now()
                if left <= 0:
                    raise WaitTimeoutError(f"Timed out before the wait could begin. {error}") from error
                self._say_not_yet(error)
                asked = min(error.retry_after or 0.0, MAX_RETRY_AFTER)
                current_clock().sleep(min(max(self.poke_interval, asked), left))

    def _is_ending(self, error: MendixError) -> bool:
        return isinstance(error, (*self.endings, WaitTimeoutError)) and not isinstance(error, AppNotFoundError)

    def _say_not_yet(self, error: MendixError) -> None:
        self.log.info("The wait has not begun, for want of a good answer; it is asked again. %s", error)

    @contextmanager
    def _ending_as_sensors_do(self) -> Iterator[None]:
        # With soft_fail, Airflow's base class skips whatever ends for good; a refused key or an app that nobody
        # sees must not look like that.
        ending = nullcontext() if self.soft_fail else fail_without_retry(self, *self.endings)
        with ending:
            try:
                yield
            except MendixError as error:
                if self.soft_fail and self._is_ending(error):
                    # Airflow puts a message of its own in place of ours when a deferred sensor is skipped.
                    self.log.info("Skipped, because soft_fail is set: %s", error)
                    raise AirflowSkipException(f"Skipped, because soft_fail is set: {error}") from error
                if isinstance(error, WaitTimeoutError):
                    raise AirflowSensorTimeout(str(error)) from error
                raise
