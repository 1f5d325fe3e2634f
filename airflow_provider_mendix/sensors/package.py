"""Sensor for deployment packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.sensors.base import MendixSensor
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT

if TYPE_CHECKING:
    from typing import Unpack

    from airflow_provider_mendix.operators.signatures import SensorArguments, Text
    from airflow_provider_mendix.waits.package import PackageWait

__all__ = ["MendixPackageSensor"]


class MendixPackageSensor(MendixSensor):
    """Wait until a package is ``Succeeded``; in ``poke`` and ``reschedule`` mode and deferred alike.

    The task returns the package: ``package_id``, ``name``, ``version``, ``status``, ``size``, ``creation_date``,
    ``expiry_date`` (when Mendix deletes it unless it is deployed), and ``phases``: the seconds for which it was
    seen ``queued``, ``building`` and ``uploading``. They also go to Airflow's metrics, as timers
    ``mendix.package.queued`` and so on. In ``reschedule`` mode there are none, because each poll is a process of
    its own.

    The task fails when the package is ``Failed``, does not exist, or is not ready in time; with ``soft_fail=True``
    each of these skips the task. In the first minute, a package that does not exist counts as not visible yet,
    because its build may have been started just now. Connection problems, unreadable responses and unknown states
    mean "not yet", until the time-out. A refused key fails the task at once.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app.
    :param package_id: id of the package.
    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two polls, at least 5.
    :param timeout: seconds after which the wait gives up.
    :raises AirflowFailException: if the package is ``Failed`` or does not exist, the key is refused, or a value is
        wrong. A retry cannot fix these; ``__context__`` is the reason.
    :raises AirflowSensorTimeout: if the package is not ready in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "package_id")

    def __init__(self, *, app_id: Text, package_id: Text, **kwargs: Unpack[SensorArguments]) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.package_id: Any = package_id

    def make_wait(self, hook: MendixHook, began_at: float) -> PackageWait:
        """Return a wait for the package, which may have been started just now."""
        from airflow_provider_mendix.waits.package import PackageWait

        app_id, package_id = inputs.app_id(self.app_id), inputs.package_id(self.package_id)
        return PackageWait(app_id, package_id, visible_by=began_at + VISIBILITY_TIMEOUT)

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the package, and send its phases to Airflow's metrics."""
        from airflow_provider_mendix.polling.worker import report_phases

        report_phases(self.app_id, result)
        return result
