"""The Deploy API, version 1: the environments of an app; transport, stop and start.

The messages are our own; Mendix's codes and HTTP statuses are the contract. It does not say when some of the codes
come. Here a package that failed is ``NOT ALLOWED``, a stop during a start is ``STOP_FAILED``, and a start during a
restore gives a job that fails with ``ALREADY_LOCKED``. An environment that is being stopped (``Options.stop``)
still reads ``Running``, and so to start it is ``ALREADY_STARTED``. ``NO_ACCESS`` for stop and start without
Transport Rights is invented: it is documented for transports and backups. Free Apps have no environments here.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

import msgspec

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.api.call import Endpoint
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator.apis.build import shown_package
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.environments import (
    CLEAN_DATA,
    MIGRATED,
    START_CODES,
    STOP_CODES,
    TRANSPORT_CODES,
    StartJob,
    StoredEnvironment,
)
from airflow_provider_mendix.simulator.state.packages import FAILED, SUCCEEDED
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply, read_body, text_reply

ENVIRONMENT = "/apps/{app_id}/environments/{environment}"
_STARTED = "ALREADY_STARTED"


class _Transport(msgspec.Struct, rename="pascal"):
    package_id: str


class _Start(msgspec.Struct, rename="pascal"):
    auto_sync_db: bool = False


@serves(deploy.LIST_ENVIRONMENTS)
def list_environments(cloud: Cloud, request: Request, app_id: str) -> Reply:
    app = find_app(cloud, app_id)
    every = cloud.options.list_environments_without_rights
    found = [
        _shown(cloud, environment)
        for environment in cloud.environments.of(app.app_id)
        if every or cloud.permissions.has("api", app.app_id, environment.mode)
    ]
    return json_reply(found)


@serves(deploy.GET_ENVIRONMENT)
def get_environment(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    return json_reply(_shown(cloud, find_environment(cloud, app_id, environment)))


@serves(deploy.GET_ENVIRONMENT_PACKAGE)
def get_environment_package(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    found = find_environment(cloud, app_id, environment)
    package = cloud.packages.get(found.package_id or "")
    if package is None:
        raise RefusedError(404, "PACKAGE_NOT_FOUND", f"There is no package on {found.mode} of {app_id}.")
    return json_reply({"ExpiryDate": None, **shown_package(cloud, package, request)})


@serves(deploy.TRANSPORT_PACKAGE)
def transport_package(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    target = find_environment(cloud, app_id, environment)
    if not cloud.permissions.has("transport", target.app_id, target.mode):
        raise _refused_transport("TRANSPORT_NOT_ALLOWED")
    package_id = read_body(request, _Transport, cloud.options.request_json).package_id
    package = cloud.packages.get(package_id)
    if package is None or package.app_id != target.app_id:
        raise RefusedError(404, "PACKAGE_NOT_FOUND", f"App {target.app_id} has no package {package_id}.")
    status = cloud.packages.status(package_id)
    if status != SUCCEEDED:
        raise _refused_transport("NOT ALLOWED" if status == FAILED else "SERVICE UNAVAILABLE")
    if target.status is EnvironmentStatus.RUNNING and not cloud.options.transport_while_running:
        raise _refused_transport("APP_IS_RUNNING")
    code = cloud.environments.next_transports.take()
    if code:
        raise _refused_transport(code)
    target.change_at(cloud.clock.now() + cloud.environments.timeline.transporting, package_id=package_id)
    return _done(cloud)


@serves(deploy.STOP_ENVIRONMENT)
def stop_environment(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    target = find_environment_to_change(cloud, app_id, environment)
    if cloud.environments.start_job_of(target):
        raise RefusedError(500, "STOP_FAILED", f"{target.mode} is being started.")
    runs = target.status is EnvironmentStatus.RUNNING
    if not runs and cloud.options.stop_when_stopped == 500:
        raise RefusedError(500, "STOP_FAILED", f"Nothing runs on {target.mode}.")
    code = cloud.environments.next_stops.take()
    if code:
        raise RefusedError(STOP_CODES[code], code, f"{target.mode} could not be stopped.")
    if runs and not target.is_stopping:
        seconds = 0 if cloud.options.stop == "synchronous" else cloud.environments.timeline.stopping
        target.change_at(cloud.clock.now() + seconds, running_package_id=None, model_version=None)
    return _done(cloud)


@serves(deploy.START_ENVIRONMENT)
def start_environment(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    find_app(cloud, app_id)
    target = find_environment_to_change(cloud, app_id, environment)
    auto_sync_db = read_body(request, _Start, cloud.options.request_json).auto_sync_db
    if target.package_id is None:
        raise RefusedError(500, "NO_MDA_HAS_BEEN_DEPLOYED", f"There is no package on {target.mode}.")
    if target.status is EnvironmentStatus.RUNNING:
        raise RefusedError(cloud.options.already_started, _STARTED, f"{target.mode} already runs.")
    if cloud.environments.start_job_of(target):
        raise RefusedError(500, "APP_ALREADY_HAS_A_STARTING_JOB", f"{target.mode} is already being started.")
    job = StartJob(
        environment_id=target.environment_id,
        ends_at=cloud.clock.now() + cloud.environments.timeline.starting,
        code=cloud.environments.next_starts.take() or _obstacle(cloud, target, auto_sync_db),
    )
    job_id = str(uuid.uuid4())
    cloud.environments.start_jobs[job_id] = job
    _plan_end(cloud, target, job, auto_sync_db)
    return json_reply({"JobId": job_id})


@serves(deploy.GET_START_JOB)
def get_start_job(cloud: Cloud, request: Request, app_id: str, environment: str, job_id: str) -> Reply:
    target = find_environment(cloud, app_id, environment)
    job = cloud.environments.start_jobs.get(job_id)
    now = cloud.clock.now()
    lifetime = cloud.options.start_job_lifetime
    is_gone = job is None or (lifetime is not None and now >= job.ends_at + lifetime)
    if job is None or is_gone or job.environment_id != target.environment_id:
        raise RefusedError(404, "NO_SUCH_STARTJOB", f"{target.mode} has no start job {job_id}.")
    if now < job.ends_at:
        return json_reply({"Status": "Starting"})
    if job.code:
        raise RefusedError(START_CODES[job.code], job.code, f"{target.mode} was not started.")
    return json_reply({"Status": "Started"})


@serves(Endpoint[None](deploy.DEPLOY_API, "POST", f"{ENVIRONMENT}/clean", returns=None, repeatable=False))
def clean_environment(cloud: Cloud, request: Request, app_id: str, environment: str) -> Reply:
    target = find_environment_to_change(cloud, app_id, environment)
    if target.status is EnvironmentStatus.RUNNING:
        raise RefusedError(403, "ENVIRONMENT_NOT_STOPPED", f"{target.mode} must be stopped.")
    if target.status is EnvironmentStatus.EMPTY:
        raise RefusedError(422, "ENVIRONMENT_NOT_DEPLOYED", f"There is no package on {target.mode}.")
    target.data, target.data_version = CLEAN_DATA, None
    shown = _shown(cloud, target)
    return json_reply([{name: shown[name] for name in ("Status", "Mode", "Url")}])


def find_environment(cloud: Cloud, app_id: str, mode: str, *, forbidden: str = "NO_ACCESS") -> StoredEnvironment:
    """Return an environment by its name.

    :param forbidden: the code if the user has no API Rights on it.
    :raises RefusedError: if there is none, or the user has no API Rights on it.
    """
    if not app_id or not mode:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both AppId and Mode must be given.")
    if not re.fullmatch(r"[\w .-]+", mode):
        raise RefusedError(400, "INVALID_ENVIRONMENT", f"No environment can be called {mode!r}.")
    fold = str.casefold if cloud.options.mode_case == "lenient" else str
    for environment in cloud.environments.of(app_id):
        if fold(environment.mode) == fold(mode):
            if not cloud.permissions.has("api", app_id, environment.mode):
                raise RefusedError(403, forbidden, f"The user has no API Rights on {mode} of {app_id}.")
            return environment
    raise RefusedError(404, "ENVIRONMENT_NOT_FOUND", f"There is no environment {mode} of an app {app_id}.")


def find_environment_to_change(cloud: Cloud, app_id: str, mode: str) -> StoredEnvironment:
    """Return an environment by its name.

    :raises RefusedError: if there is none, or the user has no API Rights or no Transport Rights on it.
    """
    environment = find_environment(cloud, app_id, mode)
    if not cloud.permissions.has("transport", app_id, environment.mode):
        raise RefusedError(403, "NO_ACCESS", f"The user has no Transport Rights on {mode} of {app_id}.")
    return environment


def _done(cloud: Cloud) -> Reply:
    match cloud.options.action_body:
        case "text":
            return text_reply(200, "OK")
        case "json":
            return json_reply({})
    return Reply(200)


def _obstacle(cloud: Cloud, environment: StoredEnvironment, auto_sync_db: bool) -> str:
    """Return the code that a start fails with because of the state of the environment; empty for none."""
    if cloud.backups.is_under_way("restores", environment):
        return "ALREADY_LOCKED"
    package = cloud.packages.get(environment.package_id or "")
    if package is None:
        return "NO_PACKAGE"
    if None in environment.constants.values():
        return "MISSING_CONSTANT"
    fits = environment.data_version in (None, package.version)
    if cloud.options.every_version_needs_sync and not fits and not auto_sync_db:
        return "INVALID_DB_STRUCTURE"
    return ""


def _plan_end(cloud: Cloud, environment: StoredEnvironment, job: StartJob, auto_sync_db: bool) -> None:
    """Change the environment when a start job ends."""
    package = cloud.packages.get(environment.package_id or "")
    if package is None:
        return
    changes: dict[str, Any] = {}
    succeeds = job.code in ("", _STARTED)
    if succeeds:
        changes = {
            "running_package_id": package.package_id,
            "model_version": package.version,
            "deployed_values": {**environment.constants, **environment.scheduled_events},
        }
    migrates = succeeds or (job.code in MIGRATED and cloud.options.failed_start_migrates)
    if migrates and (auto_sync_db or environment.data_version is None):
        changes["data_version"] = package.version
    environment.change_at(job.ends_at, **changes)


def _refused_transport(code: str) -> RefusedError:
    return RefusedError(TRANSPORT_CODES[code], code, "The package cannot be transported.")


def _shown(cloud: Cloud, environment: StoredEnvironment) -> dict[str, object]:
    shown: dict[str, object] = {
        "Status": environment.status,
        "EnvironmentId": environment.environment_id,
        "Mode": environment.mode,
        "Url": cloud.files_url + environment.path,
        "Production": environment.production,
    }
    version = cloud.shown_version(environment)
    if version is not None:
        shown |= {"ModelVersion": version, "MendixVersion": environment.mendix_version}
    elif cloud.options.not_ready == "null":
        shown |= {"ModelVersion": None, "MendixVersion": None}
    return shown
