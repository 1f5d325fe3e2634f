"""Hundreds of fault schedules. A failing one says its seed: ``CHAOS_SEED=n pytest tests/chaos`` runs it alone."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import get_args

import pytest

from airflow_provider_mendix.simulator.server import Server

from .invariants import check
from .schedule import Schedule, Where, schedule
from .world import World

pytestmark = pytest.mark.slow

EVERYTHING = {
    *(f"worker dies {where}" for where in get_args(Where)),
    *(f"triggerer dies {where}" for where in ("sending", "handled", "sleeping")),
    *("clock forwards", "clock backwards", "Clear, rebuild", "Clear, reattach"),
    *("reply_lost", "hidden_from_list", "connection_reset", "hang", "latency", "rate_limited", "server_error"),
    *("bad_gateway", "truncated_json", "empty_body", "truncated_description", "dropped_description"),
    *("success", "failed", "failed for good", "killed", "success without a marker"),
    *("a failed build is replaced", "two workers, two builds"),
}


def failures(drawn: Schedule, server: Server, reached: Counter[str]) -> str:
    """Run a schedule; return its faults and its story, or an empty text if there are none."""
    with World.of(drawn, server) as world:
        try:
            world.run()
            wrong = check(world)
        except Exception:  # noqa: BLE001
            wrong = [*world.wrong, traceback.format_exc()]
        reached.update(world.reached)
        reached["schedules"] += 1
    if not wrong:
        return ""
    return "\n".join([f"CHAOS_SEED={drawn.seed}", *wrong, "", str(drawn), "", "What happened:", *world.story])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The logs of all schedules would bury the story of the one that failed."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_one_intent_has_one_build(
    seeds: range, loopback: Server, reached: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = [said for seed in seeds if (said := failures(schedule(seed), loopback, reached))]
    capsys.readouterr()
    if found:
        first_lines = "\n".join(" ".join(said.splitlines()[:2]) for said in found)
        pytest.fail(f"{len(found)} of {len(seeds)} schedules:\n{first_lines}\n\n{found[0]}", pytrace=False)


def test_the_schedules_have_reached_everything(reached: Counter[str]) -> None:
    """Else all could be well because nothing happens."""
    if reached["schedules"] < 300:
        pytest.skip("needs the first 300 schedules")
    print(*(f"{count:6} {what}" for what, count in sorted(reached.items())), sep="\n")
    assert {what for what in EVERYTHING if reached[what] < 3} == set()
