"""Many deferred waits on real Airflow: all its processes, and a simulated Mendix on loopback.

    python -m benchmarks.deferred --waits 500

Every build continues until all waits are deferred, and for a while after that; then all end at once.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

import psutil

from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, BuildOutcome
from tests.airflow_stack.stack import AirflowStack

APPS = 25
IDLE = 60.0
INTERVAL = 10.0
MAX_WAIT = 3600.0
DAG_FILE = Path(__file__).parent / "dags" / "many_waits.py"


class States:
    """How many tasks are in each state, and how many seconds all tasks together spent in it."""

    def __init__(self, airflow: AirflowStack) -> None:
        self.airflow = airflow
        self.held = dict.fromkeys(("running", "queued", "deferred"), 0.0)
        self._updated_at = time.monotonic()

    def update(self) -> dict[str, int]:
        counts = {state: self._count(state) for state in (*self.held, "success", "failed")}
        now = time.monotonic()
        for state in self.held:
            self.held[state] += counts[state] * (now - self._updated_at)
        self._updated_at = now
        return counts

    def until(self, state: str, number: int) -> float:
        """Wait until this many tasks are in a state, and return the seconds that it took."""
        began = time.monotonic()
        while (counts := self.update())[state] < number:
            if counts["failed"] or time.monotonic() - began > MAX_WAIT:
                raise SystemExit(f"Waited for {number} to be in state {state}: {counts}")
            time.sleep(0.5)
        return time.monotonic() - began

    def _count(self, state: str) -> int:
        query = {"state": state, "limit": 1}
        found = self.airflow.api._call("GET", "dags/many_waits/dagRuns/~/taskInstances", params=query)
        return int(found["total_entries"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waits", type=int, default=500)
    waits = parser.parse_args().waits
    platform = Platform()
    platform.permissions.add_account("bench", "key-of-bench")
    packages = []
    for number in range(waits):
        app_id = f"app-{number % APPS}"
        if app_id not in platform.apps:
            platform.add_app(app_id)
        package_id = platform.packages.add(app_id, version="1.0.0", revision="0badc0de")
        platform.packages[package_id].steps = BuildOutcome.STUCK_BUILDING.steps(platform.packages.timeline)
        packages.append({"app_id": app_id, "package_id": package_id})
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Server(platform) as server:
        airflow = AirflowStack(Path(folder) / "airflow", [DAG_FILE])
        airflow.home.mkdir()
        airflow._environment["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "INFO"
        try:
            airflow.start()
            airflow.api.add_connection(
                "mendix_default", host=server.api_url, login="bench", password="key-of-bench"
            )
            triggerer = [psutil.Process(airflow._processes["triggerer"].pid), *airflow.children("triggerer")]
            empty = memory(triggerer)
            airflow.api.trigger("many_waits", "run", {"packages": packages})
            states = States(airflow)
            deferring = states.until("deferred", waits)
            slots_to_defer = states.held["running"]
            time.sleep(2 * INTERVAL)
            requests, cpu = len(platform.journal), seconds(triggerer)
            time.sleep(IDLE)
            requests, cpu = len(platform.journal) - requests, seconds(triggerer) - cpu
            grown = memory(triggerer) - empty
            for package in platform.packages.values():
                package.steps = [(SUCCEEDED, math.inf)]
            states.update()
            ending = states.until("success", waits + 1)
        finally:
            airflow.stop()
    held = states.held["running"]
    print(f"{waits} waits over {APPS} apps, a poll every {INTERVAL:.0f} s, LocalExecutor with 4 slots:")
    print(f"- all deferred after {deferring:.0f} s, and all succeeded {ending:.0f} s after their packages")
    print(
        f"- worker-slot seconds: {held:.0f}, {held / waits:.2f} a wait ({slots_to_defer / waits:.2f} to defer it)"
    )
    print(f"- while all waited, in {IDLE:.0f} s: no slot, {cpu:.1f} CPU s of the triggerer, {requests} requests")
    print(f"- the triggerer had grown by {grown / 2**20:.0f} MiB, {grown / 1024 / waits:.0f} KiB a wait")
    return 0


def memory(processes: list[psutil.Process]) -> int:
    return sum(process.memory_info().rss for process in processes)


def seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


if __name__ == "__main__":
    sys.exit(main())
