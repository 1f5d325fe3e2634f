"""Mendix Deploy API, version 1: the apps that a user has access to, and their environments.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any, Self

import msgspec

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.build import TRANSPORT_RIGHTS, Package
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host
from airflow_provider_mendix.exceptions import InvalidInputError

_LOG = "See the app's log in the portal."
_READ_SETTINGS = "Read the settings to see what the environment has."

DEPLOY_API = Api(
    name="Deploy API",
    host=Host.DEPLOY,
    prefix="/api/1",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/",
    advice=(
        (
            "APP_IS_RUNNING",
            "The app runs; stop it before the transport.",
        ),
        (
            "TRANSPORT_NOT_ALLOWED",
            "The user needs 'Transport Rights' on the environment; see the Permissions tab in the portal.",
        ),
        ("NOT_ALLOWED", "Mendix could not process the package: build or upload it again."),
        (
            "INVALID_RUNTIME_VERSION",
            "The environment cannot run the Mendix version that the package was built with.",
        ),
        ("SERVICE_UNAVAILABLE", "Mendix still processes the package; transport it once that is done."),
        ("PACKAGE_PARSE_FAILED", "Mendix cannot read the package: build or upload it again."),
        ("NO_MDA_HAS_BEEN_DEPLOYED", "There is no package on the environment; transport one first."),
        ("NO_PACKAGE", "There is no package on the environment; transport one first."),
        (
            "ALREADY_LOCKED",
            "Another operation on the environment is in progress; wait until it has ended, and start again.",
        ),
        (
            "DB_SYNC_FAILED",
            "The database could not be changed to the new model, and may be changed in part. To go back, transport"
            f" the previous package, restore the snapshot, and start. {_LOG}",
        ),
        (
            "INVALID_DB_STRUCTURE",
            "The database does not fit the model; start with auto_sync_db=True, which changes it.",
        ),
        (
            "MISSING_CONSTANT",
            "A constant of the model has no value; set it with MendixUpdateSettingsOperator, and start again.",
        ),
        (
            "INSECURE_ADMIN_PASSWORD",
            "The administrator's password of the app is too weak; set another one, and start again.",
        ),
        ("STARTUP_ACTION_FAILED", f"The app's after-startup microflow failed. {_LOG}"),
        ("START_FAILED", _LOG),
        ("CONSTANT_NOT_FOUND", f"The model has no such constant. {_READ_SETTINGS}"),
        ("CUSTOM_SETTING_NOT_SUPPORTED", f"Remove this custom setting. {_READ_SETTINGS}"),
        ("SCHEDULED_EVENT_NOT_FOUND", f"The model has no such scheduled event. {_READ_SETTINGS}"),
        ("INVALID_SCHEDULED_EVENT_PARAMETER", f"Use the scheduled event another value. {_READ_SETTINGS}"),
    ),
)


class App(msgspec.Struct, frozen=True, rename="pascal"):
    """An app.

    :param app_id: subdomain.
    :param project_id: UUID that other API families call the app's id.
    """

    app_id: str
    name: str | None = None
    project_id: str | None = None
    url: str | None = None


class EnvironmentStatus(enum.StrEnum):
    """The documented states of an environment; none is documented for the time between two of them."""

    EMPTY = "Empty"
    STOPPED = "Stopped"
    RUNNING = "Running"


class Environment(msgspec.Struct, frozen=True, rename="pascal"):
    """An environment of an app.

    :param mode: its name, exactly as every call requires it.
    :param status: one of :class:`EnvironmentStatus`, or an undocumented one.
    :param environment_id: UUID by which the Backups API knows it.
    :param url: address of the app there.
    :param model_version: version of the package, four parts.
    :param mendix_version: version of the runtime.
    :param production: Mendix's own flag; see :attr:`is_production`.
    """

    mode: str
    status: str
    environment_id: str | None = None
    url: str | None = None
    model_version: str | None = None
    mendix_version: str | None = None
    production: bool | None = None

    @property
    def is_production(self) -> bool:
        """Whether flag or name says that it is production; Mendix's own sample has one without the flag."""
        return bool(self.production) or self.mode.strip().casefold() in ("production", "prod")


class StartedEnvironment(msgspec.Struct, frozen=True, rename="pascal"):
    """The response to a start call.

    :param job_id: id of the start job. ``None`` if the app already runs, or if Mendix names no job: the status
        of the environment tells then.
    :param error_code: ``ALREADY_STARTED`` if the app already runs and Mendix calls that a success.
    """

    job_id: str | None = None
    error_code: str | None = msgspec.field(name="errorCode", default=None)

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read a response, which may also be empty or plain text: no reason to start a second time."""
        if body.strip()[:1] not in (b"{", b"[", b"<"):
            return cls()
        return msgspec.json.decode(body, type=cls)


class StartStatus(enum.StrEnum):
    """The documented states of a start job; Mendix answers with an error if one has failed."""

    STARTING = "Starting"
    STARTED = "Started"


class StartJob(msgspec.Struct, frozen=True, rename="pascal"):
    """A start job.

    :param status: one of :class:`StartStatus`, or an undocumented one.
    """

    status: str


class Settings(msgspec.Struct, frozen=True, rename="pascal"):
    """The settings of an environment, as Mendix returns them; changes take effect when the app is started.

    :param constants: each with ``Name``, ``DataType``, ``Value``, ``DeployedValue``.
    :param scheduled_events: each with ``Name``, ``Value``, ``DeployedValue``.
    """

    constants: tuple[dict[str, Any], ...] = ()
    custom_settings: tuple[dict[str, Any], ...] = ()
    scheduled_events: tuple[dict[str, Any], ...] = ()

    def __repr__(self) -> str:
        """Show names only: a constant may be a password."""
        return f"Settings(constants={self._names}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide the values from rich too, which does not use the repr of a msgspec struct."""
        return [("constants", self._names)]

    @property
    def missing_constants(self) -> list[str]:
        """Names of the constants that have no value, so that a start fails."""
        return [str(constant.get("Name")) for constant in self.constants if constant.get("Value") is None]

    @property
    def _names(self) -> list[Any]:
        return [constant.get("Name") for constant in self.constants]


