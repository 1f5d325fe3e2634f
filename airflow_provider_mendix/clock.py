"""Time as something that can be replaced, so that waiting can be tested without waiting.

Everything in this package asks :func:`current_clock` for the time, and :func:`use_clock` replaces it everywhere.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time in seconds since the epoch, and ways to let it pass."""

    def now(self) -> float: ...

    def ticks(self) -> float:
        """Return seconds since some moment in the past: setting the system's clock does not change them."""

    def sleep(self, seconds: float) -> None: ...

    async def pause(self, seconds: float, wakeup: asyncio.Event | None = None) -> None:
        """Let time pass without blocking the event loop; less of it if ``wakeup`` is set first.

        :param seconds: may be infinite if there is a ``wakeup``.
        """


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        return time.time()

    def ticks(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def pause(self, seconds: float, wakeup: asyncio.Event | None = None) -> None:
        if wakeup is None:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await wakeup.wait()
        except TimeoutError:
            return


class ManualClock:
    """A clock that moves only when code sleeps on it or a test moves it: for tests and the simulator."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def ticks(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    async def pause(self, seconds: float, wakeup: asyncio.Event | None = None) -> None:
        if wakeup is not None and (wakeup.is_set() or math.isinf(seconds)):
            await wakeup.wait()
            return
        self.time += seconds
        await asyncio.sleep(0)


_current: Clock = SystemClock()


def current_clock() -> Clock:
    """Return the clock that this process uses."""
    return _current


@contextmanager
def use_clock(clock: Clock) -> Iterator[Clock]:
    """Use another clock in this process, everywhere, until the block ends."""
    global _current
    before, _current = _current, clock
    try:
        yield clock
    finally:
        _current = before
