"""A process in which many triggers wait, as in a triggerer, and the cost of that.

It leaves out the work of Airflow's own triggerer for each trigger, which is the same for all.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
from airflow.triggers.base import BaseTrigger

from airflow_provider_mendix.waits.package import PackageWait
from airflow_provider_mendix.waits.poll_state import PollState
from benchmarks.scenario import Scenario, package_id

CONN_ID = "bench"
FOR_EVER = 7 * 24 * 3600.0


def mendix(scenario: Scenario, number: int) -> BaseTrigger:
    """Return one of ours, as another triggerer takes it over: its next poll is overdue."""
    trigger: type[BaseTrigger] = importlib.import_module("airflow_provider_mendix.triggers.wait").MendixWaitTrigger
    wait = PackageWait(scenario.app(number), package_id(number))
    state = PollState.begin(
        time.time() - 60, poll_interval=scenario.interval, timeout=FOR_EVER, outage_tolerance=None
    )
    return trigger(mendix_conn_id=CONN_ID, wait=wait.to_json(), poll_state=state.to_json())


def databricks(scenario: Scenario, number: int) -> BaseTrigger:
    module = importlib.import_module("airflow.providers.databricks.triggers.databricks")
    return module.DatabricksExecutionTrigger(number + 1, CONN_ID, polling_period_seconds=scenario.interval)


def dbt_cloud(scenario: Scenario, number: int) -> BaseTrigger:
    module = importlib.import_module("airflow.providers.dbt.cloud.triggers.dbt")
    return module.DbtCloudRunJobTrigger(CONN_ID, number + 1, time.time() + FOR_EVER, scenario.interval, 1)


def airbyte(scenario: Scenario, number: int) -> BaseTrigger:
    module = importlib.import_module("airflow.providers.airbyte.triggers.airbyte")
    return module.AirbyteSyncTrigger(number + 1, CONN_ID, time.time() + FOR_EVER, scenario.interval)


KINDS: dict[str, Callable[[Scenario, int], BaseTrigger]] = {
    "mendix": mendix,
    "databricks": databricks,
    "dbt-cloud": dbt_cloud,
    "airbyte": airbyte,
}


def connection(kind: str, port: int, ca: str) -> dict[str, Any]:
    """Return the Airflow connection for a kind of trigger."""
    return {
        "mendix": {
            "conn_type": "mendix",
            "login": "ana@example.com",
            "password": "key-of-ana",
            "host": f"https://127.0.0.1:{port}",
            "extra": {"verify": ca},
        },
        "databricks": {"conn_type": "databricks", "host": "127.0.0.1", "port": port, "password": "token"},
        "dbt-cloud": {"conn_type": "dbt_cloud", "host": f"127.0.0.1:{port}", "password": "token", "login": "1"},
        "airbyte": {"conn_type": "airbyte", "host": f"https://127.0.0.1:{port}"},
    }[kind]


class Lag:
    """How late the event loop runs what is due."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    async def watch(self) -> None:
        while True:
            due = time.monotonic() + 0.01
            await asyncio.sleep(0.01)
            self.seen.append(time.monotonic() - due)

    def percentiles(self) -> list[float]:
        seen = sorted(self.seen) or [0.0]
        return [round(1000 * seen[min(int(len(seen) * part), len(seen) - 1)], 1) for part in (0.5, 0.99, 1.0)]


async def wait(kind: str, scenario: Scenario) -> dict[str, Any]:
    """Let the triggers of a scenario wait for its duration."""
    ended: list[tuple[int, float, Any]] = []

    async def follow(number: int, trigger: BaseTrigger) -> None:
        async for event in trigger.run():
            ended.append((number, time.time(), event.payload))

    lag = Lag()
    memory, spent = _memory(), _seconds()
    tasks = [
        asyncio.create_task(follow(number, KINDS[kind](scenario, number))) for number in range(scenario.waits)
    ]
    probe = asyncio.create_task(lag.watch())
    await asyncio.wait(tasks or [probe], timeout=scenario.seconds)
    spent, memory = _seconds() - spent, _memory() - memory
    probe.cancel()
    for task in tasks:
        task.cancel()
    broken = [end for end in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(end, Exception)]
    return {
        "cpu": spent,
        "memory": memory / max(scenario.waits, 1),
        "lag": lag.percentiles(),
        "ended": [(number, at) for number, at, _ in ended],
        "bad": [repr(end) for end in broken] + [str(payload) for *_, payload in ended if not _is_good(payload)],
    }


def log_as_a_triggerer_does() -> None:
    """Write JSON lines, to the null device instead of a supervisor."""
    from airflow.sdk.log import configure_logging, reset_logging

    reset_logging()
    output = open(os.devnull, "wb", buffering=0)  # noqa: SIM115 - it stays open as long as the process
    to_supervisor = {"sending_to_supervisor": True}
    if not to_supervisor.keys() <= inspect.signature(configure_logging).parameters.keys():
        to_supervisor = {}  # older Airflows
    configure_logging(json_output=True, output=output, **to_supervisor)


def _is_good(payload: Any) -> bool:
    return bool(payload.get("ended") == "success")


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def main() -> None:
    kind, scenario, core = sys.argv[1], msgspec.json.decode(sys.argv[2], type=Scenario), sys.argv[3]
    if core:
        os.sched_setaffinity(0, {int(core)})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    log_as_a_triggerer_does()
    KINDS[kind](scenario, 0)  # loads its modules
    for module in ("airflow_provider_mendix.polling.poller", "aiohttp"):
        if kind == "mendix":
            importlib.import_module(module)
    from airflow.providers.common.compat.connection import get_async_connection

    asyncio.run(get_async_connection(CONN_ID))
    gc.collect()
    gc.freeze()
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(wait(kind, scenario))), flush=True)


if __name__ == "__main__":
    main()
