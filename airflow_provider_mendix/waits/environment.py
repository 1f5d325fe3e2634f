"""Waits for environments: for a status, for a package, and for a start job."""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_provider_mendix.api import conversations
from airflow_provider_mendix.api.build import Package, get_package
from airflow_provider_mendix.api.call import Call, Conversation
from airflow_provider_mendix.api.deploy import (
    Environment,
    StartJob,
    StartStatus,
    get_environment,
    get_environment_package,
    get_start_job,
)
from airflow_provider_mendix.exceptions import InvalidInputError, MendixError, PackageNotFoundError
from airflow_provider_mendix.waits.base import Outcome, Wait


class EnvironmentWait(Wait, frozen=True, tag=True):
    """Wait until an environment has a status.

    :param environment: its name, as Mendix spells it.
    :param status: one of :class:`.EnvironmentStatus`.
    :param package_id: the package that must run; Mendix shows it by its version.
    :param check_first: look the environment and the package up before the first poll, so that a wrong name or id
        fails with a message that names the existing ones.
    :param model_version: the version of that package, once it has been looked up.
    """

    app_id: str
    environment: str
    status: str
    package_id: str | None = None
    check_first: bool = False
    model_version: str | None = None

    @property
    def description(self) -> str:
        return f"Environment {self.environment} of app {self.app_id}"

    def resolve(self) -> Conversation[Wait]:
        if not self.check_first:
            return self
        yield from conversations.environment(self.app_id, self.environment)
        version = (yield from _version(self.app_id, self.package_id)) if self.package_id else None
        return msgspec.structs.replace(self, check_first=False, model_version=version)

    def call(self) -> Call[Environment]:
        return get_environment(self.app_id, self.environment)

    def judge(self, response: Environment) -> Outcome:
        is_right = self.model_version in (None, response.model_version)
        version = "" if is_right else f", with version {response.model_version or 'unknown'}"
        done = is_right and response.status == self.status
        return Outcome(f"{response.status}{version}", done=done, result=summary(response) if done else {})


class TransportWait(Wait, frozen=True, tag=True):
    """Wait until a package is the one on an environment.

    :param environment: its name, as Mendix spells it.
    :param check_first: as for :class:`EnvironmentWait`.
    """

    app_id: str
    environment: str
    package_id: str
    check_first: bool = False

    @property
    def description(self) -> str:
        return f"Package {self.package_id} for environment {self.environment} of app {self.app_id}"

    def resolve(self) -> Conversation[Wait]:
        if not self.check_first:
            return self
        yield from conversations.environment(self.app_id, self.environment)
        return msgspec.structs.replace(self, check_first=False)

    def call(self) -> Call[Package]:
        return get_environment_package(self.app_id, self.environment)

    def judge(self, response: Package) -> Outcome:
        if response.package_id != self.package_id:
            return Outcome(f"not there yet, but package {response.package_id}")
        return Outcome("there", done=True, result={"environment": self.environment, **response.summary()})

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Poll again while there is no package at all."""
        return super().is_retryable(error, now) or isinstance(error, PackageNotFoundError)


class StartJobWait(Wait, frozen=True, tag=True):
    """Wait until a start job is ``Started``. Mendix reports a failed start as an error."""

    app_id: str
    environment: str
    job_id: str

    @property
    def description(self) -> str:
        return f"Start of environment {self.environment} of app {self.app_id} (job {self.job_id})"

    def call(self) -> Call[StartJob]:
        return get_start_job(self.app_id, self.environment, self.job_id)

    def judge(self, response: StartJob) -> Outcome:
        return Outcome(response.status, done=response.status == StartStatus.STARTED)


def summary(environment: Environment) -> dict[str, Any]:
    """Return what a task returns of an environment."""
    return {
        "environment": environment.mode,
        "status": environment.status,
        "url": environment.url,
        "model_version": environment.model_version,
    }


def _version(app_id: str, package_id: str) -> Conversation[str]:
    package: Package = yield get_package(app_id, package_id)
    if not package.version:
        raise InvalidInputError(
            f"Package {package_id} of app {app_id} has no version, so Mendix cannot show whether it runs. Wait for"
            " the package alone first, and then for the status."
        )
    return package.version
