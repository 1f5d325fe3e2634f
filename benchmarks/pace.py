"""Fixed and adaptive intervals side by side: how often Mendix is asked, and how late the end of a build is seen.

    python -m benchmarks.pace

Arithmetic in simulated time, with the code that waits; the same builds for every row, and in every run.
"""

from __future__ import annotations

import random
import statistics

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.polling.pace import History
from airflow_provider_mendix.waits.base import PackageWait
from airflow_provider_mendix.waits.poll_state import Watch

BUILDS = 400
WAYS: dict[str, tuple[float, float | None]] = {
    "every 10 s": (10, None),
    "every 30 s (default)": (30, None),
    "every 60 s": (60, None),
    "5 s to 60 s": (5, 60),
    "5 s to 120 s": (5, 120),
    "5 s to 300 s": (5, 300),
    "10 s to 120 s": (10, 120),
}
SPREADS = {"alike (± 10 %)": 0.1, "unlike (half to twice)": None}


def builds(spread: float | None) -> list[dict[str, float]]:
    """Seconds that builds spend in each phase; a build of eight minutes, in the middle."""
    chance = random.Random(42)

    def about(seconds: float) -> float:
        return seconds * (2 ** chance.uniform(-1, 1) if spread is None else chance.uniform(1 - spread, 1 + spread))

    return [{"Queued": about(30), "Building": about(420), "Uploading": about(30)} for _ in range(BUILDS)]


def waited(
    phases: dict[str, float], history: History, shortest: float, longest: float | None
) -> tuple[int, float]:
    """Wait for one build: how many looks, and how many seconds late its end was seen."""
    watch = Watch(
        PackageWait("shop", "package"),
        poll_interval=shortest,
        max_poll_interval=longest,
        deadline=1e9,
        outage_tolerance=None,
        now=0.0,
    )
    now, looks = 0.0, 0
    while True:
        looks += 1
        outcome = watch.observe(Package("package", state_at(phases, now)), now)
        if outcome.done:
            history.note("shop", watch.spent)
            return looks, now - sum(phases.values())
        watch.usual = history.usual("shop")
        now += watch.delay(now)


def state_at(phases: dict[str, float], now: float) -> str:
    for state, seconds in phases.items():
        if now < seconds:
            return state
        now -= seconds
    return "Succeeded"


def main() -> None:
    for name, spread in SPREADS.items():
        print(f"| builds of 8 minutes, {name} | looks at a build | seconds late: mean | p95 |\n|---|---|---|---|")
        for way, (shortest, longest) in WAYS.items():
            history = History()
            seen = [waited(phases, history, shortest, longest) for phases in builds(spread)]
            looks, late = (list(values) for values in zip(*seen, strict=True))
            p95 = statistics.quantiles(late, n=20)[-1]
            print(f"| {way} | {statistics.mean(looks):.1f} | {statistics.mean(late):.1f} | {p95:.1f} |")
        print()


if __name__ == "__main__":
    main()
