"""Run triggers in a new process, as a triggerer does, and report what blocked its event loop.

Reads from standard input a JSON list of trigger rows, runs them at the same time, and prints JSON: the events,
every step of the loop that took longer than allowed, and every synchronous lookup of a connection.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
import traceback
from pathlib import Path

import airflow.triggers.base  # noqa: F401 - a triggerer has this long before our trigger comes
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import BaseHook

LONGEST_STEP = 0.05


def note_slow_steps(found: list[str]) -> None:
    """Note each step of the loop that takes too long, without the time that other processes used the core."""
    original = asyncio.events.Handle._run

    def timed(handle: asyncio.events.Handle) -> None:
        began, stolen = time.perf_counter(), _seconds_without_a_core()
        original(handle)
        took = time.perf_counter() - began
        # Reading it takes time: it is a file.
        if took > LONGEST_STEP and (took := took - _seconds_without_a_core() + stolen) > LONGEST_STEP:
            found.append(f"{handle!r} took {took:.3f} seconds")

    asyncio.events.Handle._run = timed


def _seconds_without_a_core() -> float:
    """Return how long this thread was ready but had no core; 0 where that is unknown."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def forbid_on_the_loop(owner: type, name: str, found: list[str]) -> None:
    """Note each call that is made on the thread of a running loop."""
    original = getattr(owner, name)
    function = original.fget if isinstance(original, property) else original

    def noted(*arguments, **keywords):
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            found.append(f"{owner.__name__}.{name}: " + "".join(traceback.format_stack(limit=4)))
        return function(*arguments, **keywords)

    setattr(owner, name, property(noted) if isinstance(original, property) else staticmethod(noted))


async def run(rows: list[tuple[str, dict[str, object]]]) -> list[object]:
    """Run all rows to their events."""

    async def events(path: str, arguments: dict[str, object]) -> object:
        module, _, name = path.rpartition(".")
        trigger = getattr(importlib.import_module(module), name)(**arguments)
        return [event.payload async for event in trigger.run()]

    return await asyncio.gather(*(events(path, arguments) for path, arguments in rows))


def main() -> None:
    rows = json.load(sys.stdin)
    # The first lookup in a process loads Airflow's own secrets backends.
    connection = asyncio.run(get_async_connection("mendix_default"))
    slow: list[str] = []
    note_slow_steps(slow)
    lookups: list[str] = []
    forbid_on_the_loop(BaseHook, "get_connection", lookups)
    # Its class is Airflow's model before 3.2, and the SDK's from there on.
    forbid_on_the_loop(type(connection), "extra_dejson", lookups)
    # A full collection of everything that Airflow itself has loaded takes 0.1 s.
    gc.collect()
    gc.freeze()
    began = time.monotonic()
    events = asyncio.run(run(rows))
    print(json.dumps({"events": events, "slow": slow, "lookups": lookups, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
