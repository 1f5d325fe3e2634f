"""The environments of all apps, and what is done to them and to come."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.simulator.apis.routes import RefusedError
from airflow_provider_mendix.simulator.state import environments
from airflow_provider_mendix.simulator.state.environments import (
    COMPLETED,
    PRODUCTION,
    SUCCEEDS,
    DeploymentTimeline,
    InvalidEnvironmentError,
    StoredEnvironment,
    StoredRestore,
    StoredSnapshot,
    StoredStart,
)
from airflow_provider_mendix.simulator.state.packages import StoredPackage
from airflow_provider_mendix.simulator.state.permissions import Access


class Deployments(Access):
    """The environments of all apps.

    :param clock: what is under way goes on by it.
    :ivar deployment: how long the steps of a deployment take from now on.
    :ivar next_starts: codes that the next accepted starts fail with; empty or ``succeeds`` for none.
    :ivar next_stops: codes that the next calls to stop are refused with; likewise.
    :ivar next_transports: codes that the next transports are refused with; likewise.
    :ivar next_backups: how the next snapshots end, ``completed`` or ``failed``, or a code that the call is refused
        with.
    :ivar next_restores: likewise.
    :ivar packages: of all apps, by id.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.deployment = DeploymentTimeline()
        self.next_starts: collections.deque[str] = collections.deque()
        self.next_stops: collections.deque[str] = collections.deque()
        self.next_transports: collections.deque[str] = collections.deque()
        self.next_backups: collections.deque[str] = collections.deque()
        self.next_restores: collections.deque[str] = collections.deque()
        self.packages: dict[str, StoredPackage] = {}
        self.start_jobs: dict[str, StoredStart] = {}
        self.snapshots: dict[str, StoredSnapshot] = {}
        self.restores: dict[str, StoredRestore] = {}
        self._environments: dict[tuple[str, str], StoredEnvironment] = {}

    def add_environment(
        self,
        app_id: str,
        mode: str,
        *,
        production: bool | None = None,
        package_id: str | None = None,
        running: bool = False,
    ) -> StoredEnvironment:
        """Add an environment to an app, or put a new one in the place of the one with the same name.

        :param production: whether it is production; by default only if that is its name.
        :param package_id: what is on it; its data fits.
        :param running: whether that runs.
        :raises KeyError: if there is no such app, or no such package of it.
        :raises InvalidEnvironmentError: if nothing is to run.
        """
        if running and package_id is None:
            raise InvalidEnvironmentError("Without a package no environment runs.")
        app = self.apps[app_id]
        package = None if package_id is None else self.packages[package_id]
        if package is not None and package.app_id != app_id:
            raise KeyError(f"package {package_id} of app {app_id}")
        environment = StoredEnvironment(
            app_id=app.app_id,
            mode=mode,
            environment_id=environments.environment_id(app_id, mode),
            production=mode == PRODUCTION if production is None else production,
        )
        if package is not None:
            environment.package_id = package_id
            environment.data_version = package.version
            if running:
                environment.running_package_id, environment.model_version = package_id, package.version
        with self._lock:
            self._environments[app_id, mode] = environment
        return environment

    def remove_environments(self, app_id: str) -> None:
        """Take all environments from an app."""
        with self._lock:
            for environment in self.environments(app_id):
                del self._environments[app_id, environment.mode]

    def environment(self, app_id: str, mode: str) -> StoredEnvironment:
        """Give an environment as it is now.

        :raises KeyError: if there is none.
        """
        with self._lock:
            environment = self._environments[app_id, mode]
            environment.settle(self.clock.now())
            return environment

    def environments(self, app_id: str | None = None) -> list[StoredEnvironment]:
        """Give all environments, or those of one app, as they are now."""
        with self._lock:
            return [self.environment(*key) for key in list(self._environments) if app_id in (None, key[0])]

    def environment_status(self, app_id: str, mode: str) -> str:
        """Give the state that an environment is in now: ``Empty``, ``Stopped`` or ``Running``."""
        return str(self.environment(app_id, mode).status)

    def start_job_of(self, environment: StoredEnvironment) -> StoredStart | None:
        """Give the job that is starting an environment now."""
        now = self.clock.now()
        jobs = self.start_jobs.values()
        mine = (job for job in jobs if job.environment_id == environment.environment_id and now < job.ends_at)
        return next(mine, None)

    def is_restoring(self, environment: StoredEnvironment) -> bool:
        """Tell whether a snapshot is being put back to an environment."""
        return self._is_under_way(self.restores, environment)

    def is_backing_up(self, environment: StoredEnvironment) -> bool:
        """Tell whether a snapshot of an environment is being made."""
        return self._is_under_way(self.snapshots, environment)

    def _is_under_way(
        self, backups: Mapping[str, StoredSnapshot] | Mapping[str, StoredRestore], environment: StoredEnvironment
    ) -> bool:
        now = self.clock.now()
        return any(
            backup.state(now) in ("queued", "running")
            for backup in backups.values()
            if backup.environment_id == environment.environment_id
        )


def take(codes: collections.deque[str], known: Iterable[str]) -> str:
    """Give the code that comes next, spelled as Mendix does; empty if all goes well.

    :param codes: used up by one.
    :param known: the codes that may come.
    :raises RefusedError: loudly, if it is none of these.
    """
    wanted = codes.popleft() if codes else ""
    if wanted in (*SUCCEEDS, COMPLETED):
        return ""
    for code in known:
        if code.replace(" ", "_") == wanted.replace(" ", "_"):
            return code
    message = (
        f"The simulator has no code {wanted!r} here. It has: {', '.join(known)}. This is not Mendix's answer."
    )
    raise RefusedError(501, "SIMULATOR_DOES_NOT_KNOW_THIS_CODE", message)
