"""One crash, at each point where there can be one: the next try ends with the build that is there."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT
from airflow_provider_mendix.simulator.server import Server

from .invariants import check
from .schedule import Crash, Mode, Schedule, Where
from .world import World

pytestmark = pytest.mark.slow

# A calm build asks 8 times or so; of what comes after the last one, nothing happens.
POINTS = 12


@pytest.mark.parametrize("visible_after", [0.0, VISIBILITY_TIMEOUT])
@pytest.mark.parametrize("waits", get_args(Mode))
@pytest.mark.parametrize("where", get_args(Where))
def test_a_crash_costs_no_build(where: Where, waits: Mode, visible_after: float, loopback: Server) -> None:
    calm = Schedule(seed=1, retries=1, waits=waits, visible_after=visible_after, pauses=(0.0,))
    crashes = 0
    for nth in range(1, POINTS + 1):
        with World.of(msgspec.structs.replace(calm, crashes=(Crash(where, nth),)), loopback) as world:
            world.run()
            _, last = world.ends[-1]
            alive = world.alive()
            wrong = check(world)
        story = "\n".join(world.story)
        assert wrong == [], story
        assert last.well, story
        assert alive == [last.package_id], story
        crashes += any(name.endswith(where) for name in world.reached)
    possible = where in ("sending", "handled", "returning") or (
        (where == "sleeping" and waits != "not at all") or waits == "deferred"
    )
    assert bool(crashes) is possible
    assert crashes < POINTS
