"""Runs cases in parallel, as many as two cores can handle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..airflow_stack.stack import AirflowStack
from .cases import CASES, Case, Script
from .scenario import CrashScenario
from .triggerers import Triggerers

MAX_PARALLEL = 3
STEP_TIMEOUT = 240.0


@dataclass
class Result:
    """The result of a case."""

    case: Case
    scenario: CrashScenario
    error: BaseException | None = None

    def report_sections(self) -> list[tuple[str, str]]:
        """Return what a failed test shows."""
        scenario = self.scenario
        calls = [
            f"{entry.at:.1f} {entry.method} {entry.path} {entry.status}" for entry in scenario.platform.journal
        ]
        return [
            (f"Mendix of {scenario.name}", "\n".join(calls[-60:])),
            (f"{scenario.name}: {scenario.states()}", scenario.log()[-12000:]),
        ]


@dataclass
class _Running:
    result: Result
    script: Script
    waits_for: str = ""
    is_true: Callable[[], bool] = field(default=lambda: True)
    since: float = field(default_factory=time.monotonic)

    def advance(self) -> bool:
        """Continue as far as possible; return whether the case has ended."""
        try:
            while self.is_true():
                self.waits_for, self.is_true = next(self.script)
                self.since = time.monotonic()
            if self.result.scenario.has_failed_unexpectedly:
                raise RuntimeError(f"The run has failed while the case waited for {self.waits_for}.")
            if time.monotonic() - self.since > STEP_TIMEOUT:
                raise TimeoutError(f"Waited {STEP_TIMEOUT:.0f} s for {self.waits_for}.")
        except StopIteration:
            return True
        except Exception as error:  # noqa: BLE001  # its test raises it
            self.result.error = error
            self.script.close()
            return True
        return False


def run(airflow: AirflowStack, triggerers: Triggerers, names: Iterable[str]) -> dict[str, Result]:
    """Run cases and return their results by name."""
    waiting = sorted(names, key=lambda name: CASES[name].alone)
    running: list[_Running] = []
    results: dict[str, Result] = {}

    with ExitStack() as connections:

        def fits() -> bool:
            if CASES[waiting[0]].alone:
                return not running
            return len(running) < MAX_PARALLEL and not any(one.result.case.alone for one in running)

        def step() -> bool:
            while waiting and fits():
                name = waiting.pop(0)
                made = CrashScenario(airflow, triggerers, name, CASES[name].dag_id)
                scenario = connections.enter_context(made.connected())
                results[name] = Result(CASES[name], scenario)
                running.append(_Running(results[name], CASES[name].script(scenario)))
            found = airflow.api.task_instances()
            for one in list(running):
                one.result.scenario.observe(found)
                if one.advance():
                    running.remove(one)
            return not waiting and not running

        airflow.wait_until(step, "all cases", within=STEP_TIMEOUT * len(waiting))
    return results


def table(results: dict[str, Result]) -> list[str]:
    """Return the observations as lines of Markdown."""
    lines = [
        "| Case | Crash | Waits | Start calls | Packages | Returned | States seen | Recovered |",
        "| --- | --- | --- | ---: | ---: | --- | --- | ---: |",
    ]
    for name in CASES:
        if name not in results:
            continue
        case, scenario, error = results[name].case, results[name].scenario, results[name].error
        where = "deferred" if case.dag_id.endswith("deferred") else "on the worker"
        after = "" if scenario.recovered_after is None else f"{scenario.recovered_after:.0f} s"
        returned = scenario.returned() if scenario.run_state == "success" else str(error or scenario.run_state)
        lines.append(
            f"| `{name}` | {case.crash} | {where} | {scenario.start_calls} | {len(scenario.packages)} | {returned}"
            f" | {scenario.states()} | {after} |"
        )
    remarks = [f"- `{name}`: {remark}." for name, result in results.items() for remark in result.scenario.remarks]
    return [*lines, *(["", *remarks] if remarks else [])]
