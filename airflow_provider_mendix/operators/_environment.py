"""Bases of the operators that do one thing with one environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_provider_mendix.exceptions import (
    MendixError,
    MendixResponseError,
    ProductionRefusedError,
    UnauthorizedError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import checked
from airflow_provider_mendix.operators.base import MendixWaitingOperator

if TYPE_CHECKING:
    from typing import Unpack

    from airflow_provider_mendix.api.deploy import Environment
    from airflow_provider_mendix.operators.signatures import EnvironmentArguments, Text, WaitingArguments

T = TypeVar("T")


class EnvironmentTask:
    """Mixin of the operators that do one thing with one environment.

    :cvar action: what the task asks Mendix to do, for messages.
    """

    app_id: Any
    environment: Any
    allow_production: bool
    action: ClassVar[str]

    @property
    def target(self) -> str:
        """The environment, for messages."""
        return f"environment {self.environment} of app {self.app_id}"

    def check_allowed(self, hook: MendixHook) -> Environment:
        """Return the environment in its present state, if the task may change it.

        :raises EnvironmentNotFoundError: with the names that exist.
        :raises ProductionRefusedError: if it is production.
        """
        found = hook.find_environment(self.app_id, self.environment)
        if found.is_production and not self.allow_production:
            why = "Mendix's flag says so" if found.production else "its name says so"
            raise ProductionRefusedError(
                f"Refused to {self.action} {self.target}: it is production ({why}), and the task is not allowed to"
                " change that. If it should be, write allow_production=True in the DAG. Nothing was changed."
            )
        return found


class MendixEnvironmentOperator(EnvironmentTask, MendixWaitingOperator):
    """Base of the operators that do one thing with one environment, and may wait for its end.

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "environment")

    def __init__(self, *, app_id: Text, environment: Text, **kwargs: Unpack[WaitingArguments]) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.environment: Any = environment

    def on_kill(self) -> None:
        """Change nothing: no call takes an action back, and Airflow may kill a task by mistake."""
        self.log.warning(
            "Killed. If Mendix has been asked to %s %s, it goes on with that. A retry of this task looks at the"
            " state in Mendix first.",
            self.action,
            self.target,
        )

    def retry_until_timeout(self, attempt: Callable[[], T]) -> T:
        """Make attempts until one succeeds, Mendix refuses for good, or time is up.

        :param attempt: what to try; it looks at the state in Mendix before it changes anything.
        :raises WaitTimeoutError: if time is up.
        """
        from airflow_provider_mendix.client.retry import retry_until_timeout

        return retry_until_timeout(
            attempt,
            timeout=self.max_wait,
            poll_interval=self.poll_interval,
            action=f"{self.action} {self.target}",
        )

    @contextmanager
    def with_environment_state(self, hook: MendixHook) -> Iterator[None]:
        """Add the state of the environment to the message of a refusal."""
        try:
            yield
        except MendixResponseError as error:
            # A refused key cannot read the state either.
            if error.transient or isinstance(error, UnauthorizedError):
                raise
            raise error.with_hint(self.explain(hook, error)) from error

    def explain(self, hook: MendixHook, error: MendixResponseError) -> str:
        """Return what to add to the message of a refusal."""
        return self.describe_state(hook)

    def describe_state(self, hook: MendixHook) -> str:
        """Return the state of the environment as a sentence, or why it cannot be read."""
        try:
            status = hook.get_environment(self.app_id, self.environment).status
            package = hook.get_environment_package(self.app_id, self.environment)
        except MendixError as error:
            return f"The state of {self.target} could not be read: {error}"
        version = f"version {package.version or 'unknown'}" if package else ""
        there = f"package {package.package_id} ({version}) is on it" if package else "no package is on it"
        return f"The {self.target} is {status} now, and {there}."


class MendixChangingOperator(MendixEnvironmentOperator):
    """Base of the operators that change an environment, which may be production only if the DAG says so.

    :param allow_production: whether the environment may be production, by Mendix's flag or by its name. It is not
        templated, so that it can be read in the DAG.
    """

    def __init__(self, *, allow_production: bool = False, **kwargs: Unpack[EnvironmentArguments]) -> None:
        super().__init__(**kwargs)
        self.allow_production: bool = checked("allow_production", allow_production)