_ENVIRONMENT = "/apps/{app_id}/environments/{environment}"

LIST_APPS = Endpoint[list[App]](DEPLOY_API, "GET", "/apps", returns=list[App], repeatable=True)
GET_APP = Endpoint[App](DEPLOY_API, "GET", "/apps/{app_id}", returns=App, repeatable=True)
LIST_ENVIRONMENTS = Endpoint[list[Environment]](
    DEPLOY_API, "GET", "/apps/{app_id}/environments", returns=list[Environment], repeatable=True
)
GET_ENVIRONMENT = Endpoint[Environment](DEPLOY_API, "GET", _ENVIRONMENT, returns=Environment, repeatable=True)
GET_ENVIRONMENT_PACKAGE = Endpoint[Package](
    DEPLOY_API, "GET", f"{_ENVIRONMENT}/package", returns=Package, repeatable=True
)
TRANSPORT_PACKAGE = Endpoint[None](
    DEPLOY_API, "POST", f"{_ENVIRONMENT}/transport", returns=None, repeatable=False, permission=TRANSPORT_RIGHTS
)
STOP_ENVIRONMENT = Endpoint[None](
    DEPLOY_API, "POST", f"{_ENVIRONMENT}/stop", returns=None, repeatable=False, permission=TRANSPORT_RIGHTS
)
START_ENVIRONMENT = Endpoint[StartedEnvironment](
    DEPLOY_API,
    "POST",
    f"{_ENVIRONMENT}/start",
    returns=StartedEnvironment,
    repeatable=False,
    permission=TRANSPORT_RIGHTS,
)
GET_START_JOB = Endpoint[StartJob](
    DEPLOY_API, "GET", f"{_ENVIRONMENT}/start/{{job_id}}", returns=StartJob, repeatable=True
)
GET_SETTINGS = Endpoint[Settings](DEPLOY_API, "GET", f"{_ENVIRONMENT}/settings", returns=Settings, repeatable=True)
SET_SETTINGS = Endpoint[Settings](
    DEPLOY_API,
    "POST",
    f"{_ENVIRONMENT}/settings",
    returns=Settings,
    repeatable=False,
    permission=TRANSPORT_RIGHTS,
)


def list_apps() -> Call[list[App]]:
    """Return the call for all apps that the user has access to."""
    return LIST_APPS.call({})


def get_app(app_id: str) -> Call[App]:
    """Return the call for one app."""
    return GET_APP.call({"app_id": inputs.app_id(app_id)})


def list_environments(app_id: str) -> Call[list[Environment]]:
    """Return the call for all environments of an app."""
    return LIST_ENVIRONMENTS.call({"app_id": inputs.app_id(app_id)})


def get_environment(app_id: str, environment: str) -> Call[Environment]:
    """Return the call for one environment."""
    return GET_ENVIRONMENT.call(_environment(app_id, environment))


def get_environment_package(app_id: str, environment: str) -> Call[Package]:
    """Return the call for the package on an environment."""
    return GET_ENVIRONMENT_PACKAGE.call(_environment(app_id, environment))


def transport_package(app_id: str, environment: str, package_id: str) -> Call[None]:
    """Return the call that transports a package to an environment; it runs there from the next start."""
    body = {"PackageId": inputs.package_id(package_id)}
    return TRANSPORT_PACKAGE.call(_environment(app_id, environment), body=body)


def stop_environment(app_id: str, environment: str) -> Call[None]:
    """Return the call that stops the app on an environment."""
    return STOP_ENVIRONMENT.call(_environment(app_id, environment), body={})


def start_environment(app_id: str, environment: str, *, auto_sync_db: bool) -> Call[StartedEnvironment]:
    """Return the call that starts the app on an environment.

    :param auto_sync_db: change the database to what the model needs.
    """
    return START_ENVIRONMENT.call(_environment(app_id, environment), body={"AutoSyncDb": auto_sync_db})


def get_start_job(app_id: str, environment: str, job_id: str) -> Call[StartJob]:
    """Return the call for a start job. For one that has failed, Mendix answers HTTP 500 with the cause as code."""
    if not isinstance(job_id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", job_id):
        raise InvalidInputError(f"job_id {job_id!r} is not an id. Use the JobId of a start call.")
    return GET_START_JOB.call({**_environment(app_id, environment), "job_id": job_id})


def get_settings(app_id: str, environment: str) -> Call[Settings]:
    """Return the call for the settings of an environment. Their values may be secrets."""
    return GET_SETTINGS.call(_environment(app_id, environment))


def set_settings(app_id: str, environment: str, settings: Settings) -> Call[Settings]:
    """Return the call that changes the settings of an environment.

    :param settings: as :func:`get_settings` returned them, with other values.
    """
    body: Mapping[str, Any] = msgspec.to_builtins(settings)
    values = [str(entry.get("Value")) for entry in (*settings.constants, *settings.custom_settings)]
    # The longest first: one may be a part of another.
    secrets = tuple(sorted((value for value in values if len(value) > 4), key=len, reverse=True))
    return SET_SETTINGS.call(_environment(app_id, environment), body=body, secrets=secrets)


def _environment(app_id: str, environment: str) -> dict[str, str]:
    return {"app_id": inputs.app_id(app_id), "environment": inputs.environment(environment)}
