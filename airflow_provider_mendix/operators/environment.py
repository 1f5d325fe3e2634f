"""Operators for environments: stop one, bring a package to one, start one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.build import PackageStatus
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    AlreadyStartedError,
    AlreadyStartingError,
    EnvironmentStateError,
    MendixError,
    MendixResponseError,
    PackageFailedError,
    PackageNotReadyError,
    ProductionRefusedError,
    StartJobNotFoundError,
    UnauthorizedError,
    WaitTimeoutError,
)
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.base import MendixWaitingOperator
from airflow_provider_mendix.settings import MAX_RETRY_AFTER, VISIBILITY_POLL_INTERVAL

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.api.deploy import Environment

T = TypeVar("T")

PREVIOUS_PACKAGE_KEY = "mendix_previous_package"
START_JOB_KEY = "mendix_start_job"
SHOWS_WITHIN = 300.0
_NO_REFUSALS = (UnauthorizedError, AlreadyStartedError, AlreadyStartingError, StartJobNotFoundError)
_STOPPED = (EnvironmentStatus.STOPPED, EnvironmentStatus.EMPTY)


class MendixEnvironmentOperator(MendixWaitingOperator):
    """Base of the operators that do one thing with one environment.

    :param app_id: subdomain of the app.
    :param environment: its name, exactly as Mendix spells it.
    :cvar deed: what the task asks Mendix to do, in words.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "environment")
    deed: ClassVar[str]

    def __init__(self, *, app_id: str, environment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
        self.environment = environment

    @property
    def where(self) -> str:
        """The environment in words."""
        return f"environment {self.environment} of app {self.app_id}"

    def on_kill(self) -> None:
        """Touch nothing: there is no call that takes it back, and Airflow may kill a task by mistake."""
        self.log.warning(
            "Killed. If Mendix has been asked to %s %s, it goes on with that; a retry of this task looks first.",
            self.deed,
            self.where,
        )

    def retry_until_timeout(self, attempt: Callable[[], T], *passing: type[MendixError]) -> T:
        """Try until Mendix lets it be done, or the time is up; here on the worker.

        :param attempt: it looks before it asks for anything, so that a lost answer does no harm.
        :param passing: errors that pass, beside those that always do.
        :raises WaitTimeoutError: if time is up.
        """
        deadline = current_clock().now() + self.max_wait
        told = ""
        while True:
            try:
                return attempt()
            except MendixError as error:
                if not error.transient and not isinstance(error, passing):
                    raise
                left = deadline - current_clock().now()
                if left <= 0:
                    raise WaitTimeoutError(
                        f"It was not possible to {self.deed} {self.where} within {self.max_wait:.0f} s. The"
                        f" last problem: {error} Another try of the task looks at the environment first."
                    ) from error
                if str(error) != told:
                    told = str(error)
                    self.log.warning("Not yet; it is tried again every %.0f s. %s", self.poll_interval, told)
                asked = min(error.retry_after or 0.0, MAX_RETRY_AFTER)
                current_clock().sleep(min(max(self.poll_interval, asked), left))

    @contextmanager
    def with_environment_state(self, hook: MendixHook) -> Iterator[None]:
        """Let what Mendix refuses for good tell also what state the environment is in now."""
        try:
            yield
        except MendixResponseError as error:
            if error.transient or isinstance(error, _NO_REFUSALS):
                raise
            raise error.with_hint(self.state_in_words(hook)) from error

    def state_in_words(self, hook: MendixHook) -> str:
        """Look what state the environment is in; an error of that is not worth hiding another one."""
        try:
            status = hook.get_environment(self.app_id, self.environment).status
            package = hook.get_environment_package(self.app_id, self.environment)
        except MendixError as error:
            return f"What state {self.where} is in now could not be read: {error}"
        version = f"version {package.version or 'unknown'}" if package else ""
        there = f"package {package.package_id} ({version}) is on it" if package else "no package is on it"
        return f"The {self.where} is {status} now, and {there}."


class MendixChangingOperator(MendixEnvironmentOperator):
    """Base of those that change an environment: production is only for those that are allowed to.

    :param allow_production: whether the environment may be production, by Mendix's flag or by its name. It is
        not templated: whoever reads the DAG sees it.
    """

    def __init__(self, *, allow_production: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(allow_production, bool):
            raise ValueError(f"allow_production must be True or False, not {allow_production!r}.")  # noqa: TRY004
        self.allow_production = allow_production

    def check_allowed(self, hook: MendixHook) -> Environment:
        """Give the environment as it is now, if the task may change it.

        :raises EnvironmentNotFoundError: with the right names.
        :raises ProductionRefusedError: if it is production.
        """
        found = hook.find_environment(self.app_id, self.environment)
        if found.is_production and not self.allow_production:
            why = "Mendix's flag says so" if found.production else "its name says so"
            raise ProductionRefusedError(
                f"Refused to {self.deed} {self.where}: it is production ({why}), and the task is not allowed to"
                " change that. If it is meant to be, write allow_production=True in the DAG. Nothing was changed."
            )
        return found


class MendixStopEnvironmentOperator(MendixChangingOperator):
    """Stop the app on an environment, and wait until it is ``Stopped``.

    An environment that is ``Stopped`` or ``Empty`` already is a success. The task returns ``{"environment",
    "status", "url", "model_version"}``; without ``wait_for_completion``, as they were when it was asked to stop.

    If an answer is lost or Mendix is not available, the task looks at the environment again after
    ``poll_interval`` and goes on from there, until ``timeout``; so does a retry.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#stop-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until it is ``Stopped``.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most: for Mendix to take it, and then for it to be done.
    :param outage_tolerance: seconds without one good answer from Mendix that the wait puts up with.
    :raises AirflowFailException: if Mendix cannot stop it, there is no such environment, it is production and not
        allowed, a value cannot be right or the key is refused. The reason is its ``__cause__``.
    :raises WaitTimeoutError: if it does not stop in time.
    """

    deed = "stop"

    def execute(self, context: Context) -> dict[str, Any]:
        """Stop it unless it is stopped, and wait if asked to."""
        from airflow_provider_mendix.waits.environment import EnvironmentWait, summary

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            found = self.retry_until_timeout(partial(self._stop, hook))
            if found.status in _STOPPED or not self.wait_for_completion:
                return summary(found)
            return self.wait_for(hook, EnvironmentWait(self.app_id, self.environment, EnvironmentStatus.STOPPED))

    def _stop(self, hook: MendixHook) -> Environment:
        found = self.check_allowed(hook)
        if found.status in _STOPPED:
            self.log.info("Nothing to stop: %s is %s already.", self.where, found.status)
            return found
        with self.with_environment_state(hook):
            hook.stop_environment(self.app_id, self.environment)
        self.log.info("Asked to stop %s.", self.where)
        return found


class MendixTransportPackageOperator(MendixChangingOperator):
    """Bring a package to an environment, and wait until it is the one there; it runs from the next start on.

    With ``from_environment``, it is the package that is on that other environment when the task runs: promotion.
    A retry asks for it again.

    If the package is there already, that is a success. Where Mendix says ``SERVICE UNAVAILABLE``, because it still
    processes the package, or an answer is lost, the task looks what is on the environment after ``poll_interval``
    and tries again, until ``timeout``, on the worker; so does a retry. An environment that runs may be refused
    with ``APP_IS_RUNNING``: stop it first.

    The task returns the ``PackageId``. For a way back, XCom has under ``mendix_previous_package`` what was on the
    environment before (``package_id``, ``name``, ``version`` and so on; ``None`` if nothing was). Airflow forgets
    the XComs of a try that dies. From Airflow 3.3 on a retry still gives it, by the task's state store; before,
    a retry that finds its package there already cannot know it, and leaves the XCom out.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#transport-deployment-package-to-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param package_id: the package; it must be ``Succeeded``.
    :param from_environment: instead of that, name of the environment whose package it is.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name. The one in
        ``from_environment`` is not changed, so it may be.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until Mendix shows the package on the environment.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most: for Mendix to take it, and then for it to be done.
    :param outage_tolerance: seconds without one good answer from Mendix that the wait puts up with.
    :raises AirflowFailException: if Mendix refuses the transport, there is no such environment, it is production
        and not allowed, a value cannot be right or the key is refused. The reason is its ``__cause__``, and its
        message tells what state the environment is in.
    :raises PackageNotReadyError: if the package is not ``Succeeded`` yet.
    :raises PackageFailedError: if it never will be.
    :raises WaitTimeoutError: if it is not there in time.
    """

    template_fields: Sequence[str] = (
        "mendix_conn_id",
        "app_id",
        "environment",
        "package_id",
        "from_environment",
    )
    deed = "transport a package to"
    _knows_previous = False

    def __init__(
        self, *, package_id: str | None = None, from_environment: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if (package_id is None) == (from_environment is None):
            raise ValueError("Give either package_id, or from_environment to promote the package that is there.")
        self.package_id = package_id
        self.from_environment = from_environment
        # What renders to nothing must not turn one into the other.
        self._promotes = from_environment is not None

    def execute(self, context: Context) -> str:
        """Bring the package there unless it is, and wait if asked to."""
        from airflow_provider_mendix.waits.environment import TransportWait

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            inputs.environment(self.environment)
            package_id = self._wanted(hook)
            is_there = self.retry_until_timeout(partial(self._bring, hook, context, package_id))
            if is_there or not self.wait_for_completion:
                return package_id
            return self.finish(self.wait_for(hook, TransportWait(self.app_id, self.environment, package_id)))

    def finish(self, result: dict[str, Any]) -> str:
        """Give the ``PackageId``."""
        return str(result["package_id"])

    def _wanted(self, hook: MendixHook) -> str:
        if not self._promotes:
            return inputs.package_id(self.package_id)
        source = hook.find_environment(self.app_id, inputs.environment(self.from_environment)).mode
        package = hook.get_environment_package(self.app_id, source)
        if package is None:
            raise EnvironmentStateError(
                f"There is no package on environment {source} of app {self.app_id} that could be brought to"
                f" environment {self.environment}. Nothing was changed."
            )
        self.log.info("On environment %s: package %s (version %s).", source, package.package_id, package.version)
        return package.package_id

    def _bring(self, hook: MendixHook, context: Context, package_id: str) -> bool:
        """Tell whether it is there already, and ask for it if not."""
        self.check_allowed(hook)
        before = hook.get_environment_package(self.app_id, self.environment)
        if before and before.package_id == package_id:
            self.log.info("Package %s is on %s already: it is not transported again.", package_id, self.where)
            self._recall_previous(context, package_id)
            return True
        if not self._promotes:
            self._require_succeeded(hook, package_id)
        self._keep_previous(context, package_id, before)
        with self.with_environment_state(hook):
            hook.transport_package(self.app_id, self.environment, package_id)
        self.log.info("Package %s is on its way to %s.", package_id, self.where)
        return False

    def _require_succeeded(self, hook: MendixHook, package_id: str) -> None:
        package = hook.get_package(self.app_id, package_id)
        if package.status == PackageStatus.SUCCEEDED:
            return
        kind = PackageFailedError if package.status == PackageStatus.FAILED else PackageNotReadyError
        raise kind(
            f"Package {package_id} of app {self.app_id} is {package.status}, and only one that is Succeeded can be"
            " brought to an environment. Wait for it first, with MendixPackageSensor or wait_for_completion=True."
            " Nothing was changed."
        )

    def _keep_previous(self, context: Context, package_id: str, before: Package | None) -> None:
        previous = before.summary() if before else None
        context["ti"].xcom_push(key=PREVIOUS_PACKAGE_KEY, value=previous)
        self._knows_previous = True
        self.log.info(
            "Before: %s.", f"package {before.package_id} (version {before.version})" if before else "none"
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
            self.log.info("What was there before is not known, so that XCom %s is left out.", PREVIOUS_PACKAGE_KEY)


class MendixStartEnvironmentOperator(MendixChangingOperator):
    """Start the app on an environment, and wait until it runs.

    An environment that is ``Running`` already is a success. It may still run an older package than the one that
    was brought there: that takes a stop and a start, and the log warns of it.

    The task returns ``{"environment", "status", "url", "model_version", "package_id"}``; without
    ``wait_for_completion``, the first four as they were when it was asked to start, and ``package_id`` is what is
    on the environment. The ``JobId`` is in XCom under ``mendix_start_job``.

    If an answer is lost, or Mendix says that the app is being started by somebody else, the task looks again after
    ``poll_interval`` until ``timeout``, on the worker: either it runs then, or that start has failed, and the
    task's own begins and tells the cause. So does a retry.

    A start that fails is not tried again: the message has Mendix's code, the cause, the state of the environment,
    the package on it, and what to do. With ``auto_sync_db``, the database may have been changed then.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/#start-environment

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param auto_sync_db: change the database to what the model needs. The package that was there before may not
        run on it any more: have a snapshot.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until it runs.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most: for Mendix to take it, and then for it to be done.
    :param outage_tolerance: seconds without one good answer from Mendix that the wait puts up with.
    :raises AirflowFailException: if the app cannot be started, there is no such environment, it is production and
        not allowed, a value cannot be right or the key is refused. The reason is its ``__cause__``.
    :raises WaitTimeoutError: if it does not run in time.
    """

    deed = "start"

    def __init__(self, *, auto_sync_db: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(auto_sync_db, bool):
            raise ValueError(f"auto_sync_db must be True or False, not {auto_sync_db!r}.")  # noqa: TRY004
        self.auto_sync_db = auto_sync_db

    def execute(self, context: Context) -> dict[str, Any]:
        """Start it unless it runs, and wait if asked to."""
        from airflow_provider_mendix.waits.environment import EnvironmentWait, StartJobWait

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            try:
                found, job_id = self.retry_until_timeout(partial(self._start, hook), AlreadyStartingError)
            except AlreadyStartedError as error:
                return self._confirmed(hook, str(error))
            if found.status == EnvironmentStatus.RUNNING:
                return self._summary(hook, found)
            if job_id is not None:
                context["ti"].xcom_push(key=START_JOB_KEY, value=job_id)
            if not self.wait_for_completion:
                return self._summary(hook, found)
            wait = (
                # Mendix has been seen to answer a start with nothing at all.
                EnvironmentWait(self.app_id, self.environment, EnvironmentStatus.RUNNING)
                if job_id is None
                else StartJobWait(self.app_id, self.environment, job_id)
            )
            return self._settled(hook, partial(self.wait_for, hook, wait))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer has waited for the start job."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            return self._settled(MendixHook(self.mendix_conn_id), partial(result_of, event))

    def _start(self, hook: MendixHook) -> tuple[Environment, str | None]:
        found = self.check_allowed(hook)
        if found.status == EnvironmentStatus.RUNNING:
            self.log.info("Nothing to start: %s is Running already.", self.where)
            return found, None
        with self.with_environment_state(hook):
            job_id = hook.start_environment(self.app_id, self.environment, auto_sync_db=self.auto_sync_db)
        self.log.info("Asked to start %s (job %s).", self.where, job_id)
        return found, job_id

    def _settled(self, hook: MendixHook, result: Callable[[], object]) -> dict[str, Any]:
        """Decide what the end of the job means for the environment."""
        try:
            with self.with_environment_state(hook):
                result()
        except (AlreadyStartedError, StartJobNotFoundError) as error:
            return self._confirmed(hook, str(error))
        return self._confirmed(hook, "Mendix says that the start is over.")

    def _confirmed(self, hook: MendixHook, said: str) -> dict[str, Any]:
        """Mendix has said something of a start: the environment itself decides whether it runs."""
        deadline = current_clock().now() + SHOWS_WITHIN
        while True:
            found = hook.get_environment(self.app_id, self.environment)
            if found.status == EnvironmentStatus.RUNNING:
                self.log.info("It runs: %s.", self.where)
                return self._summary(hook, found)
            if current_clock().now() >= deadline:
                raise EnvironmentStateError(
                    f"{said} But it does not run, {SHOWS_WITHIN:.0f} s later. {self.state_in_words(hook)} See its"
                    " log in the portal, and start it again."
                )
            current_clock().sleep(VISIBILITY_POLL_INTERVAL)

    def _summary(self, hook: MendixHook, found: Environment) -> dict[str, Any]:
        from airflow_provider_mendix.waits.environment import summary

        package = hook.get_environment_package(self.app_id, self.environment)
        runs, brought = found.model_version, package.version if package else None
        if found.status == EnvironmentStatus.RUNNING and runs and brought and runs != brought:
            self.log.warning(
                "Version %s runs on %s, but the package there has version %s: it takes a stop and a start until"
                " that one runs.",
                runs,
                self.where,
                brought,
            )
        return {**summary(found), "package_id": package.package_id if package else None}


def _state_store(context: Context) -> Any:
    """Airflow has one from 3.3 on; it outlives a try."""
    return context.get("task_state_store")
