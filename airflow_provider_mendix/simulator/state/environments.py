"""An environment of the simulator: what is on it, what runs, and what is under way; nothing has to run meanwhile.

What Mendix does not say about environments is decided here and in the modules that serve them; docs/simulator.md
lists it.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote

import msgspec

from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.simulator.state.packages import Steps, state_at

PRODUCTION = "Production"
USUAL_ENVIRONMENTS = ("Test", "Acceptance", PRODUCTION)

SUCCEEDS = ("", "succeeds")
COMPLETED, FAILED = "completed", "failed"

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
"""Codes that a look at a start job may be answered with, and their statuses."""
MIGRATED = ("DB_SYNC_FAILED", "INSECURE_ADMIN_PASSWORD", "STARTUP_ACTION_FAILED", "START_FAILED")
"""Those of them that come when the database may have been changed already."""
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
BACKUP_CODES: Mapping[str, int] = {
    "NOT_SUPPORTED": 400,
    "ENVIRONMENT_BUSY": 400,
    "INVALID_STATE": 400,
    "NO_ACCESS": 403,
    "SERVICE_UNAVAILABLE": 500,
}
RESTORE_CODES: Mapping[str, int] = {**BACKUP_CODES, "ERROR_NOT_ALLOWED": 400}


class InvalidEnvironmentError(ValueError):
    """There can be no such environment."""


class DeploymentTimeline(msgspec.Struct, frozen=True):
    """How long the steps of a deployment take, in seconds.

    :param stopping: an environment that is being stopped reads ``Running`` so long.
    :param transporting: until the package shows on the environment.
    :param starting: how long a start job is ``Starting``, whatever it ends as.
    :param backing_up: until a snapshot is finished; a fifth of it is spent in the queue.
    :param restoring: until a restore is finished, likewise.
    """

    stopping: float = 5.0
    transporting: float = 0.0
    starting: float = 20.0
    backing_up: float = 30.0
    restoring: float = 30.0

    @classmethod
    def of(cls, seconds: float) -> Self:
        """Share out the time that a whole deployment takes, with a backup and a way back."""
        return cls(*(share * seconds for share in (0.1, 0.1, 0.3, 0.25, 0.25)))


class Change(msgspec.Struct, frozen=True):
    """What an environment is like from some time on.

    :param at: seconds since the epoch.
    :param fields: names and new values.
    """

    at: float
    fields: Mapping[str, Any]


class StoredEnvironment(msgspec.Struct, kw_only=True):
    """An environment as the simulator keeps it. What is under way shows once the environment is asked for again.

    :param package_id: what was transported to it.
    :param running_package_id: what runs: the package that was there at the last start.
    :param model_version: version of what runs, four parts.
    :param data: stands for all data; a snapshot copies it, a restore brings it back, and a test may change it.
    :param data_version: version of the model that the database was last changed to.
    :param constants: values by name; one without a value (``None``) lets the next start fail.
    :param custom_settings: values by name, of those that can be changed.
    :param scheduled_events: ``Enabled`` or ``Disabled`` by name.
    :param deployed_values: of constants and scheduled events, as they were at the last start.
    :param pending: what is under way.
    """

    app_id: str
    mode: str
    environment_id: str
    production: bool = False
    mendix_version: str = "10.24.0"
    package_id: str | None = None
    running_package_id: str | None = None
    model_version: str | None = None
    data: str = "as it was at first"
    data_version: str | None = None
    constants: dict[str, str | None] = {}
    custom_settings: dict[str, str | None] = {}
    scheduled_events: dict[str, str | None] = {}
    deployed_values: dict[str, str | None] = {}
    pending: list[Change] = []

    @property
    def status(self) -> EnvironmentStatus:
        """Its state, as of when it was last asked for."""
        if self.running_package_id is not None:
            return EnvironmentStatus.RUNNING
        return EnvironmentStatus.EMPTY if self.package_id is None else EnvironmentStatus.STOPPED

    @property
    def path(self) -> str:
        """Where the app is, below the base URL of the file host."""
        return f"/apps/{quote(self.app_id, safe='')}/{quote(self.mode, safe='')}/"

    @property
    def package_ids(self) -> set[str | None]:
        """Packages that it uses, or is about to."""
        changed = {change.fields.get("package_id") for change in self.pending}
        return {self.package_id, self.running_package_id, *changed}

    @property
    def is_stopping(self) -> bool:
        """Whether it is being stopped."""
        return any(change.fields.get("running_package_id", "") is None for change in self.pending)

    def settle(self, now: float) -> None:
        """Let what was under way have happened, as far as its time has come."""
        due = sorted((change for change in self.pending if change.at <= now), key=lambda change: change.at)
        self.pending = [change for change in self.pending if change.at > now]
        for change in due:
            for name, value in change.fields.items():
                setattr(self, name, value)

    def later(self, at: float, **fields: Any) -> None:
        """Let it be different from some time on."""
        self.pending.append(Change(at, fields))


class StoredStart(msgspec.Struct, frozen=True, kw_only=True):
    """A start job.

    :param environment_id: of the environment that it starts.
    :param ends_at: seconds since the epoch.
    :param code: what it fails with; empty if it does not.
    """

    environment_id: str
    ends_at: float
    code: str = ""


class StoredSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of the data of an environment, as it was when the copy was asked for.

    :param created_at: seconds since the epoch.
    :param expires_at: likewise.
    :param model_version: of what was on the environment then.
    """

    snapshot_id: str
    environment_id: str
    created_at: float
    expires_at: float
    steps: Steps
    comment: str | None
    model_version: str | None
    data: str
    data_version: str | None

    def state(self, now: float) -> str:
        """Give the state at a time."""
        return state_at(self.steps, now - self.created_at)


class StoredRestore(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot on its way back.

    :param environment_id: of the environment that gets the data.
    :param created_at: seconds since the epoch.
    """

    restore_id: str
    environment_id: str
    source: StoredSnapshot
    created_at: float
    steps: Steps

    def state(self, now: float) -> str:
        """Give the state at a time."""
        return state_at(self.steps, now - self.created_at)


def environment_id(app_id: str, mode: str) -> str:
    """Make the id of an environment: the same every time for the same one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://{app_id}.mendixcloud.com/{mode}"))


def backup_steps(seconds: float, ending: str) -> Sequence[tuple[str, float]]:
    """Give the states that a snapshot or a restore goes through, and the seconds it spends in each."""
    return [("queued", 0.2 * seconds), ("running", 0.8 * seconds), (ending, math.inf)]


def ends_after(steps: Steps) -> float:
    """Give the seconds until something is in its last state."""
    return sum(seconds for _, seconds in steps[:-1])
