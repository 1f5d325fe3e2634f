"""Time as something that is handed in, so that waiting can be tested without waiting."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tells wall-clock time (seconds since the epoch) and lets it pass."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    async def pause(self, seconds: float) -> None:
        """Let time pass without blocking the event loop."""


class SystemClock:
    """The real one."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when somebody sleeps on it or moves it: for tests and the simulator."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.time = start

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    async def pause(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)
