"""Sensor for deployment packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_mendix.exceptions import PackageFailedError, PackageNotFoundError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.waiting import report_phases
from airflow_provider_mendix.sensors.base import MendixSensor
from airflow_provider_mendix.waits.base import PackageWait


class MendixPackageSensor(MendixSensor):
    """Wait until a package is ``Succeeded``; in ``poke`` and ``reschedule`` mode and deferred alike.

    The task returns the package: ``package_id``, ``name``, ``version``, ``status``, ``size``, ``creation_date``,
    and ``phases``: the seconds that it was seen ``queued``, ``building`` and ``uploading``. In ``reschedule`` mode
    there are none, for each look is a process of its own. They also go to Airflow's metrics, as timers
    ``mendix.package.queued`` and so on.

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
    endings = (PackageFailedError, PackageNotFoundError)

    def __init__(self, *, app_id: str, package_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
        self.package_id = package_id

    def make_wait(self, hook: MendixHook) -> PackageWait:
        """Wait for the package."""
        return PackageWait(self.app_id, self.package_id)

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Give the package, and Airflow's metrics its phases."""
        report_phases(self.app_id, result)
        return result
