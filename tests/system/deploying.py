"""Runs that deploy: who approves, whose process is killed, and what Mendix was asked to change."""

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

from .scene import Scene
from .stack import AirflowStack

RELEASE = "example_mendix_release"
_LOOK_EVERY = 2.0
_THINKS_FOR = 4.0
_ASKING = ("awaiting_input", "deferred")


class DeployScene(Scene):
    """A run of the release, and a Mendix in which both environments run a package of their own.

    :param answers: what the person says whom an approval asks, by the task's id.
    """

    is_told = False

    def __init__(self, airflow: AirflowStack, name: str, answers: Mapping[str, str]) -> None:
        super().__init__(airflow, name, RELEASE, "acceptance.start")
        self.answers = answers
        self.tasks: dict[str, str | None] = {}
        self.tries: dict[str, int] = {}
        self.changes_when_asked: dict[str, list[str]] = {}
        self.killing: list[ActiveFault] = []
        self.old: dict[str, str] = {}
        self._asked_from = 0
        self._look_again = 0.0
        self._asked_since: dict[tuple[str, int], float] = {}
        self._is_spoilt = False
        self.platform.timeline = Timeline.of(seconds=2)
        # What takes no time is not waited for in the triggerer, and what is must not end at the first look there:
        # a busy scheduler could hear of that before it hears of the deferral, and fail the task.
        self.platform.deployment = DeploymentTimeline(
            stopping=0, transporting=0, starting=8, backing_up=8, restoring=0
        )
        for mode, version in (("Acceptance", "2.5.3"), ("Production", "2.5.2")):
            package_id = self.platform.add_package("shop", version=version, revision="0badc0de")
            self.platform.add_environment("shop", mode, package_id=package_id, running=True).data = f"of {mode}"
            self.old[mode] = package_id

    def kill_after(self, *endpoints: str) -> None:
        """Kill the process of the task whose request has been carried out, before it has an answer."""
        self.killing += [self.platform.faults.add("hang", on=name, handled=True) for name in endpoints]

    def another_run(self, name: str, dag_id: str, task_id: str) -> Self:
        """Make a run of another DAG, against the same Mendix as it is now."""
        made = copy.copy(self)
        made.name, made.dag_id, made.task_id = name, dag_id, task_id
        made.seen, made.tasks, made.tries, made.run_state, made.answers = [], {}, {}, "", {}
        made._asked_from = len(self.platform.journal)
        return made

    def environment(self, mode: str) -> StoredEnvironment:
        """Give one as it is now."""
        return self.platform.environment("shop", mode)

    @property
    def new(self) -> str:
        """The package that was built or uploaded."""
        (package_id,) = self.platform.packages.keys() - self.old.values()
        return package_id

    @property
    def requests(self) -> list[Entry]:
        """What was asked of Mendix since the run began."""
        return self.platform.journal[self._asked_from :]

    def changes(self) -> list[str]:
        """What Mendix was asked to change, and did, in order."""
        return [self._what(entry) for entry in self.requests if entry.method != "GET" and entry.status < 400]

    def refused(self) -> list[str]:
        """What it was asked to change, and did not."""
        return [self._what(entry) for entry in self.requests if entry.method != "GET" and entry.status >= 400]

    def observe(self, task_instances: list[dict[str, Any]]) -> None:
        """Look at all tasks of this run, and do what is to be done: answer, kill."""
        if time.monotonic() < self._look_again or not self._began or self.ended:
            return
        tasks = self._look()
        self._answer()
        for fault in [fault for fault in self.killing if fault.struck]:
            running = [task for task in tasks.values() if task["state"] == "running" and task["pid"]]
            if len(running) == 1:
                self.killing.remove(fault)
                self.airflow.kill_task(running[0]["pid"])
        if self.tasks.get("acceptance.start") == "failed" and not self._is_spoilt:
            self._is_spoilt = True
            self.environment("Acceptance").data = "spoilt by the start that failed"
        super().observe(list(tasks.values()))
        if self.ended:
            self._look()
        self._look_again = time.monotonic() + _LOOK_EVERY

    def _look(self) -> dict[str, dict[str, Any]]:
        found = self.airflow.api.tasks_of(self.dag_id, self.name)
        self.tasks = {name: task["state"] for name, task in found.items()}
        self.tries = {name: task["try_number"] for name, task in found.items()}
        return found

    def _answer(self) -> None:
        for name, answer in self.answers.items():
            if self.tasks.get(name) not in _ASKING:
                continue
            # Nobody answers at once: the scheduler has to hear first that the task asks.
            since = self._asked_since.setdefault((name, self.tries[name]), time.monotonic())
            if time.monotonic() - since > _THINKS_FOR:
                self.changes_when_asked[name] = self.changes()
                self.airflow.api.answer(self.dag_id, self.name, name, answer)

    def start(self, **conf: str) -> None:
        """Start the run."""
        super().start(mendix_conn_id=self.conn_id, **conf)

    def _what(self, entry: Entry) -> str:
        names = {found.environment_id: found.mode for found in self.platform.environments("shop")}
        found = re.search(r"/environments/([^/]+)/(\w+)$", entry.path)
        if found:
            return f"{names.get(found[1], found[1])}: {found[2]}"
        return entry.path.rpartition("/")[2]
