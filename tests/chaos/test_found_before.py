"""Schedules that once ended with two builds for one intent, or with a failure that was none."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import BuildOutcome

from .invariants import check
from .schedule import Crash, Jump, Mode, Schedule, Trouble
from .world import World

FAILS, SUCCEEDS = BuildOutcome.FAILS_WHILE_QUEUED, BuildOutcome.SUCCEEDS
LOST_TO_A_CRASH = Crash("handled", 1, "start_build")

FOUND = {
    "reattach after the Clear of a DAG run that finished long ago": Schedule(
        seed=1, on_clear="reattach", clears=(1,), clears_finished_runs=True, pauses=(1500.0,)
    ),
    "the marker was cut off after its digest": Schedule(
        seed=2,
        crashes=(LOST_TO_A_CRASH,),
        troubles=(Trouble("truncated_description", {"on": "start_build", "length": 34}),),
    ),
    "the marker was dropped, and an earlier build has failed": Schedule(
        seed=3,
        endings=(FAILS, SUCCEEDS),
        crashes=(Crash("handled", 2, "start_build"),),
        troubles=(Trouble("dropped_description", {"on": "start_build", "after": 1}),),
    ),
    "the clock is set forwards while a build is looked for": Schedule(
        seed=4, visible_after=60.0, pauses=(0.0,), crashes=(LOST_TO_A_CRASH,), jumps=(Jump(7, 300.0),)
    ),
    "a reply is lost, and the build of the try before has failed": Schedule(
        seed=5,
        retries=1,
        visible_after=40.0,
        endings=(FAILS, SUCCEEDS),
        troubles=(Trouble("reply_lost", {"on": "start_build", "after": 1}),),
    ),
}


@pytest.mark.parametrize("schedule", FOUND.values(), ids=FOUND)
def test_ends_well_with_one_build(schedule: Schedule, loopback: Server) -> None:
    with World.of(schedule, loopback) as world:
        world.run()
        _, last = world.ends[-1]
        alive = world.alive()
        assert check(world) == [], "\n".join(world.story)
    assert last.well
    assert alive == [last.package_id]


REFUSALS = {
    "429": ("rate_limited", {}),
    "429 with Retry-After": ("rate_limited", {"retry_after": 60}),
    "503": ("server_error", {"status": 503, "handled": False}),
    "503 of a gateway": ("bad_gateway", {"status": 503, "handled": False}),
    "a reset": ("connection_reset", {}),
    "no response": ("hang", {"handled": False}),
    "a lost response": ("reply_lost", {}),
}


@pytest.mark.parametrize("waits", ["on the worker", "deferred", "not at all"])
@pytest.mark.parametrize("visible_after", [0.0, 40.0])
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_task_without_retries_survives_a_start_that_is_not_confirmed(
    fault: str, visible_after: float, waits: Mode, loopback: Server
) -> None:
    name, parameters = REFUSALS[fault]
    schedule = Schedule(
        seed=6,
        retries=0,
        waits=waits,
        visible_after=visible_after,
        troubles=(Trouble(name, {"on": "start_build", **parameters}),),
    )
    with World.of(schedule, loopback) as world:
        world.run()
        ((_, only),) = world.ends
        alive = world.alive()
        assert check(world) == [], "\n".join(world.story)
    assert only.well
    assert alive == [only.package_id]
