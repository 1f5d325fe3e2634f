"""Packages and upload jobs. Their state is a function of the time, so nothing runs in the background."""

from __future__ import annotations

import collections
import enum
import hashlib
import math
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Self

import msgspec

from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.simulator.state.apps import App, Apps
from airflow_provider_mendix.simulator.state.package_file import Metadata, mda, mda_size
from airflow_provider_mendix.simulator.state.repositories import DEFAULT_MENDIX_VERSION

SUCCEEDED = "Succeeded"
FAILED = "Failed"
UNDOCUMENTED = "Optimizing"

Steps = Sequence[tuple[str, float]]
"""States, and the seconds spent in each; the last one lasts."""


def state_at(steps: Steps, age: float) -> str:
    """Return the state of something of an age."""
    for state, seconds in steps:
        if age < seconds:
            return state
        age -= seconds
    return steps[-1][0]


class Timeline(msgspec.Struct, frozen=True):
    """How long a build stays in each state, in seconds."""

    queued: float = 10.0
    building: float = 30.0
    uploading: float = 5.0

    @classmethod
    def of(cls, seconds: float) -> Self:
        """Divide the time of a whole build."""
        return cls(0.2 * seconds, 0.6 * seconds, 0.2 * seconds)


class BuildOutcome(enum.StrEnum):
    """How a build or an upload ends."""

    SUCCEEDS = "succeeds"
    FAILS_WHILE_QUEUED = "fails_while_queued"
    FAILS_WHILE_BUILDING = "fails_while_building"
    FAILS_WHILE_UPLOADING = "fails_while_uploading"
    REFUSED = "refused"
    """The start call itself answers 500 `BUILD_FAILED`, and there is no package."""
    STUCK_QUEUED = "stuck_queued"
    STUCK_BUILDING = "stuck_building"
    UNKNOWN_STATUS = "unknown_status"
    """After `Queued` comes a word that Mendix does not document, then `Succeeded`."""

    def steps(self, timeline: Timeline) -> Steps:
        """Return the states of a build, and the seconds spent in each."""
        queued = ("Queued", timeline.queued)
        building = ("Building", timeline.building)
        uploading = ("Uploading", timeline.uploading)
        succeeded, failed = (SUCCEEDED, math.inf), (FAILED, math.inf)
        unknown = (UNDOCUMENTED, timeline.building + timeline.uploading)
        return {
            BuildOutcome.SUCCEEDS: [queued, building, uploading, succeeded],
            BuildOutcome.FAILS_WHILE_QUEUED: [queued, failed],
            BuildOutcome.FAILS_WHILE_BUILDING: [queued, building, failed],
            BuildOutcome.FAILS_WHILE_UPLOADING: [queued, building, uploading, failed],
            BuildOutcome.REFUSED: [failed],
            BuildOutcome.STUCK_QUEUED: [("Queued", math.inf)],
            BuildOutcome.STUCK_BUILDING: [queued, ("Building", math.inf)],
            BuildOutcome.UNKNOWN_STATUS: [queued, unknown, succeeded],
        }[self]

    def job_steps(self, timeline: Timeline) -> Steps:
        """Return the states of an upload job, and the seconds spent in each."""
        queued, running = ("Queued", timeline.queued), ("Running", timeline.uploading)
        completed, failed = ("Completed", math.inf), (FAILED, math.inf)
        return {
            BuildOutcome.SUCCEEDS: [queued, running, completed],
            BuildOutcome.FAILS_WHILE_QUEUED: [queued, failed],
            BuildOutcome.FAILS_WHILE_BUILDING: [queued, running, failed],
            BuildOutcome.FAILS_WHILE_UPLOADING: [queued, running, failed],
            BuildOutcome.REFUSED: [failed],
            BuildOutcome.STUCK_QUEUED: [("Queued", math.inf)],
            BuildOutcome.STUCK_BUILDING: [queued, ("Running", math.inf)],
            BuildOutcome.UNKNOWN_STATUS: [queued, (UNDOCUMENTED, timeline.uploading), completed],
        }[self]


class StoredPackage(msgspec.Struct, kw_only=True):
    """A package.

    :param line: the branch, as the package's name has it.
    :param version: four parts.
    :param created_at: seconds since the epoch.
    :param in_use: whether it cannot be deleted, even if no environment has it.
    :param deployed_at: when an environment was last seen to have it.
    :param metadata: what its file says about itself.
    :param file: what was uploaded; the file of a build is made when it is asked for.
    """

    package_id: str
    app_id: str
    name: str
    line: str
    version: str
    description: str
    creator: str
    created_at: float
    size: int
    steps: Steps = ((SUCCEEDED, math.inf),)
    in_use: bool = False
    deployed_at: float | None = None
    metadata: Metadata = Metadata()
    file: bytes | None = None


