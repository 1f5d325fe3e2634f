"""A run that is hit by a crash, with observations."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, BuildOutcome, StoredPackage

from ..airflow_stack.scenario import Scenario
from ..airflow_stack.stack import AirflowStack
from .triggerers import Triggerers

AT_WORK = ("running", "deferred", "success")


class CrashScenario(Scenario):
    """One build task with its Mendix, where builds go on until :meth:`finish_builds`.

    :param name: of the run.
    :param dag_id: decides whether the task waits on the worker or deferred.
    """

    def __init__(self, airflow: AirflowStack, triggerers: Triggerers, name: str, dag_id: str) -> None:
        super().__init__(airflow, name, dag_id, "build", ending=BuildOutcome.STUCK_BUILDING)
        self.triggerers = triggerers
        self.newest: dict[str, Any] = {}
        self.recovered_after: float | None = None
        self.remarks: list[str] = []
        self._may_fail = False
        self._crashed_at = 0.0
        self._tries_before = 0

    def add_connection(self, **values: str) -> None:
        """Store the connection where the secrets backend finds it, and nowhere else."""
        self.connection_file.write_text(json.dumps({"conn_type": "mendix", **values}))

    @property
    def connection_file(self) -> Path:
        """The file of the connection in the folder of the secrets backend."""
        return self.airflow.home / "secrets" / self.conn_id

    def begin(self) -> None:
        """Start the run."""
        self.start(connection=self.conn_id, revision=self.revision)

    def observe(self, task_instances: list[dict[str, Any]]) -> None:
        """Record the state of this run, and keep all that Airflow says about its task."""
        super().observe(task_instances)
        for found in task_instances:
            if (found["dag_id"], found["dag_run_id"]) == (self.dag_id, self.name):
                self.newest = found

    @property
    def has_failed_unexpectedly(self) -> bool:
        return self.run_state == "failed" and not self._may_fail

    def mark_failed(self) -> None:
        """Mark the task as failed."""
        self._may_fail = True
        self.airflow.api.mark_failed(self.dag_id, self.name, self.task_id)

    def clear(self) -> None:
        """Clear the task; a run that had ended goes on."""
        super().clear()
        self._may_fail = False
        self.run_state = ""

    @property
    def is_running(self) -> bool:
        return self.newest.get("state") == "running" and self.newest.get("pid") is not None

    def is_waiting(self, attempt: int = 1) -> bool:
        """Return whether a try has polled its package and goes on waiting."""
        if self.newest.get("try_number") != attempt:
            return False
        if self.dag_id == "crash_build_deferred":
            return bool(self.newest["state"] == "deferred" and self.owner)
        return self.is_running and self.polls() > 0

    def polls(self) -> int:
        """Count the requests for a package by its id."""
        return len(self.platform.journal.requests("GET", "/packages/"))

    @property
    def owner(self) -> str | None:
        """The name of the triggerer that runs the task's trigger."""
        return self.triggerers.owner(self.newest)

    @contextmanager
    def crash(self) -> Iterator[None]:
        """Measure the recovery from what is done in the block."""
        self._tries_before = int(self.newest["try_number"])
        yield
        self._crashed_at = time.monotonic()

    def is_at_work_again(self) -> bool:
        """Return whether a later try is at work."""
        return any(attempt > self._tries_before and state in AT_WORK for attempt, state in self.seen)

    def has_recovered(self) -> None:
        """Record how long the recovery took."""
        self.recovered_after = self.since_crash

    @property
    def since_crash(self) -> float:
        """Seconds since the crash."""
        return time.monotonic() - self._crashed_at

    def finish_builds(self) -> None:
        """Let all builds succeed now, and later ones immediately."""
        self.platform.packages.outcome = BuildOutcome.SUCCEEDS
        self.platform.packages.timeline = type(self.platform.packages.timeline)(0.0, 0.0, 0.0)
        for package in self.packages:
            package.steps = [(SUCCEEDED, math.inf)]

    @property
    def packages(self) -> list[StoredPackage]:
        """All packages, oldest first."""
        return sorted(self.platform.packages.values(), key=lambda package: package.created_at)

    @property
    def start_calls(self) -> int:
        """The number of requests that start a build."""
        return len(self.platform.journal.requests("POST"))

    @property
    def tries(self) -> int:
        """The number of the newest try."""
        return int(self.newest["try_number"])

    def returned(self) -> str:
        """Return, as text, which package the task returned."""
        value = self.return_value()
        ids = [package.package_id for package in self.packages]
        return ("the only one", "the newest")[len(ids) > 1] if ids and value == ids[-1] else repr(value)
