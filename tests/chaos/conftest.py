"""How many schedules there are, and which."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server

CHUNK = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``CHAOS_SCHEDULES=n`` runs the first n seeds, ``CHAOS_SEED=n`` only that one."""
    if "seeds" not in metafunc.fixturenames:
        return
    if one := os.environ.get("CHAOS_SEED"):
        chunks = [range(int(one), int(one) + 1)]
    else:
        last = int(os.environ.get("CHAOS_SCHEDULES", "300"))
        chunks = [range(first, min(first + CHUNK, last + 1)) for first in range(1, last + 1, CHUNK)]
    metafunc.parametrize("seeds", chunks, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")


@pytest.fixture(scope="session")
def loopback() -> Iterator[Server]:
    """One server for all: a schedule puts its own Mendix behind it."""
    with Server(Platform()) as server:
        yield server


@pytest.fixture(scope="session")
def reached() -> Counter[str]:
    """What has happened in all schedules, and how often."""
    return Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run nothing else here if one schedule is asked for."""
    if "CHAOS_SEED" in os.environ:
        here = Path(__file__).parent
        others = [item for item in items if item.path.parent == here and "seeds" not in item.fixturenames]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
