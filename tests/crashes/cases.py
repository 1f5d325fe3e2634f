"""The crashes. A case yields what it waits for, so that several can go on side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .scene import CrashScene
from .stack import TRIGGERERS, is_there

Script = Iterator[tuple[str, Callable[[], bool]]]

ON_WORKER = "crash_build_on_worker"
ON_WORKER_PATIENT = "crash_build_on_worker_patient"
DEFERRED = "crash_build_deferred"

FOUND = "which this task has started before: it is not started again."
CLEARED = "Starting a build: the task was cleared since it started package"
FRESH = "Starting a build: there is none of this task yet."


@dataclass(frozen=True)
class Case:
    """One crash, and what must be left of it.

    :param what: what is done, for people.
    :param packages: how many there must be at the end.
    :param tries: how many tries that takes.
    :param says: what the log must say about it.
    :param alone: whether it hits other tasks, too.
    """

    what: str
    dag_id: str
    script: Callable[[CrashScene], Script]
    packages: int
    tries: int
    says: str
    alone: bool


CASES: dict[str, Case] = {}


def case(
    what: str,
    *dag_ids: str,
    packages: int = 1,
    tries: int = 2,
    says: str = "",
    alone: bool = False,
) -> Callable[[Callable[[CrashScene], Script]], Callable[[CrashScene], Script]]:
    """Make a case of a script, for each way to wait."""
    if not says and tries > 1:
        says = CLEARED if packages > 1 else FOUND

    def add(script: Callable[[CrashScene], Script]) -> Callable[[CrashScene], Script]:
        for dag_id in dag_ids:
            suffix = f"_{dag_id.removeprefix('crash_build_')}" if len(dag_ids) > 1 else ""
            CASES[script.__name__ + suffix] = Case(what, dag_id, script, packages, tries, says, alone)
        return script

    return add


def _killed_while_asking(scene: CrashScene, *, handled: bool) -> Script:
    asking = scene.platform.faults.add("hang", on="start_build", handled=handled)
    scene.begin()
    yield "the start call", lambda: asking.struck == 1 and scene.is_running
    with scene.hit():
        scene.airflow.kill_task(scene.newest["pid"])
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()


def _to_the_end(scene: CrashScene) -> Script:
    yield "a wait", lambda: scene.is_waiting(attempt=2)
    scene.finish_builds()
    yield "the end", lambda: scene.ended


@case("SIGKILL of the task after the start call, before its reply", ON_WORKER, DEFERRED)
def no_reply(scene: CrashScene) -> Script:
    yield from _killed_while_asking(scene, handled=True)
    yield from _to_the_end(scene)


@case("the same, and Mendix does not list the package for 25 s", DEFERRED)
def no_reply_and_hidden(scene: CrashScene) -> Script:
    scene.platform.faults.add("hidden_from_list", seconds=25)
    yield from _killed_while_asking(scene, handled=True)
    yield "the package to be found", lambda: scene.looks() > 0
    scene.remarks.append(f"the package was found {scene.since_hit:.0f} s after the kill")
    yield from _to_the_end(scene)


@case("SIGKILL of the task after the start call, which Mendix never handles", DEFERRED, says=FRESH)
def never_handled(scene: CrashScene) -> Script:
    yield from _killed_while_asking(scene, handled=False)
    yield "the second start call", lambda: scene.start_calls > 1
    scene.remarks.append(f"the second start call came {scene.since_hit:.0f} s after the kill")
    yield from _to_the_end(scene)


@case("SIGKILL of the task after the reply, before it defers", DEFERRED)
def after_reply(scene: CrashScene) -> Script:
    looking = scene.platform.faults.add("hang", on="list_packages", after=1)
    scene.begin()
    yield "a look for twins", lambda: looking.struck == 1 and scene.is_running
    with scene.hit():
        scene.airflow.kill_task(scene.newest["pid"])
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)


@case("SIGKILL of the task while it waits", ON_WORKER)
def waiting(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        scene.airflow.kill_task(scene.newest["pid"])
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)


@case("SIGKILL of the task and of the executor's worker while it waits", ON_WORKER)
def worker_lost(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        scene.airflow.kill_worker(scene.newest["pid"], and_task=True)
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)


@case("SIGKILL of the executor's worker only: the task's process lives on", ON_WORKER)
def task_orphaned(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        orphan = scene.airflow.kill_worker(scene.newest["pid"], and_task=False)
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    scene.remarks.append(f"the first try's process was {'still' if is_there(orphan) else 'not'} there then")
    yield from _to_the_end(scene)
    yield "the orphan to end", lambda: not is_there(orphan)
    scene.remarks.append(f"it ended by itself, {scene.since_hit:.0f} s after the kill")


@case("SIGKILL of the triggerer that has the trigger", DEFERRED, tries=1, alone=True)
def triggerer(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    victim = scene.owner
    assert victim in TRIGGERERS
    (other,) = set(TRIGGERERS) - {victim}
    with scene.hit():
        left = scene.airflow.kill(victim)
    yield f"{other} to take over", lambda: scene.owner == other
    scene.has_recovered()
    alive = sum(map(is_there, left))
    scene.remarks.append(f"{alive} of {len(left)} processes of the killed triggerer were still there then")
    looks = scene.looks()
    yield "a look", lambda: scene.looks() > looks
    scene.finish_builds()
    yield "the end", lambda: scene.ended
    scene.airflow.launch_triggerer(victim)


@case("SIGKILL of the scheduler; its build ends, and it is started again", DEFERRED, tries=1, alone=True)
def scheduler_while_deferred(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        scene.airflow.kill("scheduler")
    scene.finish_builds()
    yield "the trigger to end", lambda: scene.newest["state"] == "scheduled"
    scene.remarks.append(f"the trigger ended {scene.since_hit:.0f} s after the kill, with no scheduler")
    scene.airflow.launch("scheduler")
    yield "the end", lambda: scene.ended
    scene.has_recovered()


@case("SIGKILL of the scheduler while the task waits; it is started again", ON_WORKER, alone=True)
def scheduler_while_running(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        left = scene.airflow.kill("scheduler")
    scene.airflow.launch("scheduler")
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    alive = sum(map(is_there, left))
    scene.remarks.append(f"{alive} of {len(left)} processes of the killed scheduler were still there then")
    yield from _to_the_end(scene)
    yield "the first try to end", lambda: sum(map(is_there, left)) < alive
    scene.remarks.append(f"{sum(map(is_there, left))} of them were still there at the end")


@case("SIGKILL of scheduler and workers while queued to go on after the wait", DEFERRED, alone=True)
def scheduler_when_queued_again(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    yield "a look", lambda: scene.looks() > 1
    with scene.airflow.paused_workers():
        scene.finish_builds()
        before = len(scene.seen)
        yield "queued", lambda: (1, "queued") in scene.seen[before:]
        with scene.hit():
            for worker in scene.airflow.kill("scheduler"):
                worker.kill()
    scene.airflow.launch("scheduler")
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield "the end", lambda: scene.ended


@case("Clear while queued for the first time", DEFERRED, says=FRESH, alone=True)
def cleared_when_queued(scene: CrashScene) -> Script:
    with scene.airflow.paused_workers():
        scene.begin()
        yield "queued", lambda: (1, "queued") in scene.seen
        with scene.hit():
            scene.clear()
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)


@case("Clear while queued to go on after the wait", DEFERRED, packages=2, alone=True)
def cleared_when_queued_again(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    # The worker that has deferred the task may still have something to say.
    yield "a look", lambda: scene.looks() > 1
    with scene.airflow.paused_workers():
        scene.finish_builds()
        before = len(scene.seen)
        yield "queued", lambda: (1, "queued") in scene.seen[before:]
        with scene.hit():
            scene.clear()
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield "the end", lambda: scene.ended


@case("Clear while running", ON_WORKER, packages=2)
def cleared_when_running(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        scene.clear()
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    scene.remarks.append(f"`on_kill` was {'' if 'is still being built' in scene.log() else 'not '}called")
    yield from _to_the_end(scene)


@case("Clear while running, after task and worker were killed: like a retry", ON_WORKER)
def cleared_when_lost(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        scene.airflow.kill_worker(scene.newest["pid"], and_task=True)
        scene.clear()
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)


@case("SIGKILL of the task, and Clear while up for retry", ON_WORKER_PATIENT, packages=2)
def cleared_when_up_for_retry(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    scene.airflow.kill_task(scene.newest["pid"])
    yield "up for retry", lambda: scene.newest["state"] == "up_for_retry"
    with scene.hit():
        scene.clear()
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)


@case("Clear while deferred", DEFERRED, packages=2)
def cleared_when_deferred(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    with scene.hit():
        scene.clear()
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)


@case("Clear when finished", DEFERRED, packages=2)
def cleared_when_finished(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    scene.finish_builds()
    yield "the end", lambda: scene.ended
    assert scene.returned() == "the only one"
    with scene.hit():
        scene.clear()
        scene.run_state = ""
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield "the end", lambda: scene.ended and scene.newest["state"] == "success"


@case("Marked as failed while deferred, then cleared", DEFERRED, packages=2)
def marked_failed(scene: CrashScene) -> Script:
    scene.begin()
    yield "a wait", scene.is_waiting
    scene.airflow.api.mark_failed(scene.dag_id, scene.name, scene.task_id)
    yield "the end", lambda: scene.run_state == "failed"
    yield "the trigger to go", lambda: "what Mendix does goes on" in scene.log()
    assert len(scene.packages) == 1
    with scene.hit():
        scene.clear()
        scene.run_state = ""
    yield "the next try", scene.is_at_work_again
    scene.has_recovered()
    yield from _to_the_end(scene)
