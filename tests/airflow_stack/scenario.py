"""One run of a DAG, with a simulated Mendix of its own."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, BuildOutcome, StoredPackage, Timeline

from ..conftest import USER
from ..secrets_search import RememberingPlatform, Secret
from .stack import AirflowStack


class Scenario:
    """A run with a Mendix of its own, so that all runs can go on at the same time.

    :param name: of the run and of its row in the table.
    :param task_id: the task that waits.
    :param conn_id: id of the connection to its Mendix.
    :param ending: how builds end there.
    :cvar needs_task_instances: whether :meth:`observe` uses its argument; otherwise it asks Airflow itself.
    """

    needs_task_instances: ClassVar[bool] = True

    def __init__(
        self,
        airflow: AirflowStack,
        name: str,
        dag_id: str,
        task_id: str,
        *,
        conn_id: str | None = None,
        ending: BuildOutcome = BuildOutcome.SUCCEEDS,
    ) -> None:
        self.airflow = airflow
        self.name = name
        self.dag_id = dag_id
        self.task_id = task_id
        self.conn_id = conn_id or f"mendix_{name}"
        self.keys = [_new_key()]
        self.seen: list[tuple[int, str]] = []
        self.seconds = 0.0
        self.run_state = ""
        self._began = 0.0
        self.token = _new_key()
        self.platform = RememberingPlatform(options=Options(team_server="retired"))
        self.platform.permissions.add_account(USER, self.keys[0])
        self.platform.permissions.add_personal_access_token(self.token)
        self.platform.add_app("shop")
        self.revision = self.platform.repositories.push("shop")
        self.platform.packages.timeline = Timeline.of(seconds=15)
        self.platform.packages.outcome = ending

    @contextmanager
    def connected(self) -> Iterator[Self]:
        """Start this Mendix, and store a connection to it."""
        with Server(self.platform) as server:
            extra = {"personal_access_token": self.token, "repository_url": server.repository_url}
            self.add_connection(host=server.api_url, login=USER, password=self.keys[0], extra=json.dumps(extra))
            yield self

    def add_connection(self, **values: str) -> None:
        """Store the connection in Airflow's database."""
        self.airflow.api.add_connection(self.conn_id, **values)

    def start(self, **conf: Any) -> None:
        """Start the run."""
        self._began = time.monotonic()
        self.airflow.api.trigger(self.dag_id, self.name, conf)

    def add_unfinished_package(self) -> str:
        """Add a package whose build goes on until :meth:`finish_build`."""
        package_id = self.platform.packages.add("shop", version="1.0.0", revision=self.revision)
        self.platform.packages[package_id].steps = BuildOutcome.STUCK_BUILDING.steps(
            self.platform.packages.timeline
        )
        return package_id

    def finish_build(self) -> None:
        """Let the one build succeed now."""
        self.package.steps = [(SUCCEEDED, math.inf)]

    @property
    def package(self) -> StoredPackage:
        """The only package."""
        (package,) = self.platform.packages.values()
        return package

    @property
    def ended(self) -> bool:
        return self.run_state in ("success", "failed")

    def observe(self, task_instances: list[dict[str, Any]]) -> None:
        """Record the state of this run and its task."""
        for found in task_instances:
            if (found["dag_id"], found["dag_run_id"], found["task_id"]) != (self.dag_id, self.name, self.task_id):
                continue
            state = (found["try_number"], found["state"] or "no state")
            if not self.seen or self.seen[-1] != state:
                self.seen.append(state)
        if self._began and not self.ended:
            self.run_state = self.airflow.api.run(self.dag_id, self.name)["state"]
            self.seconds = time.monotonic() - self._began

    def count(self, method: str, status: int) -> int:
        """Count the requests with a method that its Mendix has answered with a status."""
        return sum(entry.status == status for entry in self.platform.journal.requests(method))

    def clear(self) -> None:
        """Clear the task."""
        self.airflow.api.clear(self.dag_id, self.name, self.task_id)

    def links(self) -> dict[str, str]:
        """Return the task's extra links."""
        return self.airflow.api.links(self.dag_id, self.name, self.task_id)

    def return_value(self) -> Any:
        """Return the task's return value."""
        return self.airflow.api.return_value(self.dag_id, self.name, self.task_id)

    def rotate_key(self) -> None:
        """Change the API key in Airflow, then let the old one stop working."""
        self.keys.append(_new_key())
        self.airflow.api.change_connection(self.conn_id, password=self.keys[-1])
        self.platform.permissions.set_api_key(USER, self.keys[-1])

    @property
    def secrets(self) -> list[Secret]:
        """All secrets of this run so far."""
        keys = [Secret(f"key of {self.name}", key) for key in self.keys]
        return [*keys, Secret(f"token of {self.name}", self.token), *self.platform.signatures]

    def log(self) -> str:
        """Return the content of the task's log files, its trigger's included."""
        folder = (
            self.airflow.task_logs / f"dag_id={self.dag_id}" / f"run_id={self.name}" / f"task_id={self.task_id}"
        )
        return "\n".join(file.read_text() for file in sorted(folder.iterdir())) if folder.is_dir() else ""

    def states(self) -> str:
        """Return the states that were seen, as text."""
        parts: list[str] = []
        shown = 1
        for attempt, state in self.seen:
            parts.append(f"try {attempt}: {state}" if attempt > shown else state)
            shown = max(shown, attempt)
        return " → ".join(parts)


class Scenarios(dict[str, Scenario]):
    """All scenarios by name. Waiting for one observes all of them."""

    def __init__(self, airflow: AirflowStack) -> None:
        super().__init__()
        self.airflow = airflow

    def wait_until(self, true: Callable[[], bool], what: str, *, within: float = 120) -> None:
        """Observe all runs until a condition is true."""

        def observe() -> bool:
            needed = any(scenario.needs_task_instances for scenario in self.values())
            found = self.airflow.api.task_instances() if needed else []
            for scenario in self.values():
                scenario.observe(found)
            return true()

        self.airflow.wait_until(observe, what, within=within)

    def wait_for(self, name: str, state: str, *, attempt: int = 1) -> Scenario:
        """Wait until a task has been seen in a state."""
        scenario = self[name]
        self.wait_until(lambda: (attempt, state) in scenario.seen, f"{name} to be {state}")
        return scenario

    def wait_for_end(self, name: str, *, within: float = 120) -> Scenario:
        """Wait until a run has ended."""
        scenario = self[name]
        self.wait_until(lambda: scenario.ended, f"{name} to end", within=within)
        return scenario

    def report_sections(self) -> list[tuple[str, str]]:
        """Return what a failed test shows."""
        return [(f"{one.name}: {one.states()}", one.log()[-4000:]) for one in self.values()]


def _new_key() -> str:
    return f"canary-{secrets.token_hex(16)}"
