"""One run of a DAG, and the Mendix that it talks to."""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, Ending, StoredPackage, Timeline

from ..conftest import USER
from ..secrets_search import RememberingPlatform, Secret
from .stack import AirflowStack


class Scene:
    """A run against a Mendix of its own, so that all runs can go on at the same time.

    :param airflow: where it runs.
    :param name: of the run and of its row in the table.
    :param task_id: the task that waits.
    :param conn_id: the connection that leads to its Mendix.
    :param ending: how builds end there.
    :cvar is_told: whether :meth:`observe` wants to be told of task instances; otherwise it asks.
    """

    is_told: ClassVar[bool] = True

    def __init__(
        self,
        airflow: AirflowStack,
        name: str,
        dag_id: str,
        task_id: str,
        *,
        conn_id: str | None = None,
        ending: Ending = Ending.SUCCEEDS,
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
        self.platform = RememberingPlatform()
        self.platform.add_account(USER, self.keys[0])
        self.platform.add_personal_access_token(self.token)
        self.platform.add_app("shop")
        self.revision = self.platform.push("shop")
        self.platform.timeline = Timeline.of(seconds=15)
        self.platform.ending = ending

    @contextmanager
    def connected(self) -> Iterator[Self]:
        """Open this Mendix, and store a connection to it."""
        with Server(self.platform) as server:
            self.airflow.api.add_connection(
                self.conn_id,
                host=server.api_url,
                login=USER,
                password=self.keys[0],
                extra=json.dumps({"personal_access_token": self.token, "repository_url": server.repository_url}),
            )
            yield self

    def start(self, **conf: str) -> None:
        """Start the run."""
        self._began = time.monotonic()
        self.airflow.api.trigger(self.dag_id, self.name, conf)

    def add_unfinished_package(self) -> str:
        """Let a build be under way that goes on until :meth:`let_it_succeed`."""
        package_id = self.platform.add_package("shop", version="1.0.0", revision=self.revision)
        self.platform.packages[package_id].steps = Ending.STUCK_BUILDING.steps(self.platform.timeline)
        return package_id

    def let_it_succeed(self) -> None:
        """Finish the one build."""
        self.package.steps = [(SUCCEEDED, math.inf)]

    @property
    def package(self) -> StoredPackage:
        """The one package that there is now."""
        (package,) = self.platform.packages.values()
        return package

    @property
    def ended(self) -> bool:
        return self.run_state in ("success", "failed")

    def observe(self, task_instances: list[dict[str, Any]]) -> None:
        """Write down what the API says about this run."""
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
        """How often its Mendix has answered like this."""
        return sum(entry.status == status for entry in self.platform.journal.requests(method))

    def clear(self) -> None:
        """Clear the task."""
        self.airflow.api.clear(self.dag_id, self.name, self.task_id)

    def links(self) -> dict[str, str]:
        """Give the task's extra links."""
        return self.airflow.api.links(self.dag_id, self.name, self.task_id)

    def return_value(self) -> Any:
        """Give what the task has returned."""
        return self.airflow.api.return_value(self.dag_id, self.name, self.task_id)

    def give_new_key(self) -> None:
        """Change the key as a careful person does: first in Airflow, then the old one stops working."""
        self.keys.append(_new_key())
        self.airflow.api.change_connection(self.conn_id, password=self.keys[-1])
        self.platform.set_api_key(USER, self.keys[-1])

    @property
    def secrets(self) -> list[Secret]:
        """What must not be written anywhere, so far."""
        keys = [Secret(f"key of {self.name}", key) for key in self.keys]
        return [*keys, Secret(f"token of {self.name}", self.token), *self.platform.signatures]

    def log(self) -> str:
        """Give the task's log files, its trigger's included."""
        folder = (
            self.airflow.task_logs / f"dag_id={self.dag_id}" / f"run_id={self.name}" / f"task_id={self.task_id}"
        )
        return "\n".join(file.read_text() for file in sorted(folder.iterdir())) if folder.is_dir() else ""

    def states(self) -> str:
        """Give the states that were seen, for people."""
        parts: list[str] = []
        shown = 1
        for attempt, state in self.seen:
            parts.append(f"try {attempt}: {state}" if attempt > shown else state)
            shown = max(shown, attempt)
        return " → ".join(parts)


class Scenes(dict[str, Scene]):
    """All of them; waiting for one looks at all."""

    def __init__(self, airflow: AirflowStack) -> None:
        super().__init__()
        self.airflow = airflow

    def wait_until(self, true: Callable[[], bool], what: str, *, within: float = 120) -> None:
        """Look at all runs until something is true of one."""

        def look() -> bool:
            found = self.airflow.api.task_instances() if any(scene.is_told for scene in self.values()) else []
            for scene in self.values():
                scene.observe(found)
            return true()

        self.airflow.wait_until(look, what, within=within)

    def see(self, name: str, state: str, *, attempt: int = 1) -> Scene:
        """Wait until a task has been seen in a state."""
        scene = self[name]
        self.wait_until(lambda: (attempt, state) in scene.seen, f"{name} to be {state}")
        return scene

    def end(self, name: str, *, within: float = 120) -> Scene:
        """Wait until a run is over."""
        scene = self[name]
        self.wait_until(lambda: scene.ended, f"{name} to end", within=within)
        return scene


def _new_key() -> str:
    return f"canary-{secrets.token_hex(16)}"
