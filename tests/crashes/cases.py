"""The crashes. A case yields the conditions that it waits for, so that several can run in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ..airflow_stack.stack import is_alive
from .scenario import CrashScenario
from .triggerers import NAMES

Script = Iterator[tuple[str, Callable[[], bool]]]

ON_WORKER = "crash_build_on_worker"
ON_WORKER_PATIENT = "crash_build_on_worker_patient"
ON_WORKER_ONCE = "crash_build_on_worker_once"
DAG_ARGUMENT = "crash_build_dag_argument"
DEFERRED = "crash_build_deferred"

FOUND = "which this task has started before; not starting another."
CLEARED = "Starting a build: the task was cleared since it started package"
FRESH = "Starting a build: this task has not started one yet."


@dataclass(frozen=True)
class Case:
    """One crash and its expected result.

    :param crash: what happens, as text.
    :param packages: the number of packages at the end.
    :param tries: the number of tries.
    :param log_message: text that the task's log must contain.
    :param alone: whether the crash hits other tasks, too.
    """

    crash: str
    dag_id: str
    script: Callable[[CrashScenario], Script]
    packages: int
    tries: int
    log_message: str
    alone: bool


CASES: dict[str, Case] = {}


def case(
    crash: str,
    *dag_ids: str,
    packages: int = 1,
    tries: int = 2,
    log_message: str = "",
    alone: bool = False,
) -> Callable[[Callable[[CrashScenario], Script]], Callable[[CrashScenario], Script]]:
    """Add a case for each DAG."""
    if not log_message and tries > 1:
        log_message = CLEARED if packages > 1 else FOUND

    def add(script: Callable[[CrashScenario], Script]) -> Callable[[CrashScenario], Script]:
        for dag_id in dag_ids:
            suffix = f"_{dag_id.removeprefix('crash_build_')}" if len(dag_ids) > 1 else ""
            CASES[script.__name__ + suffix] = Case(crash, dag_id, script, packages, tries, log_message, alone)
        return script

    return add


def _killed_while_starting(scenario: CrashScenario, *, handled: bool) -> Script:
    asking = scenario.platform.faults.add("hang", on="start_build", handled=handled)
    scenario.begin()
    yield "the start call", lambda: asking.call_count == 1 and scenario.is_running
    with scenario.crash():
        scenario.airflow.kill_task(scenario.newest["pid"])
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()


def _to_the_end(scenario: CrashScenario) -> Script:
    yield "a wait", lambda: scenario.is_waiting(attempt=2)
    scenario.finish_builds()
    yield "the end", lambda: scenario.ended


@case("SIGKILL of the task after the start call, before its reply", ON_WORKER, DEFERRED)
def no_reply(scenario: CrashScenario) -> Script:
    yield from _killed_while_starting(scenario, handled=True)
    yield from _to_the_end(scenario)


@case("the same, and Mendix does not list the package for 25 s", DEFERRED)
def no_reply_and_hidden(scenario: CrashScenario) -> Script:
    scenario.platform.faults.add("hidden_from_list", seconds=25)
    yield from _killed_while_starting(scenario, handled=True)
    yield "the package to be found", lambda: scenario.polls() > 0
    scenario.remarks.append(f"the package was found {scenario.since_crash:.0f} s after the kill")
    yield from _to_the_end(scenario)


@case("SIGKILL of the task after the start call, which Mendix never handles", DEFERRED, log_message=FRESH)
def never_handled(scenario: CrashScenario) -> Script:
    yield from _killed_while_starting(scenario, handled=False)
    yield "the second start call", lambda: scenario.start_calls > 1
    scenario.remarks.append(f"the second start call came {scenario.since_crash:.0f} s after the kill")
    yield from _to_the_end(scenario)


@case("SIGKILL of the task after the reply, before it defers", DEFERRED)
def after_reply(scenario: CrashScenario) -> Script:
    looking = scenario.platform.faults.add("hang", on="list_packages", after=1)
    scenario.begin()
    yield "the check for duplicates", lambda: looking.call_count == 1 and scenario.is_running
    with scenario.crash():
        scenario.airflow.kill_task(scenario.newest["pid"])
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


@case("SIGKILL of the task while it waits", ON_WORKER)
def waiting(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        scenario.airflow.kill_task(scenario.newest["pid"])
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


@case("SIGKILL of the task and of the executor's worker while it waits", ON_WORKER)
def worker_lost(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        scenario.airflow.kill_worker(scenario.newest["pid"], and_task=True)
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


@case("SIGKILL of the executor's worker only: the task's process lives on", ON_WORKER)
def task_orphaned(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        orphan = scenario.airflow.kill_worker(scenario.newest["pid"], and_task=False)
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    scenario.remarks.append(f"the first try's process was {'still' if is_alive(orphan) else 'not'} there then")
    yield from _to_the_end(scenario)
    yield "the orphan to end", lambda: not is_alive(orphan)
    scenario.remarks.append(f"it ended by itself, {scenario.since_crash:.0f} s after the kill")


@case("SIGKILL of the triggerer that has the trigger", DEFERRED, tries=1, alone=True)
def triggerer(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    victim = scenario.owner
    assert victim in NAMES
    (other,) = set(NAMES) - {victim}
    with scenario.crash():
        left = scenario.airflow.kill(victim)
    yield f"{other} to take over", lambda: scenario.owner == other
    scenario.has_recovered()
    alive = sum(map(is_alive, left))
    scenario.remarks.append(f"{alive} of {len(left)} processes of the killed triggerer were still there then")
    polls = scenario.polls()
    yield "another poll", lambda: scenario.polls() > polls
    scenario.finish_builds()
    yield "the end", lambda: scenario.ended
    scenario.triggerers.launch(victim)


@case("SIGKILL of the scheduler; its build ends, and it is started again", DEFERRED, tries=1, alone=True)
def scheduler_while_deferred(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        scenario.airflow.kill("scheduler")
    scenario.finish_builds()
    yield "the trigger to end", lambda: scenario.newest["state"] == "scheduled"
    scenario.remarks.append(f"the trigger ended {scenario.since_crash:.0f} s after the kill, with no scheduler")
    scenario.airflow.launch("scheduler")
    yield "the end", lambda: scenario.ended
    scenario.has_recovered()


@case("SIGKILL of the scheduler while the task waits; it is started again", ON_WORKER, alone=True)
def scheduler_while_running(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        left = scenario.airflow.kill("scheduler")
    scenario.airflow.launch("scheduler")
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    alive = sum(map(is_alive, left))
    scenario.remarks.append(f"{alive} of {len(left)} processes of the killed scheduler were still there then")
    yield from _to_the_end(scenario)
    yield "the first try to end", lambda: sum(map(is_alive, left)) < alive
    scenario.remarks.append(f"{sum(map(is_alive, left))} of them were still there at the end")


@case("SIGKILL of scheduler and workers while queued to go on after the wait", DEFERRED, alone=True)
def scheduler_when_queued_again(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    yield "another poll", lambda: scenario.polls() > 1
    with scenario.airflow.paused_workers():
        scenario.finish_builds()
        before = len(scenario.seen)
        yield "queued", lambda: (1, "queued") in scenario.seen[before:]
        with scenario.crash():
            for worker in scenario.airflow.kill("scheduler"):
                worker.kill()
    scenario.airflow.launch("scheduler")
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield "the end", lambda: scenario.ended


@case("Clear while queued for the first time", DEFERRED, log_message=FRESH, alone=True)
def cleared_when_queued(scenario: CrashScenario) -> Script:
    with scenario.airflow.paused_workers():
        scenario.begin()
        yield "queued", lambda: (1, "queued") in scenario.seen
        with scenario.crash():
            scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


@case("Clear while queued to go on after the wait", DEFERRED, packages=2, alone=True)
def cleared_when_queued_again(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    # The worker that has deferred the task may still report to Airflow.
    yield "another poll", lambda: scenario.polls() > 1
    with scenario.airflow.paused_workers():
        scenario.finish_builds()
        before = len(scenario.seen)
        yield "queued", lambda: (1, "queued") in scenario.seen[before:]
        with scenario.crash():
            scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield "the end", lambda: scenario.ended


@case("Clear while running", ON_WORKER, packages=2)
def cleared_when_running(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    scenario.remarks.append(f"`on_kill` was {'' if 'is still being built' in scenario.log() else 'not '}called")
    yield from _to_the_end(scenario)


@case("Clear while running, after task and worker were killed: like a retry", ON_WORKER)
def cleared_when_lost(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        scenario.airflow.kill_worker(scenario.newest["pid"], and_task=True)
        scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


@case("SIGKILL of the task, and Clear while up for retry", ON_WORKER_PATIENT, packages=2)
def cleared_when_up_for_retry(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    scenario.airflow.kill_task(scenario.newest["pid"])
    yield "up for retry", lambda: scenario.newest["state"] == "up_for_retry"
    with scenario.crash():
        scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


@case("Clear while deferred", DEFERRED, packages=2)
def cleared_when_deferred(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    with scenario.crash():
        scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


@case("Clear when finished", DEFERRED, packages=2)
def cleared_when_finished(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    scenario.finish_builds()
    yield "the end", lambda: scenario.ended
    assert scenario.returned() == "the only one"
    with scenario.crash():
        scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield "the end", lambda: scenario.ended and scenario.newest["state"] == "success"


@case("Marked as failed while deferred, then cleared", DEFERRED, packages=2)
def marked_failed(scenario: CrashScenario) -> Script:
    scenario.begin()
    yield "a wait", scenario.is_waiting
    scenario.mark_failed()
    yield "the end", lambda: scenario.run_state == "failed"
    yield "the trigger to go", lambda: "Nothing was cancelled in Mendix" in scenario.log()
    assert len(scenario.packages) == 1
    with scenario.crash():
        scenario.clear()
    yield "the next try", scenario.is_at_work_again
    scenario.has_recovered()
    yield from _to_the_end(scenario)


def _refused_at_first(scenario: CrashScenario, fault: str, **parameters: object) -> Script:
    refusing = scenario.platform.faults.add(fault, on="start_build", **parameters)
    scenario.begin()
    yield "the start call", lambda: refusing.call_count == 1
    yield "a wait", scenario.is_waiting
    scenario.finish_builds()
    yield "the end", lambda: scenario.ended


@case("429 as the response to the start call of a task without retries", ON_WORKER_ONCE, tries=1)
def refused_429(scenario: CrashScenario) -> Script:
    yield from _refused_at_first(scenario, "rate_limited")


@case("503 as the response to the start call of a task without retries", ON_WORKER_ONCE, tries=1)
def refused_503(scenario: CrashScenario) -> Script:
    yield from _refused_at_first(scenario, "server_error", status=503)


@case("SIGKILL of three tries whose app is an argument of the DAG", DAG_ARGUMENT, tries=4)
def dag_argument(scenario: CrashScenario) -> Script:
    yield from _killed_while_starting(scenario, handled=True)
    for attempt in (2, 3):
        yield "a wait", partial(scenario.is_waiting, attempt)
        polls = scenario.polls()
        yield "another poll", lambda polls=polls: scenario.polls() > polls
        with scenario.crash():
            scenario.airflow.kill_task(scenario.newest["pid"])
        yield "the next try", scenario.is_at_work_again
        scenario.has_recovered()
    yield "a wait", lambda: scenario.is_waiting(attempt=4)
    scenario.finish_builds()
    yield "the end", lambda: scenario.ended


@case("the secrets backend fails once in the triggerer, while the task waits", DEFERRED, tries=1)
def secrets_backend(scenario: CrashScenario) -> Script:
    fails = scenario.connection_file.with_suffix(".fails")
    fails.touch()
    scenario.begin()
    yield "the failed lookup", lambda: not fails.exists()
    polls = scenario.polls()
    yield "another poll", lambda: scenario.polls() > polls and scenario.is_waiting()
    scenario.finish_builds()
    yield "the end", lambda: scenario.ended
