"""Sensor for environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.exceptions import InvalidInputError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import InvalidArgumentError
from airflow_provider_mendix.sensors.base import MendixSensor

if TYPE_CHECKING:
    from typing import Unpack

    from airflow_provider_mendix.operators.signatures import SensorArguments, Text
    from airflow_provider_mendix.waits.environment import EnvironmentWait, TransportWait

__all__ = ["MendixEnvironmentSensor"]


class MendixEnvironmentSensor(MendixSensor):
    """Wait for a status or a package on an environment; in ``poke``, ``reschedule`` and deferred alike.

    With ``status`` alone, it waits until the environment has that status. With ``package_id`` alone, until that
    package is the one on the environment, whether it runs or not. With both, until the environment is ``Running``
    with that package, as Mendix shows it by the version; it cannot tell packages of the same four-part version
    apart. Mendix does not document which version it shows for an environment that runs while another package is
    transported to it; stop the environment first.

    The task returns ``{"environment", "status", "url", "model_version"}``, with ``package_id`` if that was given;
    with ``package_id`` alone, it returns the package and ``environment``.

    Connection problems, unreadable responses and unknown states mean "not yet", until the time-out. A refused key,
    a wrong name or a package that does not exist fails the task at once.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#retrieve-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param status: ``Running``, ``Stopped`` or ``Empty``.
    :param package_id: id of the package.
    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two polls, at least 5.
    :param timeout: seconds after which the wait gives up.
    :raises AirflowFailException: if the environment or the package does not exist, the key is refused, or a value
        is wrong. A retry cannot fix these; ``__context__`` is the reason.
    :raises AirflowSensorTimeout: if the environment does not get there in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "environment", "status", "package_id")

    def __init__(
        self,
        *,
        app_id: Text,
        environment: Text,
        status: Text | None = None,
        package_id: Text | None = None,
        **kwargs: Unpack[SensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        if status is None and package_id is None:
            raise InvalidArgumentError("Give status, such as 'Running', or package_id, or both.")
        self.app_id: Any = app_id
        self.environment: Any = environment
        self.status: Any = status
        self.package_id: Any = package_id

    def make_wait(self, hook: MendixHook, began_at: float) -> EnvironmentWait | TransportWait:
        """Return what to wait for; the environment and the package are looked up with the first poll."""
        from airflow_provider_mendix.waits.environment import EnvironmentWait, TransportWait

        name = inputs.environment(self.environment)
        package_id = inputs.package_id(self.package_id) if self.package_id is not None else None
        if self.status is None:
            return TransportWait(self.app_id, name, str(package_id), check_first=True)
        if self.status not in list(EnvironmentStatus):
            raise InvalidInputError(f"status {self.status!r} is none of {', '.join(EnvironmentStatus)}.")
        if package_id is not None and self.status != EnvironmentStatus.RUNNING:
            raise InvalidInputError(
                f"Waiting for status {self.status!r} together with a package is not possible: Mendix shows the"
                " version of an environment that runs. Wait for one after the other."
            )
        return EnvironmentWait(self.app_id, name, str(self.status), package_id, check_first=True)

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Return the environment or the package on it."""
        return result if self.package_id is None else {**result, "package_id": inputs.package_id(self.package_id)}
