"""The Deploy API, version 1: the environments of an app, and what is done to them.

The messages are our own; Mendix's codes and HTTP statuses are the contract. It does not say when some of the
codes come. Here a package that failed is ``NOT ALLOWED``, a stop in the middle of a start is ``STOP_FAILED``, and
a start while a snapshot is put back gives a job that fails with ``ALREADY_LOCKED``. What is being stopped still
reads ``Running``, and so to start it is ``ALREADY_STARTED``. Free Apps have no environments here.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator.apis.build import shown_package
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.apis.routes import (
    RefusedError,
    Reply,
    Request,
    json_reply,
    read_body,
    serves,
)
from airflow_provider_mendix.simulator.state.deployments import take
from airflow_provider_mendix.simulator.state.environments import (
    MIGRATED,
    START_CODES,
    STOP_CODES,
    TRANSPORT_CODES,
    StoredEnvironment,
    StoredStart,
)
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.state.platform import Platform

_STARTED = "ALREADY_STARTED"


class _Transport(msgspec.Struct, rename="pascal"):
    package_id: str


class _Start(msgspec.Struct, rename="pascal"):
    auto_sync_db: bool = False


@serves(deploy.LIST_ENVIRONMENTS)
def list_environments(platform: Platform, request: Request, app_id: str) -> Reply:
    app = find_app(platform, app_id)
    all_of_them = platform.options.list_environments_without_rights
    found = [
        _shown(platform, environment)
        for environment in platform.environments(app.app_id)
        if all_of_them or platform.has_rights(app.app_id, environment.mode)
    ]
    return json_reply(found)


@serves(deploy.GET_ENVIRONMENT)
def get_environment(platform: Platform, request: Request, app_id: str, environment: str) -> Reply:
    return json_reply(_shown(platform, find_environment(platform, app_id, environment)))


@serves(deploy.GET_ENVIRONMENT_PACKAGE)
def get_environment_package(platform: Platform, request: Request, app_id: str, environment: str) -> Reply:
    found = find_environment(platform, app_id, environment)
    package = platform.packages.get(found.package_id or "")
    if package is None:
        raise RefusedError(404, "PACKAGE_NOT_FOUND", f"There is no package on {found.mode} of {app_id}.")
    return json_reply({**shown_package(platform, package, request), "ExpiryDate": None})


@serves(deploy.TRANSPORT_PACKAGE)
def transport_package(platform: Platform, request: Request, app_id: str, environment: str) -> Reply:
    target = find_environment(platform, app_id, environment)
    if not platform.has_transport_rights(target.app_id, target.mode):
        raise _refused_transport("TRANSPORT_NOT_ALLOWED")
    package_id = read_body(request, _Transport).package_id
    package = platform.packages.get(package_id)
    if package is None or package.app_id != target.app_id:
        raise RefusedError(404, "PACKAGE_NOT_FOUND", f"App {target.app_id} has no package {package_id}.")
    if platform.status(package_id) == "Failed":
        raise _refused_transport("NOT ALLOWED")
    if platform.status(package_id) != SUCCEEDED:
        raise _refused_transport("SERVICE UNAVAILABLE")
    if target.status is EnvironmentStatus.RUNNING and not platform.options.transport_while_running:
        raise _refused_transport("APP_IS_RUNNING")
    code = take(platform.next_transports, TRANSPORT_CODES)
    if code:
        raise _refused_transport(code)
    target.later(platform.clock.now() + platform.deployment.transporting, package_id=package_id)
    return Reply(200)


@serves(deploy.STOP_ENVIRONMENT)
def stop_environment(platform: Platform, request: Request, app_id: str, environment: str) -> Reply:
    target = find_environment_to_change(platform, app_id, environment)
    if platform.start_job_of(target):
        raise RefusedError(500, "STOP_FAILED", f"{target.mode} is being started.")
    runs = target.status is EnvironmentStatus.RUNNING
    if not runs and platform.options.stop_when_stopped == 500:
        raise RefusedError(500, "STOP_FAILED", f"Nothing runs on {target.mode}.")
    code = take(platform.next_stops, STOP_CODES)
    if code:
        raise RefusedError(STOP_CODES[code], code, f"{target.mode} could not be stopped.")
    if runs and not target.is_stopping:
        stopped_at = platform.clock.now() + platform.deployment.stopping
        target.later(stopped_at, running_package_id=None, model_version=None)
    return Reply(200)


@serves(deploy.START_ENVIRONMENT)
def start_environment(platform: Platform, request: Request, app_id: str, environment: str) -> Reply:
    find_app(platform, app_id)
    target = find_environment_to_change(platform, app_id, environment)
    wish = read_body(request, _Start)
    if target.package_id is None:
        raise RefusedError(500, "NO_MDA_HAS_BEEN_DEPLOYED", f"There is no package on {target.mode}.")
    if target.status is EnvironmentStatus.RUNNING:
        raise RefusedError(platform.options.already_started, _STARTED, f"{target.mode} runs already.")
    if platform.start_job_of(target):
        raise RefusedError(500, "APP_ALREADY_HAS_A_STARTING_JOB", f"{target.mode} is being started already.")
    code = take(platform.next_starts, START_CODES) or _obstacle(platform, target, wish.auto_sync_db)
    job_id = str(uuid.uuid4())
    job = StoredStart(
        environment_id=target.environment_id,
        ends_at=platform.clock.now() + platform.deployment.starting,
        code=code,
    )
    platform.start_jobs[job_id] = job
    _start(platform, target, job, wish.auto_sync_db)
    return json_reply({"JobId": job_id})


@serves(deploy.GET_START_JOB)
def get_start_job(platform: Platform, request: Request, app_id: str, environment: str, job_id: str) -> Reply:
    target = find_environment(platform, app_id, environment)
    job = platform.start_jobs.get(job_id)
    now = platform.clock.now()
    lifetime = platform.options.start_job_lifetime
    is_gone = job is None or (lifetime is not None and now >= job.ends_at + lifetime)
    if job is None or is_gone or job.environment_id != target.environment_id:
        raise RefusedError(404, "NO_SUCH_STARTJOB", f"{target.mode} has no start job {job_id}.")
    if now < job.ends_at:
        return json_reply({"Status": "Starting"})
    if job.code:
        raise RefusedError(START_CODES[job.code], job.code, f"{target.mode} was not started.")
    return json_reply({"Status": "Started"})


def find_environment(platform: Platform, app_id: str, mode: str) -> StoredEnvironment:
    """Find an environment by its name, with API Rights on it."""
    if not app_id or not mode:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both AppId and Mode must be given.")
    if not re.fullmatch(r"[\w .-]+", mode):
        raise RefusedError(400, "INVALID_ENVIRONMENT", f"No environment can be called {mode!r}.")
    fold = str.casefold if platform.options.mode_case == "lenient" else str
    for environment in platform.environments(app_id):
        if fold(environment.mode) == fold(mode):
            if not platform.has_rights(app_id, environment.mode):
                raise RefusedError(403, "NO_ACCESS", f"The user has no API Rights on {mode} of {app_id}.")
            return environment
    raise RefusedError(404, "ENVIRONMENT_NOT_FOUND", f"There is no environment {mode} of an app {app_id}.")


def find_environment_to_change(platform: Platform, app_id: str, mode: str) -> StoredEnvironment:
    environment = find_environment(platform, app_id, mode)
    if not platform.has_transport_rights(app_id, environment.mode):
        raise RefusedError(403, "NO_ACCESS", f"The user has no Transport Rights on {mode} of {app_id}.")
    return environment


def _obstacle(platform: Platform, environment: StoredEnvironment, auto_sync_db: bool) -> str:
    """Tell what a start fails with by the state of the environment; empty if nothing is in its way."""
    if platform.is_restoring(environment):
        return "ALREADY_LOCKED"
    package = platform.packages.get(environment.package_id or "")
    if package is None:
        return "NO_PACKAGE"
    if None in environment.constants.values():
        return "MISSING_CONSTANT"
    fits = environment.data_version in (None, package.version)
    if platform.options.every_version_needs_sync and not fits and not auto_sync_db:
        return "INVALID_DB_STRUCTURE"
    return ""


def _start(platform: Platform, environment: StoredEnvironment, job: StoredStart, auto_sync_db: bool) -> None:
    """Decide what the environment is like when a start job has ended."""
    package = platform.packages.get(environment.package_id or "")
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
    migrates = succeeds or (job.code in MIGRATED and platform.options.failed_start_migrates)
    if migrates and (auto_sync_db or environment.data_version is None):
        changes["data_version"] = package.version
    environment.later(job.ends_at, **changes)


def _refused_transport(code: str) -> RefusedError:
    return RefusedError(TRANSPORT_CODES[code], code, "The package cannot be transported.")


def _shown(platform: Platform, environment: StoredEnvironment) -> dict[str, object]:
    shown: dict[str, object] = {
        "Status": environment.status,
        "EnvironmentId": environment.environment_id,
        "Mode": environment.mode,
        "Url": platform.files_url + environment.path,
        "Production": environment.production,
    }
    version = shown_version(platform, environment)
    if version is not None:
        shown |= {"ModelVersion": version, "MendixVersion": environment.mendix_version}
    elif platform.options.not_ready == "null":
        shown |= {"ModelVersion": None, "MendixVersion": None}
    return shown


def shown_version(platform: Platform, environment: StoredEnvironment) -> str | None:
    """Give the version that an environment shows: of what runs, else of what is there for the next start."""
    if environment.model_version is not None and platform.options.model_version == "running":
        return environment.model_version
    package = platform.packages.get(environment.package_id or "")
    return package.version if package else None