class UploadJob(msgspec.Struct, frozen=True):
    """The job of an upload.

    :param package_id: the package that it makes.
    :param created_at: seconds since the epoch.
    """

    package_id: str
    app_id: str
    created_at: float
    steps: Steps


class Packages(dict[str, StoredPackage]):
    """The packages of all apps, by id.

    :ivar timeline: how long builds and uploads to come take.
    :ivar outcome: how builds and uploads to come end.
    :ivar next_outcomes: how the next ones end; each accepted call takes one, before ``outcome`` counts.
    :ivar default_size: bytes of files to come.
    :ivar jobs: upload jobs, by id.
    :ivar stuck_since: returns when a package stopped changing, in seconds since the epoch.
    """

    def __init__(self, clock: Clock, apps: Apps, lock: threading.RLock) -> None:
        super().__init__()
        self.timeline = Timeline()
        self.outcome = BuildOutcome.SUCCEEDS
        self.next_outcomes: collections.deque[BuildOutcome] = collections.deque()
        self.default_size = 256 * 1024
        self.jobs: dict[str, UploadJob] = {}
        self.stuck_since: Callable[[str], float] = lambda package_id: math.inf
        self._clock = clock
        self._apps = apps
        self._lock = lock

    def add(
        self,
        app_id: str,
        *,
        version: str,
        revision: str,
        branch: str | None = None,
        description: str = "",
        creator: str = "Demo Engineer",
        mendix_version: str | None = DEFAULT_MENDIX_VERSION,
        age: float = 0.0,
        in_use: bool = False,
        steps: Steps = ((SUCCEEDED, math.inf),),
    ) -> str:
        """Add a package, made ``age`` seconds ago, and return its id.

        :param version: three parts.
        :param mendix_version: four parts; its file says so.
        :param in_use: refuse to delete it.
        :param steps: the states it goes through; by default it is finished.
        :raises KeyError: if there is no such app.
        """
        app = self._apps[app_id]
        package_id = str(uuid.uuid4())
        full_version = app.version(version, revision)
        metadata = Metadata(
            runtime_version=mendix_version,
            model_version=full_version,
            java_version="21",
            project_id=app.project_id,
            project_name=app.name,
        )
        with self._lock:
            self[package_id] = StoredPackage(
                package_id=package_id,
                app_id=app.app_id,
                name=f"{app.line(branch)}-{full_version}.mda",
                line=app.line(branch),
                version=full_version,
                description=description,
                creator=creator,
                created_at=self._clock.now() - age,
                size=mda_size(package_id, self.default_size, metadata),
                steps=steps,
                in_use=in_use,
                metadata=metadata,
            )
        return package_id

    def add_upload(
        self, app: App, *, name: str, line: str, version: str, creator: str, content: bytes, outcome: BuildOutcome
    ) -> tuple[str, str]:
        """Add what was uploaded, and return the ids of the package and of its job.

        The states that a list of packages shows meanwhile are not documented; `Uploading` is the word that fits.
        """
        package_id, job_id, now = str(uuid.uuid4()), str(uuid.uuid4()), self._clock.now()
        steps = outcome.job_steps(self.timeline)
        shown = {"Completed": SUCCEEDED, FAILED: FAILED}
        self[package_id] = StoredPackage(
            package_id=package_id,
            app_id=app.app_id,
            name=name,
            line=line,
            version=version,
            description="",
            creator=creator,
            created_at=now,
            size=len(content),
            steps=[(shown.get(state, "Uploading"), seconds) for state, seconds in steps],
            file=content,
        )
        self.jobs[job_id] = UploadJob(package_id, app.app_id, now, steps)
        return package_id, job_id

    def take_outcome(self) -> BuildOutcome:
        """Return how the build or upload ends that starts now."""
        return self.next_outcomes.popleft() if self.next_outcomes else self.outcome

    def of(self, app_id: str) -> list[StoredPackage]:
        """Return the packages of an app."""
        return [package for package in list(self.values()) if package.app_id == app_id]

    def status(self, package_id: str) -> str:
        """Return the state of a package."""
        package = self[package_id]
        return state_at(package.steps, self._seen_at(package_id) - package.created_at)

    def job_status(self, job: UploadJob) -> str:
        """Return the state of an upload job."""
        return state_at(job.steps, self._seen_at(job.package_id) - job.created_at)

    def content(self, package_id: str) -> bytes:
        """Return the file of a package."""
        package = self[package_id]
        return mda(package_id, package.size, package.metadata) if package.file is None else package.file

    def sha256(self, package_id: str) -> str:
        """Return the digest of that file, in hexadecimal."""
        return hashlib.sha256(self.content(package_id)).hexdigest()

    def _seen_at(self, package_id: str) -> float:
        return min(self._clock.now(), self.stuck_since(package_id))
