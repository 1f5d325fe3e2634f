"""Snapshots of the data of environments, their archives and their restores."""

from __future__ import annotations

import gzip
import io
import math
import tarfile
from collections.abc import Mapping
from typing import Literal

import msgspec

from airflow_provider_mendix.api.backups import DataType
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.simulator.state.environments import StoredEnvironment
from airflow_provider_mendix.simulator.state.packages import Steps, state_at
from airflow_provider_mendix.simulator.state.planned import Outcomes

COMPLETED, FAILED = "completed", "failed"

SNAPSHOT_CODES: Mapping[str, int] = {
    "NOT_SUPPORTED": 400,
    "ENVIRONMENT_BUSY": 400,
    "INVALID_STATE": 400,
    "NO_ACCESS": 403,
    "SERVICE_UNAVAILABLE": 500,
}
RESTORE_CODES: Mapping[str, int] = {**SNAPSHOT_CODES, "ERROR_NOT_ALLOWED": 400}
ARCHIVE_CODES: Mapping[str, int] = {**SNAPSHOT_CODES, "UNSUPPORTED": 400}


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    created_at: float
    steps: Steps

    @property
    def finished_at(self) -> float:
        """When it is in its last state, in seconds since the epoch."""
        return self.created_at + sum(seconds for _, seconds in self.steps[:-1])

    def state(self, now: float) -> str:
        """Return the state at a time."""
        return state_at(self.steps, now - self.created_at)


class Snapshot(_Job, frozen=True, kw_only=True):
    """A copy of the data of an environment, as it was when the copy was asked for.

    :param created_at: seconds since the epoch.
    :param expires_at: likewise.
    :param model_version: of the package that was on the environment then.
    """

    snapshot_id: str
    environment_id: str
    expires_at: float
    comment: str | None
    model_version: str | None
    data: str
    data_version: str | None


class Archive(_Job, frozen=True, kw_only=True):
    """A file with the data of a snapshot.

    :param created_at: seconds since the epoch.
    """

    archive_id: str
    source: Snapshot
    data_type: DataType

    @property
    def extension(self) -> str:
        """How the name of the file ends."""
        return "backup" if self.data_type is DataType.DATABASE_ONLY else "tar.gz"

    def content(self) -> bytes:
        """Return the file, the same every time: a dump of the database, with or without the app's files."""
        dump = b"PGDMP" + self.source.data.encode()
        if self.data_type is DataType.DATABASE_ONLY:
            return dump
        metadata = {"modelVersion": self.source.model_version, "dumpSize": str(len(dump))}
        files = {
            ".metadata": msgspec.json.encode(metadata),
            "db/db.backup": dump,
            "tree/0d/3e/0d3e301f-5551-46f8-ad44-8de2be084c95": b"A file of the app.\n",
        }
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, body in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(body)
                archive.addfile(entry, io.BytesIO(body))
        return gzip.compress(buffer.getvalue(), mtime=0)


class Restore(_Job, frozen=True, kw_only=True):
    """A restore of a snapshot.

    :param created_at: seconds since the epoch.
    :param environment_id: of the environment that gets the data.
    """

    restore_id: str
    environment_id: str
    source: Snapshot


class Backups:
    """The snapshots of all environments, their archives and restores.

    :ivar snapshots: by id.
    :ivar archives: by id.
    :ivar restores: by id.
    :ivar next_snapshots: how the next snapshots end: ``completed``, ``failed``, or a code that the call is refused
        with.
    :ivar next_archives: likewise.
    :ivar next_restores: likewise.
    """

    def __init__(self, clock: Clock) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.archives: dict[str, Archive] = {}
        self.restores: dict[str, Restore] = {}
        self.next_snapshots = Outcomes(SNAPSHOT_CODES, (COMPLETED, FAILED))
        self.next_archives = Outcomes(ARCHIVE_CODES, (COMPLETED, FAILED))
        self.next_restores = Outcomes(RESTORE_CODES, (COMPLETED, FAILED))
        self._clock = clock

    def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """Return a snapshot, unless it has expired."""
        snapshot = self.snapshots.get(snapshot_id)
        return snapshot if snapshot and self._clock.now() < snapshot.expires_at else None

    def snapshots_of(self, environment: StoredEnvironment) -> list[Snapshot]:
        """Return the snapshots of an environment that have not expired."""
        found = (self.snapshot(snapshot_id) for snapshot_id in self.snapshots)
        return [one for one in found if one and one.environment_id == environment.environment_id]

    def is_under_way(self, kind: Literal["snapshots", "restores"], environment: StoredEnvironment) -> bool:
        """Return whether a snapshot of an environment is being made, or one is being restored to it."""
        now = self._clock.now()
        jobs: Mapping[str, Snapshot | Restore] = self.snapshots if kind == "snapshots" else self.restores
        return any(
            job.state(now) in ("queued", "running")
            for job in jobs.values()
            if job.environment_id == environment.environment_id
        )


def job_steps(seconds: float, end: str) -> Steps:
    """Return the states of a snapshot or a restore, and the seconds spent in each."""
    return [("queued", 0.2 * seconds), ("running", 0.8 * seconds), (end, math.inf)]
