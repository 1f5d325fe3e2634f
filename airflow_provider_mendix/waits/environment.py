"""Waits on environments: for a state, for a package on one, for a start job."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

import msgspec

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.deploy import (
    Environment,
    StartJob,
    StartStatus,
    get_environment,
    get_environment_package,
    get_start_job,
)
from airflow_provider_mendix.exceptions import MendixError, PackageNotFoundError
from airflow_provider_mendix.waits.base import Outcome


class WaitOnEnvironment(msgspec.Struct, frozen=True):
    """What these waits share; :class:`.PackageWait` says what a wait has to know.

    Those that ask the very same share the answer.

    :param environment: its name, as Mendix spells it.
    """

    has_single_call: ClassVar[bool] = False
    phases: ClassVar[tuple[str, ...]] = ()

    app_id: str
    environment: str

    @property
    def subject(self) -> str:
        return f"Environment {self.environment} of app {self.app_id}"

    @property
    def group(self) -> Hashable:
        return self.call().target

    def call(self) -> Call[Any]:
        raise NotImplementedError

    def shared_call(self) -> Call[Any]:
        return self.call()

    def extract(self, answer: Any) -> Any:
        return answer

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Tell whether an error may pass."""
        return error.transient


class EnvironmentWait(WaitOnEnvironment, frozen=True, tag=True, omit_defaults=True):
    """Wait until an environment is in a state.

    :param status: one of :class:`.EnvironmentStatus`.
    :param model_version: version that Mendix must show for the environment; ``None`` for any.
    """

    status: str
    model_version: str | None = None

    def call(self) -> Call[Environment]:
        return get_environment(self.app_id, self.environment)

    def judge(self, answer: Environment) -> Outcome:
        is_right = self.model_version in (None, answer.model_version)
        state = answer.status if is_right else f"{answer.status}, with version {answer.model_version or 'unknown'}"
        done = is_right and answer.status == self.status
        return Outcome(state, done=done, result=summary(answer) if done else {})


class TransportWait(WaitOnEnvironment, frozen=True, tag=True):
    """Wait until a package is the one on an environment."""

    package_id: str

    @property
    def subject(self) -> str:
        return f"Package {self.package_id} for environment {self.environment} of app {self.app_id}"

    def call(self) -> Call[Package]:
        return get_environment_package(self.app_id, self.environment)

    def judge(self, answer: Package) -> Outcome:
        if answer.package_id != self.package_id:
            return Outcome(f"not there yet, but package {answer.package_id}")
        return Outcome("there", done=True, result={"environment": self.environment, **answer.summary()})

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Tell whether an error may pass: where there is no package at all, there is not the right one yet."""
        return error.transient or isinstance(error, PackageNotFoundError)


class StartJobWait(WaitOnEnvironment, frozen=True, tag=True):
    """Wait until a start job is ``Started``. One that fails is answered with an error."""

    job_id: str

    @property
    def subject(self) -> str:
        return f"Start of environment {self.environment} of app {self.app_id} (job {self.job_id})"

    def call(self) -> Call[StartJob]:
        return get_start_job(self.app_id, self.environment, self.job_id)

    def judge(self, answer: StartJob) -> Outcome:
        return Outcome(answer.status, done=answer.status == StartStatus.STARTED)


def summary(environment: Environment) -> dict[str, Any]:
    """Give what a task may hand on of an environment."""
    return {
        "environment": environment.mode,
        "status": environment.status,
        "url": environment.url,
        "model_version": environment.model_version,
    }
