"""Sensor for environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.exceptions import (
    EnvironmentNotFoundError,
    InvalidInputError,
    PackageNotFoundError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.sensors.base import MendixSensor

if TYPE_CHECKING:
    from airflow_provider_mendix.waits.environment import EnvironmentWait, TransportWait


class MendixEnvironmentSensor(MendixSensor):
    """Wait for a status or a package on an environment; in ``poke``, ``reschedule`` and deferred alike.

    With ``status`` alone, it waits until the environment is in that state. With ``package_id`` alone, until that
    package is the one that was brought there, whether it runs or not. With both, until the environment is
    ``Running`` with that package, as Mendix shows it by the version: packages of the same four-part version are
    not told apart then. Mendix does not say which version it shows for an environment that runs while another
    package is brought there; stop it first.

    The task returns ``{"environment", "status", "url", "model_version"}``, with ``package_id`` if that was given;
    with ``package_id`` alone, it returns the package and ``environment``.

    Troubles on the way to Mendix, answers that cannot be read and states that nobody knows yet mean "not yet",
    until the time-out. A refused key, a wrong name or a package that is not there is a failure at once.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#retrieve-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param status: ``Running``, ``Stopped`` or ``Empty``.
    :param package_id: id of the package.
    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most.
    :raises AirflowFailException: if there is no such environment or package, the key is refused, or a value cannot
        be right: another try would only meet that again. The reason is its ``__cause__``.
    :raises AirflowSensorTimeout: if it does not come to that in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "environment", "status", "package_id")
    endings = (EnvironmentNotFoundError, PackageNotFoundError)

    def __init__(
        self,
        *,
        app_id: str,
        environment: str,
        status: str | None = None,
        package_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if status is None and package_id is None:
            raise ValueError("Give status, such as 'Running', or package_id, or both.")
        self.app_id = app_id
        self.environment = environment
        self.status = status
        self.package_id = package_id
        # What renders to nothing is not what was left out.
        self._wants_status = status is not None
        self._wants_package = package_id is not None

    def make_wait(self, hook: MendixHook) -> EnvironmentWait | TransportWait:
        """Say what to wait for, once it is known that there is such an environment, and what runs then."""
        from airflow_provider_mendix.waits.environment import EnvironmentWait, TransportWait

        self._check_values()
        name = hook.find_environment(self.app_id, self.environment).mode
        if not self._wants_status:
            return TransportWait(self.app_id, name, str(self.package_id))
        version = self._version(hook) if self._wants_package else None
        return EnvironmentWait(self.app_id, name, str(self.status), version)

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Give what was waited for."""
        return {**result, "package_id": self.package_id} if self._wants_package else result

    def _check_values(self) -> None:
        inputs.environment(self.environment)
        if self._wants_package:
            inputs.package_id(self.package_id)
        if self._wants_status and self.status not in list(EnvironmentStatus):
            raise InvalidInputError(f"status {self.status!r} is none of {', '.join(EnvironmentStatus)}.")
        if self._wants_status and self._wants_package and self.status != EnvironmentStatus.RUNNING:
            raise InvalidInputError(
                f"status {self.status!r} cannot be waited for together with a package: Mendix shows which version"
                " an environment runs. Wait for one after the other."
            )

    def _version(self, hook: MendixHook) -> str:
        version = hook.get_package(self.app_id, str(self.package_id)).version
        if not version:
            raise InvalidInputError(
                f"Package {self.package_id} of app {self.app_id} has no version by which Mendix could show that it"
                " runs. Wait for the package alone, and then for the status."
            )
        return version
