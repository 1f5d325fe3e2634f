"""Environments: what is on them, what runs, and what is under way.

Nothing runs in the background: what is under way shows once the environment is asked for again. What Mendix does
not say about environments is decided here and in the modules that serve them; docs/simulator.md lists it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote

import msgspec

from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.simulator.state.apps import Apps
from airflow_provider_mendix.simulator.state.packages import Packages
from airflow_provider_mendix.simulator.state.planned import Outcomes

PRODUCTION = "Production"
CLEAN_DATA = "as it was at first"
DEFAULT_ENVIRONMENTS = ("Test", "Acceptance", PRODUCTION)

START_CODES: Mapping[str, int] = dict.fromkeys(
    (
        "NO_PACKAGE",
        "ALREADY_LOCKED",
        "ALREADY_STARTED",
        "DB_SYNC_FAILED",
        "INVALID_DB_STRUCTURE",
        "MISSING_CONSTANT",
        "INSECURE_ADMIN_PASSWORD",
        "STARTUP_ACTION_FAILED",
        "START_FAILED",
    ),
    500,
)
"""Codes that a start job may fail with, and their statuses."""
MIGRATED = ("DB_SYNC_FAILED", "INSECURE_ADMIN_PASSWORD", "STARTUP_ACTION_FAILED", "START_FAILED")
"""Those of them that come when the database may already have been changed."""
STOP_CODES: Mapping[str, int] = {"STOP_FAILED": 500}
TRANSPORT_CODES: Mapping[str, int] = {
    "INVALID_RUNTIME_VERSION": 400,
    "NO_ACCESS": 403,
    "TRANSPORT_NOT_ALLOWED": 403,
    "APP_IS_RUNNING": 403,
    "NOT ALLOWED": 403,
    "PACKAGE_NOT_FOUND": 404,
    "PACKAGE_PARSE_FAILED": 500,
    "SERVICE UNAVAILABLE": 503,
}


class InvalidEnvironmentError(ValueError):
    """An environment cannot be like this."""


class DeploymentTimeline(msgspec.Struct, frozen=True):
    """How long the steps of a deployment take, in seconds.

    :param stopping: how long an environment that is being stopped still reads ``Running``.
    :param transporting: until the package shows on the environment.
    :param starting: how long a start job is ``Starting``, however it ends.
    :param backing_up: until a snapshot is finished; it is queued for a fifth of the time.
    :param restoring: until a restore is finished, likewise.
    :param archiving: until an archive of a snapshot is finished, likewise.
    """

    stopping: float = 5.0
    transporting: float = 0.0
    starting: float = 20.0
    backing_up: float = 30.0
    restoring: float = 30.0
    archiving: float = 10.0

    @classmethod
    def of(cls, seconds: float) -> Self:
        """Divide the time of a whole deployment, with a snapshot, its archive and a restore."""
        return cls(*(share * seconds for share in (0.1, 0.1, 0.3, 0.2, 0.2, 0.1)))


class Change(msgspec.Struct, frozen=True):
    """A change of an environment that takes effect later.

    :param at: seconds since the epoch.
    :param fields: names and new values.
    """

    at: float
    fields: Mapping[str, Any]


class StoredEnvironment(msgspec.Struct, kw_only=True):
    """An environment, as of when it was last asked for.

    :param package_id: of the package that was transported to it.
    :param running_package_id: of the package that runs: the one that was there at the last start.
    :param model_version: version of the package that runs, four parts.
    :param data: stands for all data; a snapshot copies it, a restore brings it back, and a test may change it.
    :param data_version: version of the model that the database was last changed to.
    :param constants: values by name; a constant without a value (``None``) makes the next start fail.
    :param data_types: of constants, by name; ``String`` for those that are not named.
    :param custom_settings: values by name, of those that can be changed.
    :param scheduled_events: ``Enabled`` or ``Disabled`` by name.
    :param deployed_values: of constants and scheduled events, as they were at the last start.
    :param pending: changes that are under way.
    """

    app_id: str
    mode: str
    environment_id: str
    production: bool = False
    mendix_version: str = "10.24.0"
    package_id: str | None = None
    running_package_id: str | None = None
    model_version: str | None = None
    data: str = CLEAN_DATA
    data_version: str | None = None
    constants: dict[str, str | None] = {}
    data_types: dict[str, str] = {}
    custom_settings: dict[str, str | None] = {}
    scheduled_events: dict[str, str | None] = {}
    deployed_values: dict[str, str | None] = {}
    pending: list[Change] = []

    @property
    def status(self) -> EnvironmentStatus:
        """Its state."""
        if self.running_package_id is not None:
            return EnvironmentStatus.RUNNING
        return EnvironmentStatus.EMPTY if self.package_id is None else EnvironmentStatus.STOPPED

    @property
    def path(self) -> str:
        """Path of the app, below the base URL of the file host."""
        return f"/apps/{quote(self.app_id, safe='')}/{quote(self.mode, safe='')}/"

    @property
    def package_ids(self) -> set[str | None]:
        """Packages that it uses, or is going to use."""
        changed = {change.fields.get("package_id") for change in self.pending}
        return {self.package_id, self.running_package_id, *changed}

    @property
    def is_stopping(self) -> bool:
        """Whether it is being stopped."""
        return any(change.fields.get("running_package_id", "") is None for change in self.pending)

    def settle(self, now: float) -> None:
        """Apply the changes whose time has come."""
        due = sorted((change for change in self.pending if change.at <= now), key=lambda change: change.at)
        self.pending = [change for change in self.pending if change.at > now]
        for change in due:
            for name, value in change.fields.items():
                setattr(self, name, value)

    def change_at(self, at: float, **fields: Any) -> None:
        """Change some fields from some time on."""
        self.pending.append(Change(at, fields))


class StartJob(msgspec.Struct, frozen=True, kw_only=True):
    """A start job.

    :param environment_id: of the environment that it starts.
    :param ends_at: seconds since the epoch.
    :param code: what it fails with; empty if it succeeds.
    """

    environment_id: str
    ends_at: float
    code: str = ""


class Environments:
    """The environments of all apps.

    :ivar timeline: how long the steps of a deployment take from now on.
    :ivar next_starts: codes that the next accepted starts fail with.
    :ivar next_stops: codes that the next stop calls are refused with.
    :ivar next_transports: codes that the next transports are refused with.
    :ivar start_jobs: by id.
    """

    def __init__(self, clock: Clock, apps: Apps, packages: Packages, lock: threading.RLock) -> None:
        self.timeline = DeploymentTimeline()
        self.next_starts = Outcomes(START_CODES)
        self.next_stops = Outcomes(STOP_CODES)
        self.next_transports = Outcomes(TRANSPORT_CODES)
        self.start_jobs: dict[str, StartJob] = {}
        self._clock = clock
        self._apps = apps
        self._packages = packages
        self._lock = lock
        self._environments: dict[tuple[str, str], StoredEnvironment] = {}

    def __getitem__(self, key: tuple[str, str]) -> StoredEnvironment:
        """Return an environment as it is now: ``environments["shop", "Test"]``.

        :raises KeyError: if there is none.
        """
        with self._lock:
            environment = self._environments[key]
            environment.settle(self._clock.now())
            return environment

    def __iter__(self) -> Iterator[StoredEnvironment]:
        with self._lock:
            return iter([self[key] for key in self._environments])

    def of(self, app_id: str) -> list[StoredEnvironment]:
        """Return the environments of an app as they are now."""
        return [environment for environment in self if environment.app_id == app_id]

    def add(
        self,
        app_id: str,
        mode: str,
        *,
        production: bool | None = None,
        package_id: str | None = None,
        running: bool = False,
    ) -> StoredEnvironment:
        """Add an environment to an app; it replaces the one with the same name.

        :param production: whether it is production; by default only if that is its name.
        :param package_id: what is on it; its data fits.
        :param running: whether that runs.
        :raises KeyError: if there is no such app, or no such package of it.
        :raises InvalidEnvironmentError: if it is to run without a package.
        """
        if running and package_id is None:
            raise InvalidEnvironmentError("An environment cannot run without a package.")
        app = self._apps[app_id]
        package = None if package_id is None else self._packages[package_id]
        if package is not None and package.app_id != app_id:
            raise KeyError(f"package {package_id} of app {app_id}")
        environment = StoredEnvironment(
            app_id=app.app_id,
            mode=mode,
            # The same id every time for the same name.
            environment_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://{app_id}.mendixcloud.com/{mode}")),
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

    def remove(self, app_id: str) -> None:
        """Remove all environments of an app."""
        with self._lock:
            for environment in self.of(app_id):
                del self._environments[app_id, environment.mode]

    def start_job_of(self, environment: StoredEnvironment) -> StartJob | None:
        """Return the job that is starting an environment now."""
        now = self._clock.now()
        jobs = self.start_jobs.values()
        mine = (job for job in jobs if job.environment_id == environment.environment_id and now < job.ends_at)
        return next(mine, None)
