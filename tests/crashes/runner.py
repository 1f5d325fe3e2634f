"""Runs cases side by side, as many as two cores can bear."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from .cases import CASES, Case, Script
from .scene import CrashScene
from .stack import CrashStack

AT_ONCE = 3
STEP_WITHIN = 240.0


@dataclass
class Result:
    """What became of a case."""

    case: Case
    scene: CrashScene
    error: BaseException | None = None


@dataclass
class _Running:
    result: Result
    script: Script
    waits_for: str = ""
    true: Callable[[], bool] = field(default=lambda: True)
    since: float = field(default_factory=time.monotonic)

    def advance(self) -> bool:
        """Go on as far as possible, and tell whether it is over."""
        try:
            while self.true():
                self.waits_for, self.true = next(self.script)
                self.since = time.monotonic()
            if time.monotonic() - self.since > STEP_WITHIN:
                raise TimeoutError(f"Waited {STEP_WITHIN:.0f} s in vain for {self.waits_for}.")
        except StopIteration:
            return True
        except Exception as error:  # noqa: BLE001  # its test raises it
            self.result.error = error
            self.script.close()
            return True
        return False


def run(stack: CrashStack, names: Iterable[str]) -> dict[str, Result]:
    """Run cases, and give what became of each."""
    waiting = sorted(names, key=lambda name: CASES[name].alone)
    running: list[_Running] = []
    results: dict[str, Result] = {}

    with ExitStack() as connections:

        def fits() -> bool:
            if CASES[waiting[0]].alone:
                return not running
            return len(running) < AT_ONCE and not any(one.result.case.alone for one in running)

        def step() -> bool:
            while waiting and fits():
                name = waiting.pop(0)
                scene = connections.enter_context(CrashScene(stack, name, CASES[name].dag_id).connected())
                results[name] = Result(CASES[name], scene)
                running.append(_Running(results[name], CASES[name].script(scene)))
            found = stack.api.task_instances()
            for one in list(running):
                one.result.scene.observe(found)
                if one.advance():
                    running.remove(one)
            return not waiting and not running

        stack.wait_until(step, "all cases", within=STEP_WITHIN * len(waiting))
    return results


def table(stack: CrashStack, results: dict[str, Result]) -> list[str]:
    """Say what was seen, in Markdown."""
    lines = [
        "| Case | What is done | Waits | Start calls | Packages | Returned | States seen | Recovered |",
        "| --- | --- | --- | ---: | ---: | --- | --- | ---: |",
    ]
    for name in CASES:
        if name not in results:
            continue
        case, scene, error = results[name].case, results[name].scene, results[name].error
        where = "deferred" if case.dag_id.endswith("deferred") else "on the worker"
        after = "" if scene.recovered_after is None else f"{scene.recovered_after:.0f} s"
        returned = scene.returned() if scene.run_state == "success" else str(error or scene.run_state)
        lines.append(
            f"| `{name}` | {case.what} | {where} | {scene.start_calls} | {len(scene.packages)} | {returned}"
            f" | {scene.states()} | {after} |"
        )
    remarks = [f"- `{name}`: {remark}." for name, result in results.items() for remark in result.scene.remarks]
    return [*lines, *(["", *remarks] if remarks else [])]
