"""Time as something that is handed in, so that waiting can be tested without waiting."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol


class Clock(Protocol):
    """Tells wall-clock time (seconds since the epoch) and lets it pass."""

    def now(self) -> float: ...

    def ticks(self) -> float:
        """Seconds since some moment in the past: setting the clock does not change them."""

    def sleep(self, seconds: float) -> None: ...

    async def pause(self, seconds: float, bell: asyncio.Event | None = None) -> None:
        """Let time pass without blocking the event loop; less of it if a bell rings first.

        :param seconds: may be infinite if there is a bell.
        """


class SystemClock:
    """The real one."""

    def now(self) -> float:
        return time.time()

    def ticks(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def pause(self, seconds: float, bell: asyncio.Event | None = None) -> None:
        if bell is None:
            await asyncio.sleep(seconds)
            return
        try:
            async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                await bell.wait()
        except TimeoutError:
            return


class ManualClock:
    """A clock that moves only when somebody sleeps on it or moves it: for tests and the simulator."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def ticks(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    async def pause(self, seconds: float, bell: asyncio.Event | None = None) -> None:
        if bell is not None and (bell.is_set() or math.isinf(seconds)):
            await bell.wait()
            return
        self.time += seconds
        await asyncio.sleep(0)
