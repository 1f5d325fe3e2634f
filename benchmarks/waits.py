"""The cost of waiting in a triggerer: ours and others' triggers, side by side, in one run on one machine.

    make bench                            everything, in a separate environment in .bench/venv
    python -m benchmarks.waits --only ours        without the others
    python -m benchmarks.waits --small            a few waits, as the tests run it

A server in a separate process, pinned to another core, responds over TLS. The exit code is 0 only if every wait
behaved as expected.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import trustme

from benchmarks.scenario import Scenario
from benchmarks.waiters import CONN_ID, connection

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = (
    "what waits",
    "CPU s",
    "CPU µs per wait and interval",
    "requests per interval",
    "TLS connections",
    "KiB per wait",
    "loop lag p50 / p99 / max ms",
)
OURS = {
    "1 000 waits, 50 apps with 20 packages": Scenario(waits=1000, apps=50),
    "1 000 waits, 50 apps with 200 packages": Scenario(waits=1000, apps=50, packages=200),
    "1 000 waits, 50 apps with 2 000 packages": Scenario(waits=1000, apps=50, packages=2000),
    "1 000 waits, 1 000 apps": Scenario(waits=1000, apps=1000),
    "1 000 waits, 50 apps, rate limit 60 a minute": Scenario(waits=1000, apps=50, rate_limit=60, rounds=14),
    "no waits: the measurement itself": Scenario(waits=0, apps=1),
    "10 000 waits that end, 200 apps": Scenario(waits=10_000, apps=200, packages=50, ends=True, rounds=8),
    **{
        f"{waits} waits, 20 to an app": Scenario(waits=waits, apps=waits // 20)
        for waits in (100, 300, 3000, 10_000)
    },
}
ON_THE_CURVE = ("20 to an app", "50 apps with 20 packages")
PEERS = ("databricks", "dbt-cloud", "airbyte")
SMALL = {
    "40 waits, 4 apps": Scenario(waits=40, apps=4, interval=0.5),
    "40 waits that end, 4 apps": Scenario(waits=40, apps=4, interval=0.5, rounds=8, ends=True),
}


class Machine:
    """The server process, and the processes that wait.

    :ivar server: responds to polls.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cores = sorted(os.sched_getaffinity(0))
        self.cores = [str(core) for core in cores[:2]] if len(cores) > 1 else ["", ""]
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        certificate = folder / "server.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        self.server = self._start(
            "benchmarks.wait_server", str(certificate), self.cores[1], environment=dict(os.environ)
        )
        self.port = self._heard(self.server)

    def measure(self, kind: str, scenario: Scenario) -> dict[str, Any]:
        """Run a scenario and return the measurements of both sides."""
        conn = json.dumps(connection(kind, self.port, str(self.ca)))
        environment = {
            **os.environ,
            f"AIRFLOW_CONN_{CONN_ID.upper()}": conn,
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__MENDIX__REQUESTS_PER_MINUTE": str(scenario.rate_limit),
            "SSL_CERT_FILE": str(self.ca),
            "REQUESTS_CA_BUNDLE": str(self.ca),
        }
        given = msgspec.json.encode(scenario).decode()
        waiters = self._start("benchmarks.waiters", kind, given, self.cores[0], environment=environment)
        with waiters:
            self._heard(waiters)
            began = time.time()
            self._tell(self.server, {"scenario": msgspec.to_builtins(scenario), "began": began})
            self._heard(self.server)
            self._tell(waiters, "begin")
            seen = self._heard(waiters)
        self._tell(self.server, "report")
        return {**seen, **self._heard(self.server), "began": began}

    def stop(self) -> None:
        self.server.kill()
        self.server.communicate()

    def _start(self, module: str, *arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _tell(self, process: subprocess.Popen[str], what: object) -> None:
        assert process.stdin
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()

    def _heard(self, process: subprocess.Popen[str]) -> Any:
        """Return the next JSON line; libraries may print other lines first."""
        assert process.stdout
        for line in process.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                return json.loads(line)
        raise RuntimeError("A process of the benchmark ended too early.")


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """Start the server and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        made = Machine(Path(folder))
        try:
            yield made
        finally:
            made.stop()


def row(scenario: Scenario, seen: dict[str, Any]) -> dict[str, float]:
    """Return the columns of the table."""
    rounds = scenario.rounds
    return {
        "cpu": seen["cpu"],
        "each": 1e6 * seen["cpu"] / max(scenario.waits, 1) / rounds,
        "requests": len(seen["requests"]) / rounds,
        "connections": seen["connections"],
        "memory": seen["memory"] / 1024,
        **dict(zip(("p50", "p99", "max"), seen["lag"], strict=True)),
    }


def check(name: str, scenario: Scenario, seen: dict[str, Any], notes: list[str]) -> list[str]:
    """Return what is wrong, and add notes on what the table leaves out."""
    wrong = [f"{name}: {len(seen['bad'])} waits went wrong: {seen['bad'][0]}"] if seen["bad"] else []
    if scenario.rate_limit:
        times = seen["requests"]
        most = max(sum(at <= other < at + 60 for other in times) for at in times)
        if most > scenario.rate_limit:
            wrong.append(f"{name}: {most} requests in one minute")
    if scenario.ends:
        numbers = [number for number, _ in seen["ended"]]
        late = sorted(at - seen["began"] - scenario.done_after(number) for number, at in seen["ended"])
        notes.append(
            f"{name}: {len(numbers)} ended, {len(set(numbers))} different ones; seconds after their packages:"
            f" median {late[len(late) // 2]:.1f}, last {late[-1]:.1f}"
        )
        if sorted(numbers) != list(range(scenario.waits)):
            wrong.append(f"{name}: not every wait has ended once")
        if late and late[-1] > 2 * scenario.interval:
            wrong.append(f"{name}: {late[-1]:.1f} s late")
    elif seen["ended"]:
        wrong.append(f"{name}: {len(seen['ended'])} waits have ended")
    return wrong


def shown(name: str, values: dict[str, float], base: dict[str, float] | None = None) -> str:
    """Return a line of the table, with ratios to our first one."""

    def cell(key: str, form: str) -> str:
        ratio = f" ({values[key] / base[key]:.1f}x)" if base and base[key] else ""
        return f"{values[key]:{form}}{ratio}"

    lag = f"{values['p50']:.1f} / {cell('p99', '.1f')} / {values['max']:.0f}"
    cells = [name, cell("cpu", ".2f"), f"{values['each']:.0f}", cell("requests", ".0f")]
    return "| " + " | ".join([*cells, cell("connections", ".0f"), cell("memory", ".1f"), lag]) + " |"


def draw(file: Path, curve: list[tuple[Scenario, dict[str, float]]], idle: float) -> None:
    """Draw the cost of a wait by the number of waits.

    :param idle: CPU seconds of the measurement itself.
    """
    from matplotlib import pyplot

    waits = [scenario.waits for scenario, _ in curve]
    polls = [1e6 * (values["cpu"] - idle) / scenario.waits / scenario.rounds for scenario, values in curve]
    figure, plots = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    shown = (("CPU µs per poll", polls), ("KiB per wait", [values["memory"] for _, values in curve]))
    for plot, (label, numbers) in zip(plots, shown, strict=True):
        plot.plot(waits, numbers, marker="o")
        plot.set(xscale="log", xlabel="waits in one process, 20 to an app", ylabel=label, ylim=(0, None))
        plot.set_xticks(waits, [f"{number:,}".replace(",", " ") for number in waits], rotation=30)
        plot.minorticks_off()
        plot.grid(alpha=0.3)
    figure.savefig(file, metadata={"Date": None})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", choices=("ours", "peers"))
    parser.add_argument("--waits", type=int, default=1000, help="number of waits of each other provider")
    parser.add_argument("--draw", type=Path, metavar="SVG", help="draw the cost of a wait by the number of waits")
    asked = parser.parse_args()
    ours = SMALL if asked.small else OURS
    if asked.only == "peers":
        ours = dict([next(iter(ours.items()))])
    peers = () if asked.small or asked.only == "ours" else PEERS
    wrong: list[str] = []
    notes: list[str] = []
    base = None
    idle = 0.0
    curve: list[tuple[Scenario, dict[str, float]]] = []
    print("| " + " | ".join(COLUMNS) + " |\n" + "| --- " * len(COLUMNS) + "|", flush=True)
    with machine() as bench:
        cases = [("mendix", name, scenario) for name, scenario in ours.items()]
        cases[1:1] = [
            (peer, f"{peer}: {asked.waits} waits", Scenario(waits=asked.waits, apps=1, packages=0))
            for peer in peers
        ]
        for kind, name, scenario in cases:
            seen = bench.measure(kind, scenario)
            values = row(scenario, seen)
            wrong += check(name, scenario, seen, notes)
            print(shown(name, values, base if kind != "mendix" else None), flush=True)
            base = base or values
            if kind == "mendix" and not scenario.waits:
                idle = values["cpu"]
            if kind == "mendix" and name.endswith(ON_THE_CURVE):
                curve.append((scenario, values))
    if asked.draw:
        draw(asked.draw, sorted(curve, key=lambda point: point[0].waits), idle)
    print("\n".join(["", *notes, *(wrong or ["Every wait behaved as expected."])]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
