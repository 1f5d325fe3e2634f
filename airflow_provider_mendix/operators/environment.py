"""Operators for environments: stop one, transport a package to one, start one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.build import PackageStatus
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    AlreadyStartedError,
    EnvironmentStateError,
    MendixError,
    MendixResponseError,
    PackageFailedError,
    PackageNotReadyError,
    StartJobNotFoundError,
)
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators._environment import MendixChangingOperator
from airflow_provider_mendix.operators.arguments import InvalidArgumentError, checked
from airflow_provider_mendix.operators.lineage import Lineage, WithLineage
from airflow_provider_mendix.settings import VISIBILITY_POLL_INTERVAL

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.api.deploy import Environment
    from airflow_provider_mendix.operators.signatures import ChangingArguments, Text

__all__ = [
    "MendixStartEnvironmentOperator",
    "MendixStopEnvironmentOperator",
    "MendixTransportPackageOperator",
]

PREVIOUS_PACKAGE_KEY = "mendix_previous_package"
START_JOB_KEY = "mendix_start_job"
RUNNING_TIMEOUT = 300.0
"""How long an app may take to show as Running after Mendix reported that its start has ended, in seconds."""
_STOPPED = (EnvironmentStatus.STOPPED, EnvironmentStatus.EMPTY)


class MendixStopEnvironmentOperator(MendixChangingOperator):
    """Stop the app on an environment, and wait until it is ``Stopped``.

    An environment that is ``Stopped`` or ``Empty`` already is a success. The task returns ``{"environment",
    "status", "url", "model_version"}``; without ``wait_for_completion``, as they were when it asked for the stop.

    If a response is lost or Mendix is not available, the task looks at the environment again after
    ``poll_interval`` and goes on from there, until ``timeout``. A retry does the same.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#stop-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until the environment is ``Stopped``.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls, at least 5.
    :param timeout: how long to wait, in seconds: until Mendix accepts the request, and then until it is done.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds.
    :raises AirflowFailException: if Mendix cannot stop it, it does not exist, it is production and not allowed, a
        value is invalid or the key is refused. The reason is its ``__context__``.
    :raises WaitTimeoutError: if it does not stop in time.
    """

    action = "stop"

    def execute(self, context: Context) -> dict[str, Any]:
        """Stop the environment unless it is stopped, and wait if asked to."""
        from airflow_provider_mendix.waits.environment import EnvironmentWait, summary

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            self.check_rendered(context)
            found = self.retry_until_timeout(partial(self._stop, hook))
            if found.status in _STOPPED or not self.wait_for_completion:
                return summary(found)
            return self.wait_for(hook, EnvironmentWait(self.app_id, self.environment, EnvironmentStatus.STOPPED))

    def _stop(self, hook: MendixHook) -> Environment:
        found = self.check_allowed(hook)
        if found.status in _STOPPED:
            self.log.info("Nothing to stop: %s is %s already.", self.target, found.status)
            return found
        with self.with_environment_state(hook):
            hook.stop_environment(self.app_id, self.environment)
        self.log.info("Stopping %s.", self.target)
        return found


class MendixTransportPackageOperator(WithLineage, MendixChangingOperator):
    """Transport a package to an environment, and wait until Mendix shows it there; it runs from the next start on.

    With ``from_environment``, it is the package that is on that other environment when the task runs: promotion.
    A retry looks it up again.

    A package that is there already is a success. If Mendix still processes the package (``SERVICE UNAVAILABLE``)
    or a response is lost, the task looks at the environment again after ``poll_interval`` and tries again, until
    ``timeout``, on the worker. A retry does the same. Mendix may refuse a running environment with
    ``APP_IS_RUNNING``: stop it first.

    The task returns the ``PackageId``. For a rollback, XCom has under ``mendix_previous_package`` what was on the
    environment before (``package_id``, ``name``, ``version`` and so on; ``None`` for nothing). Airflow forgets the
    XComs of a try that dies. From Airflow 3.3 on, a retry still has it from the task's state store. Before, a
    retry that finds its package there already cannot know it, and leaves the XCom out.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#transport-deployment-package-to-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param package_id: the package; it must be ``Succeeded``.
    :param from_environment: instead of ``package_id``, the environment whose package to transport.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name.
        ``from_environment`` is not changed, so it may be production anyway.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until Mendix shows the package on the environment.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls, at least 5.
    :param timeout: how long to wait, in seconds: until Mendix accepts the request, and then until it is done.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds.
    :raises AirflowFailException: if Mendix refuses the transport, the package is ``Failed`` or does not exist, the
        environment does not exist, it is production and not allowed, a value is invalid or the key is refused. The
        reason is its ``__context__``, and its message has the state of the environment.
    :raises PackageNotReadyError: if the package is not ``Succeeded`` yet.
    :raises WaitTimeoutError: if the package is not there in time.
    """

    template_fields: Sequence[str] = (
        "mendix_conn_id",
        "app_id",
        "environment",
        "package_id",
        "from_environment",
    )
    action = "transport a package to"
    _knows_previous = False

    def __init__(
        self,
        *,
        package_id: Text | None = None,
        from_environment: Text | None = None,
        **kwargs: Unpack[ChangingArguments],
    ) -> None:
        super().__init__(**kwargs)
        if (package_id is None) == (from_environment is None):
            raise InvalidArgumentError(
                "Give either package_id, or from_environment to promote the package that is there."
            )
        self.package_id: Any = package_id
        self.from_environment: Any = from_environment

    def execute(self, context: Context) -> str:
        """Transport the package unless it is there, and wait if asked to."""
        from airflow_provider_mendix.waits.environment import TransportWait

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            self.check_rendered(context)
            inputs.environment(self.environment)
            package_id = self._find_package_id(hook)
            is_there = self.retry_until_timeout(partial(self._transport, hook, context, package_id))
            if is_there or not self.wait_for_completion:
                return self.finish({"package_id": package_id}, context)
            wait = TransportWait(self.app_id, self.environment, package_id)
            return self.finish(self.wait_for(hook, wait), context)

    def finish(self, result: dict[str, Any], context: Context) -> str:
        """Return the ``PackageId``."""
        from airflow_provider_mendix.operators.outlets import branch_of, describe, package_facts

        facts = {**package_facts(result), "app_id": self.app_id, "environment": self.environment}
        lineage = Lineage(
            source=("packages", self.app_id, branch_of(result)),
            target=("environments", self.app_id, self.environment),
            facts=facts,
        )
        describe(self, context, lineage)
        return str(result["package_id"])

    def _find_package_id(self, hook: MendixHook) -> str:
        if self.from_environment is None:
            return inputs.package_id(self.package_id)
        source = hook.find_environment(
            self.app_id, inputs.environment(self.from_environment, "from_environment")
        ).mode
        package = hook.get_environment_package(self.app_id, source)
        if package is None:
            raise EnvironmentStateError(
                f"There is no package on environment {source} of app {self.app_id} to transport to environment"
                f" {self.environment}. Nothing was changed."
            )
        self.log.info("On environment %s: package %s (version %s).", source, package.package_id, package.version)
        return package.package_id

    def _transport(self, hook: MendixHook, context: Context, package_id: str) -> bool:
        """Transport the package unless it is there; return whether it was there already."""
        self.check_allowed(hook)
        before = hook.get_environment_package(self.app_id, self.environment)
        if before and before.package_id == package_id:
            self.log.info("Package %s is on %s already; not transporting it again.", package_id, self.target)
            self._recall_previous(context, package_id)
            return True
        if self.from_environment is None:
            self._require_succeeded(hook, package_id)
        self._keep_previous(context, package_id, before)
        with self.with_environment_state(hook):
            hook.transport_package(self.app_id, self.environment, package_id)
        self.log.info("Transporting package %s to %s.", package_id, self.target)
        return False

    def _require_succeeded(self, hook: MendixHook, package_id: str) -> None:
        package = hook.get_package(self.app_id, package_id)
        if package.status == PackageStatus.SUCCEEDED:
            return
        kind = PackageFailedError if package.status == PackageStatus.FAILED else PackageNotReadyError
        raise kind(
            f"Package {package_id} of app {self.app_id} is {package.status}, and only one that is Succeeded can be"
            " transported. Wait for it first, with MendixPackageSensor or wait_for_completion=True. Nothing was"
            " changed."
        )

    def _keep_previous(self, context: Context, package_id: str, before: Package | None) -> None:
        previous = before.summary() if before else None
        context["ti"].xcom_push(key=PREVIOUS_PACKAGE_KEY, value=previous)
        self._knows_previous = True
        self.log.info(
            "Before: %s.", f"package {before.package_id} (version {before.version})" if before else "no package"
        )
        if store := _state_store(context):
            store.set(PREVIOUS_PACKAGE_KEY, {"next": package_id, "previous": previous})

    def _recall_previous(self, context: Context, package_id: str) -> None:
        if self._knows_previous:
            return
        store = _state_store(context)
        kept = store.get(PREVIOUS_PACKAGE_KEY) if store else None
        if kept and kept["next"] == package_id:
            context["ti"].xcom_push(key=PREVIOUS_PACKAGE_KEY, value=kept["previous"])
        else:
            self.log.info("The package before is not known; XCom %s is left out.", PREVIOUS_PACKAGE_KEY)


class MendixStartEnvironmentOperator(MendixChangingOperator):
    """Start the app on an environment, and wait until it is ``Running``.

    An environment that is ``Running`` already is a success. It may still run an older package than the one that
    was transported there. The log warns of that: only a stop and a start make the new one run.

    The task returns ``{"environment", "status", "url", "model_version", "package_id"}``; without
    ``wait_for_completion``, the first four as they were when it asked for the start, and ``package_id`` is what is
    on the environment. The ``JobId`` is in XCom under ``mendix_start_job``.

    If a response is lost, or another start of the app is in progress, the task looks at the environment again
    after ``poll_interval``, until ``timeout``, on the worker. Either the app runs then, or the other start has
    failed and the task starts the app itself, which shows the cause. A retry does the same.

    A start that fails is not tried again: the message has Mendix's code, the cause, the state of the environment,
    the package on it, and what to do. With ``auto_sync_db``, the database may have been changed by then.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#start-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param auto_sync_db: change the database to what the model needs. The package that was there before may not run
        on it after that: make a snapshot first.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until the app runs.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls, at least 5.
    :param timeout: how long to wait, in seconds: until Mendix accepts the request, and then until it is done.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds.
    :raises AirflowFailException: if the app cannot be started, the environment does not exist, it is production
        and not allowed, a value is invalid or the key is refused. The reason is its ``__context__``.
    :raises WaitTimeoutError: if the app does not run in time.
    """

    action = "start"

    def __init__(self, *, auto_sync_db: bool = True, **kwargs: Unpack[ChangingArguments]) -> None:
        super().__init__(**kwargs)
        self.auto_sync_db: bool = checked("auto_sync_db", auto_sync_db)

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the app unless it runs, and wait if asked to."""
        from airflow_provider_mendix.waits.environment import EnvironmentWait, StartJobWait

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            self.check_rendered(context)
            found, job_id = self.retry_until_timeout(partial(self._start, hook))
            if job_id is not None:
                context["ti"].xcom_push(key=START_JOB_KEY, value=job_id)
            if found.status == EnvironmentStatus.RUNNING or not self.wait_for_completion:
                return self._summary(hook, found)
            wait = (
                # Mendix may answer a start without naming a job.
                EnvironmentWait(self.app_id, self.environment, EnvironmentStatus.RUNNING)
                if job_id is None
                else StartJobWait(self.app_id, self.environment, job_id)
            )
            return self._confirm(hook, partial(self.wait_for, hook, wait))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer has waited for the start job."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            return self._confirm(MendixHook(self.mendix_conn_id), partial(result_of, event))

    def explain(self, hook: MendixHook, error: MendixResponseError) -> str:
        """Return the state of the environment, and the names of constants without a value if one is missing."""
        said = super().explain(hook, error)
        if error.code == "MISSING_CONSTANT":
            with suppress(MendixError):  # The start has failed, whether the constants can be read or not.
                if missing := hook.get_settings(self.app_id, self.environment).missing_constants:
                    return f"Constants without a value: {', '.join(missing)}. {said}"
        return said

    def _start(self, hook: MendixHook) -> tuple[Environment, str | None]:
        """Start the app unless it runs; return the environment and the id of the start job, if there is one."""
        found = self.check_allowed(hook)
        if found.status == EnvironmentStatus.RUNNING:
            self.log.info("Nothing to start: %s is Running already.", self.target)
            return found, None
        with self.with_environment_state(hook):
            try:
                job_id = hook.start_environment(self.app_id, self.environment, auto_sync_db=self.auto_sync_db)
            except AlreadyStartedError as error:
                return self._wait_until_running(hook, str(error)), None
        self.log.info("Starting %s (job %s).", self.target, job_id)
        return found, job_id

    def _confirm(self, hook: MendixHook, wait_for_job: Callable[[], object]) -> dict[str, Any]:
        """Wait for the start job, and check that the app runs then: a job can be forgotten before it is polled."""
        reported = "Mendix reported the end of the start."
        with self.with_environment_state(hook):
            try:
                wait_for_job()
            except (AlreadyStartedError, StartJobNotFoundError) as error:
                reported = str(error)
        return self._summary(hook, self._wait_until_running(hook, reported))

    def _wait_until_running(self, hook: MendixHook, reported: str) -> Environment:
        deadline = current_clock().now() + RUNNING_TIMEOUT
        while True:
            found = hook.get_environment(self.app_id, self.environment)
            if found.status == EnvironmentStatus.RUNNING:
                self.log.info("Running: %s.", self.target)
                return found
            if current_clock().now() >= deadline:
                raise EnvironmentStateError(
                    f"{reported} But the app does not run, {RUNNING_TIMEOUT:.0f} s later."
                    f" {self.describe_state(hook)} Read its log in the portal, and start it again."
                )
            current_clock().sleep(VISIBILITY_POLL_INTERVAL)

    def _summary(self, hook: MendixHook, found: Environment) -> dict[str, Any]:
        from airflow_provider_mendix.waits.environment import summary

        package = hook.get_environment_package(self.app_id, self.environment)
        running, transported = found.model_version, package.version if package else None
        if found.status == EnvironmentStatus.RUNNING and running and transported and running != transported:
            self.log.warning(
                "Version %s runs on %s, but the package there has version %s. Stop and start the environment to"
                " run it.",
                running,
                self.target,
                transported,
            )
        return {**summary(found), "package_id": package.package_id if package else None}


def _state_store(context: Context) -> Any:
    """Return the store that outlives a try, which Airflow has from 3.3 on."""
    return context.get("task_state_store")
