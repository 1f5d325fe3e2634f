"""A run that is hit by a crash, and what was seen of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, Ending, StoredPackage

from ..system.scene import Scene
from .stack import CrashStack

AT_WORK = ("running", "deferred", "success")


class CrashScene(Scene):
    """One build task and its Mendix, where builds go on until :meth:`finish_builds`.

    :param name: of the run.
    :param dag_id: whether the task waits on the worker or deferred.
    """

    airflow: CrashStack

    def __init__(self, airflow: CrashStack, name: str, dag_id: str) -> None:
        super().__init__(airflow, name, dag_id, "build", ending=Ending.STUCK_BUILDING)
        self.newest: dict[str, Any] = {}
        self.recovered_after: float | None = None
        self.remarks: list[str] = []
        self.owners: list[str] = []
        self._hit_at = 0.0
        self._tries_before = 0

    def begin(self) -> None:
        """Start the run."""
        self.start(connection=self.conn_id)

    def observe(self, task_instances: list[dict[str, Any]]) -> None:
        """Write down what the API says, and keep all of it."""
        super().observe(task_instances)
        for found in task_instances:
            if (found["dag_id"], found["dag_run_id"]) == (self.dag_id, self.name):
                self.newest = found
                job = found["triggerer_job"]
                owner = self.airflow.triggerer_of_job.get(job["id"] if job else 0)
                if owner and (not self.owners or self.owners[-1] != owner):
                    self.owners.append(owner)

    @property
    def is_running(self) -> bool:
        return self.newest.get("state") == "running" and self.newest.get("pid") is not None

    def is_waiting(self, attempt: int = 1) -> bool:
        """Tell whether a try has looked at its package and goes on waiting."""
        if self.newest.get("try_number") != attempt:
            return False
        if self.dag_id == "crash_build_deferred":
            return bool(self.newest["state"] == "deferred" and self.owner)
        return self.is_running and self.looks() > 0

    def looks(self, since: float = 0.0) -> int:
        """How often somebody has looked at a package by its id."""
        return sum(entry.at > since for entry in self.platform.journal.requests("GET", "/packages/"))

    @property
    def owner(self) -> str | None:
        """The triggerer that has the task's trigger."""
        job = self.newest.get("triggerer_job")
        return self.airflow.triggerer_of_job.get(job["id"]) if job else None

    @contextmanager
    def hit(self) -> Iterator[None]:
        """Do what is to be recovered from."""
        self._tries_before = int(self.newest["try_number"])
        yield
        self._hit_at = time.monotonic()

    def is_at_work_again(self) -> bool:
        """Tell whether a later try is at work."""
        return any(attempt > self._tries_before and state in AT_WORK for attempt, state in self.seen)

    def has_recovered(self) -> None:
        """Write down how long that took."""
        self.recovered_after = time.monotonic() - self._hit_at

    @property
    def since_hit(self) -> float:
        """Seconds."""
        return time.monotonic() - self._hit_at

    def finish_builds(self) -> None:
        """Let all builds succeed now, and those to come at once."""
        self.platform.ending = Ending.SUCCEEDS
        self.platform.timeline = type(self.platform.timeline)(0.0, 0.0, 0.0)
        for package in self.packages:
            package.steps = [(SUCCEEDED, math.inf)]

    @property
    def packages(self) -> list[StoredPackage]:
        """All that were made, earliest first."""
        return sorted(self.platform.packages.values(), key=lambda package: package.created_at)

    @property
    def start_calls(self) -> int:
        """How often a build was asked for."""
        return len(self.platform.journal.requests("POST"))

    @property
    def tries(self) -> int:
        """The newest try."""
        return int(self.newest["try_number"])

    def returned(self) -> str:
        """Say which package the task returned."""
        value = self.return_value()
        ids = [package.package_id for package in self.packages]
        return ("the only one", "the newest")[len(ids) > 1] if ids and value == ids[-1] else repr(value)
