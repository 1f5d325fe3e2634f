"""Runs that deploy: answer their approvals, kill their processes, and record what Mendix was asked to change."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Mapping
from typing import Any, Self

from airflow_provider_mendix.simulator.faults.registry import ActiveFault
from airflow_provider_mendix.simulator.journal import Entry
from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline, StoredEnvironment
from airflow_provider_mendix.simulator.state.packages import Timeline

from ..airflow_stack.scenario import Scenario
from ..airflow_stack.stack import AirflowStack

RELEASE = "example_mendix_release"
_POLL_INTERVAL = 2.0
_ANSWER_DELAY = 4.0
_STATES_OF_AN_OPEN_APPROVAL = ("awaiting_input", "deferred")


class ReleaseScenario(Scenario):
    """A run of the release, with a Mendix where each environment runs another package.

    :param answers: the option to choose in each approval, by the task's id.
    """

    needs_task_instances = False

    def __init__(self, airflow: AirflowStack, name: str, answers: Mapping[str, str]) -> None:
        super().__init__(airflow, name, RELEASE, "acceptance.start")
        self.answers = answers
        self.tasks: dict[str, str | None] = {}
        self.tries: dict[str, int] = {}
        self.changes_at_approval: dict[str, list[str]] = {}
        self.killing: list[ActiveFault] = []
        self.old: dict[str, str] = {}
        self._first_request = 0
        self._next_poll_at = 0.0
        self._open_since: dict[tuple[str, int], float] = {}
        self._is_damaged = False
        self.platform.packages.timeline = Timeline.of(seconds=2)
        # A step that takes no time is not deferred. A deferred one must not end at its first poll: a busy
        # scheduler could see that before it sees the deferral, and fail the task.
        self.platform.environments.timeline = DeploymentTimeline(
            stopping=0, transporting=0, starting=8, backing_up=8, restoring=0
        )
        for mode, version in (("Acceptance", "2.5.3"), ("Production", "2.5.2")):
            package_id = self.platform.packages.add("shop", version=version, revision="0badc0de")
            environment = self.platform.environments.add("shop", mode, package_id=package_id, running=True)
            environment.data = f"of {mode}"
            environment.constants["Shop.Name"] = None
            self.old[mode] = package_id

    def kill_after(self, *endpoints: str) -> None:
        """Kill the task's process when Mendix has processed its request and before the response."""
        self.killing += [self.platform.faults.add("hang", on=name, handled=True) for name in endpoints]

    def another_run(self, name: str, dag_id: str, task_id: str) -> Self:
        """Return a run of another DAG on the same Mendix, in its present state."""
        made = copy.copy(self)
        made.name, made.dag_id, made.task_id = name, dag_id, task_id
        made.seen, made.tasks, made.tries, made.run_state, made.answers = [], {}, {}, "", {}
        made._first_request = len(self.platform.journal)
        return made

    def environment(self, mode: str) -> StoredEnvironment:
        """Return an environment in its present state."""
        return self.platform.environments["shop", mode]

    @property
    def new(self) -> str:
        """The id of the package that was built or uploaded."""
        (package_id,) = self.platform.packages.keys() - self.old.values()
        return package_id

    @property
    def requests(self) -> list[Entry]:
        """All requests since the run began."""
        return self.platform.journal[self._first_request :]

    def changes(self) -> list[str]:
        """Return the changes that Mendix has made, in order."""
        return [self._describe(entry) for entry in self.requests if entry.method != "GET" and entry.status < 400]

    def refused(self) -> list[str]:
        """Return the changes that Mendix has refused, in order."""
        return [self._describe(entry) for entry in self.requests if entry.method != "GET" and entry.status >= 400]

    def observe(self, task_instances: list[dict[str, Any]]) -> None:
        """Record the states of all tasks, answer approvals, and kill processes."""
        if time.monotonic() < self._next_poll_at or not self._began or self.ended:
            return
        tasks = self._update()
        self._answer()
        for fault in [fault for fault in self.killing if fault.call_count]:
            running = [task for task in tasks.values() if task["state"] == "running" and task["pid"]]
            if len(running) == 1:
                self.killing.remove(fault)
                self.airflow.kill_task(running[0]["pid"])
        if self.tasks.get("acceptance.start") == "failed" and not self._is_damaged:
            self._is_damaged = True
            self.environment("Acceptance").data = "damaged by the start that failed"
        super().observe(list(tasks.values()))
        if self.ended:
            self._update()
        self._next_poll_at = time.monotonic() + _POLL_INTERVAL

    def _update(self) -> dict[str, dict[str, Any]]:
        found = self.airflow.api.tasks_of(self.dag_id, self.name)
        self.tasks = {name: task["state"] for name, task in found.items()}
        self.tries = {name: task["try_number"] for name, task in found.items()}
        return found

    def _answer(self) -> None:
        for name, answer in self.answers.items():
            if self.tasks.get(name) not in _STATES_OF_AN_OPEN_APPROVAL:
                continue
            # The scheduler must know of the open approval before it is answered.
            since = self._open_since.setdefault((name, self.tries[name]), time.monotonic())
            if time.monotonic() - since > _ANSWER_DELAY:
                self.changes_at_approval[name] = self.changes()
                self.airflow.api.answer(self.dag_id, self.name, name, answer)

    def start(self, **conf: Any) -> None:
        """Start the run."""
        constants = {mode: {"Shop.Name": f"Shop of {mode}"} for mode in self.old}
        conf = {"constants": constants, **conf} if self.dag_id == RELEASE else conf
        super().start(mendix_conn_id=self.conn_id, **conf)

    def _describe(self, entry: Entry) -> str:
        names = {found.environment_id: found.mode for found in self.platform.environments.of("shop")}
        found = re.search(r"/environments/([^/]+)/(\w+)$", entry.path)
        if found:
            return f"{names.get(found[1], found[1])}: {found[2]}"
        return entry.path.rpartition("/")[2]
