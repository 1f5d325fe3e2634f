"""A simulated Mendix on loopback, with a clock that moves only when code sleeps on it."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

# Airflow reads its home when it is first imported.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

import pendulum
import pytest
from airflow.providers.common.compat.sdk import BaseOperator, TaskDeferred

# The exception itself lives elsewhere before Airflow 3.1.
from airflow.sdk.bases.sensor import AirflowRescheduleException

from airflow_provider_mendix.clock import ManualClock, use_clock
from airflow_provider_mendix.sensors.base import MendixSensor
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import Timeline

USER = "ana@example.com"
KEY = "key-of-ana-0123456789"
TOKEN = "token-of-ana-0123456789"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use Airflow's commands, and run slow tests first.

    `make test` hands out file by file, so that at the end no process waits long for another.
    """
    for item in items:
        if "airflow" in item.fixturenames:
            item.add_marker("airflow")
    items.sort(key=lambda item: [not item.get_closest_marker(mark) for mark in ("airflow", "slow")])


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    """Replace the clock of everything that waits."""
    with use_clock(ManualClock()) as clock:
        yield clock


@pytest.fixture
def platform(clock: ManualClock) -> Platform:
    """A Mendix with one user, and one app whose builds take 90 seconds."""
    platform = Platform(clock)
    platform.permissions.add_account(USER, KEY)
    platform.permissions.add_personal_access_token(TOKEN)
    platform.add_app("shop")
    platform.packages.timeline = Timeline(queued=20, building=60, uploading=10)
    return platform


@pytest.fixture
def server(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """That Mendix on loopback, and the connection `mendix_default` to it."""
    with Server(platform) as server:
        set_connection(monkeypatch, host=server.api_url)
        yield server


@pytest.fixture
def token(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give that connection a personal access token, which looking up revisions takes."""
    use_token(monkeypatch, server)
    return TOKEN


def use_token(monkeypatch: pytest.MonkeyPatch, server: Server, token: str = TOKEN, **fields: Any) -> None:
    """Define the connection `mendix_default` to a server, with a personal access token."""
    extra = {"personal_access_token": token, "repository_url": server.repository_url}
    set_connection(monkeypatch, host=server.api_url, extra=extra, **fields)


def set_connection(monkeypatch: pytest.MonkeyPatch, conn_id: str = "mendix_default", **fields: Any) -> None:
    """Define an Airflow connection."""
    values = {"conn_type": "mendix", "login": USER, "password": KEY, **fields}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(values))


@dataclass
class TaskInstance:
    """The part of Airflow's task instance that our operators use."""

    dag_id: str = "release"
    run_id: str = "manual__2023-11-14"
    task_id: str = "build"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    xcoms: dict[str, object] = field(default_factory=dict)

    def xcom_push(self, key: str, value: object) -> None:
        self.xcoms[key] = value


@pytest.fixture
def context(clock: ManualClock) -> dict[str, Any]:
    """A context to execute in."""
    return {"ti": TaskInstance(), "dag_run": SimpleNamespace(start_date=pendulum.from_timestamp(clock.now() - 5))}


def run_task(operator: BaseOperator, context: dict[str, Any]) -> Any:
    """Run a task as Airflow does: defer, run the trigger from its row, resume with the event's JSON."""
    try:
        return operator.execute(context)
    except TaskDeferred as deferred:
        event = run_trigger(deferred.trigger)
        return operator.resume_execution(deferred.method_name, {"event": event}, context)


SENSOR_MODES = ["poke", "reschedule", "deferrable"]


@pytest.fixture
def run_sensor(clock: ManualClock, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a sensor to its end in any mode, on the simulated clock."""
    airflows = "airflow.sdk.bases.sensor"
    now = SimpleNamespace(utcnow=lambda: datetime.fromtimestamp(clock.now(), UTC))
    monkeypatch.setattr(f"{airflows}.time", SimpleNamespace(sleep=clock.sleep, monotonic=clock.now))
    monkeypatch.setattr(f"{airflows}.timezone", now)

    def run(kind: type[MendixSensor], mode: str, **arguments: Any) -> Any:
        def sensor() -> MendixSensor:
            airflows_mode = "poke" if mode == "deferrable" else mode
            return kind(task_id="wait", deferrable=mode == "deferrable", mode=airflows_mode, **arguments)

        return run_rescheduled(sensor) if mode == "reschedule" else run_task(sensor(), context)

    def run_rescheduled(sensor: Callable[[], MendixSensor]) -> Any:
        """Make each poke with a new sensor, as a worker does in a new process."""
        began = now.utcnow()
        context["ti"].get_first_reschedule_date = lambda _: began
        while True:
            try:
                return sensor().execute(context)
            except AirflowRescheduleException as later:
                clock.time = later.reschedule_date.timestamp()

    return run


def run_trigger(trigger: Any) -> Any:
    """Rebuild a trigger from its row, run it, and return its one event after a round trip through JSON."""
    path, arguments = trigger.serialize()
    module, _, name = path.rpartition(".")
    rebuilt = getattr(__import__(module, fromlist=[name]), name)(**json.loads(json.dumps(arguments)))

    async def events() -> list[Any]:
        return [event.payload async for event in rebuilt.run()]

    (event,) = asyncio.run(events())
    return json.loads(json.dumps(event))
