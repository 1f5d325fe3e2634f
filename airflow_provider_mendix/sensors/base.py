"""The base of the sensors: ``poke`` mode, ``reschedule`` mode and deferred waiting behave alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    NotFoundError,
    PackageFailedError,
    WaitTimeoutError,
)
from airflow_provider_mendix.failures import explain, fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import InvalidArgumentError, RenderedArguments, checked
from airflow_provider_mendix.settings import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    default_deferrable,
)

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.operators.signatures import AirflowSensorArguments, Text
    from airflow_provider_mendix.waits.base import Wait
    from airflow_provider_mendix.waits.poll_state import PollState


class MendixSensor(RenderedArguments, BaseSensorOperator):
    """Base of the sensors; a subclass says what to wait for.

    With ``soft_fail=True``, a time-out, a package that failed and an object that does not exist skip the task. A
    refused key and an unknown app fail it. With ``never_fail=True``, every failure skips the task.
    ``silent_fail`` and ``exponential_backoff`` are refused: transient errors mean "not yet" anyway, and the
    interval is the same in all modes.

    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two polls, at least 5.
    :param timeout: seconds after which the wait gives up.
    """

    def __init__(
        self,
        *,
        mendix_conn_id: Text = MendixHook.default_conn_name,
        deferrable: bool | None = None,
        poke_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        **kwargs: Unpack[AirflowSensorArguments],
    ) -> None:
        _check_options(kwargs)
        super().__init__(
            poke_interval=checked("poke_interval", poke_interval),
            timeout=checked("timeout", timeout),
            **kwargs,
        )
        self.mendix_conn_id: Any = mendix_conn_id
        self.deferrable: bool = default_deferrable() if deferrable is None else checked("deferrable", deferrable)
        self._progress: tuple[Wait, PollState] | None = None

    def make_wait(self, hook: MendixHook, began_at: float) -> Wait:
        """Return what to wait for. It sends no request.

        :param began_at: wall-clock time at which the task began to wait, in seconds since the epoch.
        :raises InvalidInputError: if a value is wrong.
        """
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Poll once, and then wait in the chosen mode."""
        if not self.deferrable:
            try:
                return super().execute(context)
            except AirflowSensorTimeout as error:
                self._skip_if("never_fail", error)
                raise
        from airflow_provider_mendix.polling.worker import poll_once
        from airflow_provider_mendix.triggers.wait import defer

        with self._errors_of_a_sensor():
            hook = MendixHook(self.mendix_conn_id)
            wait, state, outcome = poll_once(hook, *self._begin(hook, context, self.timeout))
        if outcome.done:
            return self.finish(outcome.result)
        return defer(self, self.mendix_conn_id, wait, state)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once; Airflow itself checks the time-out in these modes."""
        from airflow_provider_mendix.polling.worker import poll_once

        with self._errors_of_a_sensor():
            hook = MendixHook(self.mendix_conn_id)
            wait, state, outcome = poll_once(hook, *(self._progress or self._begin(hook, context, timeout=None)))
            self._progress = wait, state
        return PokeReturnValue(outcome.done, self.finish(outcome.result) if outcome.done else None)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Continue after a deferred wait."""
        from airflow_provider_mendix.waits.event import result_of

        with self._errors_of_a_sensor():
            return self.finish(result_of(event))

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the task's return value for the result of the wait."""
        return result

    def _begin(self, hook: MendixHook, context: Context, timeout: float | None) -> tuple[Wait, PollState]:
        from airflow_provider_mendix.waits.poll_state import PollState

        self.check_rendered(context)
        now = current_clock().now()
        # In reschedule mode, each poll is a process of its own.
        first = context["ti"].get_first_reschedule_date(context) if self.reschedule else None
        began_at = first.timestamp() if first else now
        state = PollState.begin(now, poll_interval=self.poke_interval, timeout=timeout, outage_tolerance=None)
        return self.make_wait(hook, began_at), state

    @contextmanager
    def _errors_of_a_sensor(self) -> Iterator[None]:
        # With soft_fail, Airflow's base class skips the task on AirflowFailException.
        with explain(self) if self.soft_fail else fail_without_retry(self):
            try:
                yield
            except Exception as error:
                self._skip_if("never_fail", error)
                may_skip = isinstance(error, WaitTimeoutError | NotFoundError | PackageFailedError)
                if may_skip and not isinstance(error, AppNotFoundError):
                    self._skip_if("soft_fail", error)
                if isinstance(error, WaitTimeoutError):
                    raise AirflowSensorTimeout(str(error)) from None
                raise

    def _skip_if(self, option: str, error: Exception) -> None:
        if getattr(self, option):
            # Airflow replaces our message when it skips a deferred sensor.
            self.log.info("Skipped, because %s is set: %s", option, error)
            raise AirflowSkipException(f"Skipped, because {option} is set: {error}") from error


def _check_options(options: Mapping[str, Any]) -> None:
    """Check the options of Airflow's base class that differ between its modes."""
    for name in ("soft_fail", "never_fail", "silent_fail", "exponential_backoff"):
        checked(name, options.get(name, False))
    if options.get("silent_fail"):
        raise InvalidArgumentError(
            "silent_fail is not supported: transient errors mean 'not yet' anyway, and other errors stay. Leave it"
            " out, or use soft_fail or never_fail to skip the task."
        )
    if options.get("exponential_backoff"):
        raise InvalidArgumentError(
            "exponential_backoff is not supported: set poke_interval, which all modes keep."
        )
