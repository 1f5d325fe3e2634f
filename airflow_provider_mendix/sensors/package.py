"""Sensor for deployment packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

from airflow_provider_mendix.api.clock import Clock, SystemClock
from airflow_provider_mendix.api.errors import PackageFailedError, PackageNotFoundError, WaitTimeoutError
from airflow_provider_mendix.api.waits import Outcome, PackageWait, Watch, result_of
from airflow_provider_mendix.failing import failing
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.waiting import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    SHORTEST_POLL_INTERVAL,
    default_deferrable,
    defer,
    look,
    seconds,
)

if TYPE_CHECKING:
    from airflow.sdk import Context


class MendixPackageSensor(BaseSensorOperator):
    """Wait until a package is ``Succeeded``; in ``poke`` and ``reschedule`` mode and deferred alike.

    The task returns the package: ``package_id``, ``name``, ``version``, ``status``, ``size``, ``creation_date``.

    It ends without success when the package is ``Failed``, is not there, or is not ready in time; with
    ``soft_fail=True`` each of these skips the task. Troubles on the way to Mendix, answers that cannot be read
    and states that nobody knows yet mean "not yet", until the time-out. A refused key is a failure at once.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app.
    :param package_id: id of the package.
    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most.
    :raises AirflowFailException: if the package is ``Failed`` or not there, the key is refused, or a value cannot
        be right: another try would only meet that again. The reason is its ``__cause__``.
    :raises AirflowSensorTimeout: if it is not ready in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "package_id")
    clock: ClassVar[Clock] = SystemClock()

    def __init__(
        self,
        *,
        app_id: str,
        package_id: str,
        mendix_conn_id: str = MendixHook.default_conn_name,
        deferrable: bool | None = None,
        poke_interval: float | timedelta = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            poke_interval=seconds("poke_interval", poke_interval, at_least=SHORTEST_POLL_INTERVAL),
            timeout=timeout,
            **kwargs,
        )
        self.app_id = app_id
        self.package_id = package_id
        self.mendix_conn_id = mendix_conn_id
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._watch: Watch | None = None

    def execute(self, context: Context) -> Any:
        """Look once, and then wait in the way that was chosen."""
        if not self.deferrable:
            return super().execute(context)
        with self._ending_as_sensors_do():
            watch = self._start_watch(deadline=self.clock.now() + self.timeout)
            outcome = look(MendixHook(self.mendix_conn_id), watch, self.clock)
        if outcome.done:
            return outcome.result
        return defer(self, self.mendix_conn_id, watch, self.clock.now())

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; Airflow itself watches the time-out in these modes."""
        with self._ending_as_sensors_do():
            self._watch = self._watch or self._start_watch(deadline=inf)
            outcome: Outcome = look(MendixHook(self.mendix_conn_id), self._watch, self.clock)
        return PokeReturnValue(outcome.done, outcome.result if outcome.done else None)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer has waited."""
        with self._ending_as_sensors_do():
            return result_of(event)

    def _start_watch(self, deadline: float) -> Watch:
        return Watch(
            PackageWait(self.app_id, self.package_id),
            poll_interval=self.poke_interval,
            deadline=deadline,
            outage_tolerance=None,
            now=self.clock.now(),
        )

    @contextmanager
    def _ending_as_sensors_do(self) -> Iterator[None]:
        # With soft_fail, Airflow's base class skips whatever ends for good; a refused key must not look like that.
        ending = nullcontext() if self.soft_fail else failing(self, PackageFailedError, PackageNotFoundError)
        with ending:
            try:
                yield
            except (PackageFailedError, PackageNotFoundError, WaitTimeoutError) as error:
                if self.soft_fail:
                    # Airflow puts a message of its own in place of ours when a deferred sensor is skipped.
                    self.log.info("Skipped, because soft_fail is set: %s", error)
                    raise AirflowSkipException(f"Skipped, because soft_fail is set: {error}") from error
                if isinstance(error, WaitTimeoutError):
                    raise AirflowSensorTimeout(str(error)) from error
                raise
