"""A crowd of triggers in one event loop, in simulated time, over a simulated Mendix on loopback."""

from __future__ import annotations

import asyncio
import gc
import json
import math
from collections import Counter

import pytest

from airflow_provider_mendix.clock import SystemClock, use_clock
from airflow_provider_mendix.polling import poller as polling
from airflow_provider_mendix.simulator.state.packages import Ending, Timeline
from airflow_provider_mendix.triggers.wait import MendixWaitTrigger
from airflow_provider_mendix.waits.base import PackageWait, wait_to_json


class SteppedClock:
    """Moves to the next thing that somebody waits for, as soon as nothing else is going on."""

    def __init__(self, start=1_700_000_000.0):
        self.time = start
        self.timers = []
        self.asleep = 0

    def now(self):
        return self.time

    def ticks(self):
        return self.time

    def sleep(self, seconds):
        self.time += seconds

    async def pause(self, seconds, wakeup=None):
        timer = asyncio.get_running_loop().create_future()
        entry = (self.time + seconds, timer)
        self.timers.append(entry)
        ringing = asyncio.ensure_future(wakeup.wait()) if wakeup else None
        self.asleep += 1
        try:
            await asyncio.wait({timer, ringing} - {None}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.asleep -= 1
            self.timers.remove(entry)
            if ringing:
                ringing.cancel()

    def at(self, seconds, act):
        """Do something in so many seconds."""
        timer = asyncio.get_event_loop_policy().get_event_loop().create_future()
        timer.add_done_callback(lambda _: act())
        self.timers.append((self.time + seconds, timer))

    def advance(self):
        """Go to the next moment that somebody waits for, if there is one."""
        waited_for = [at for at, timer in self.timers if not timer.done() and math.isfinite(at)]
        if not waited_for:
            return
        self.time = max(self.time, min(waited_for))
        for entry in [entry for entry in self.timers if entry[0] <= self.time and not entry[1].done()]:
            entry[1].set_result(None)


class Crowd:
    """Triggers that wait together.

    :ivar most_connections: that were open at the same time.
    :ivar trouble: may answer a request instead of Mendix.
    :ivar waits_for_requests: whether time stands still while one is on the way.
    """

    def __init__(self, platform, server, clock):
        self.platform, self.server, self.clock = platform, server, clock
        self.most_connections = 0
        self.plans = []
        self.trouble = None
        self.waits_for_requests = True
        answer = platform.handle

        def handle(request):
            self.most_connections = max(self.most_connections, len(self.sockets))
            trouble = self.trouble and self.trouble(request)
            return trouble or answer(request)

        platform.handle = handle

    @property
    def sockets(self):
        return set().union(*(listener.connections for listener in self.server._listeners.values()))

    @property
    def began(self):
        return 1_700_000_000.0

    def build(self, app_id="shop", ending=Ending.SUCCEEDS, timeline=None):
        """Start a build and give its package id."""
        if app_id not in self.platform.apps:
            self.platform.add_app(app_id)
        package = self.platform.new_package(
            self.platform.apps[app_id], version="2.5.4", revision="9f3ab2c1", branch="main", description=""
        )
        package.steps = ending.steps(timeline or Timeline(queued=20, building=60, uploading=10))
        return package.package_id

    def trigger(self, package_id, app_id="shop", *, timeout=3600.0, wait=None, **changes):
        arguments = {
            "mendix_conn_id": "mendix_default",
            "wait": wait_to_json(wait or PackageWait(app_id, package_id)),
            "deadline": self.clock.now() + timeout,
            "state": "Queued",
            "changed_at": self.clock.now(),
            "poll_interval": 10.0,
            **changes,
        }
        return MendixWaitTrigger(**json.loads(json.dumps(arguments)))

    def at(self, seconds, act):
        """Do something while the triggers run; it gets their tasks."""
        self.plans.append((seconds, act))

    def ends(self):
        """Give a dictionary that gets, for each trigger, the seconds after which it has ended."""
        ended_at = {}

        def note(tasks):
            for nth, task in enumerate(tasks):
                task.add_done_callback(lambda _, nth=nth: ended_at.update({nth: self.clock.now() - self.began}))

        self.at(1, note)
        return ended_at

    def run(self, *triggers):
        """Run triggers to their ends, and see that nothing is left over: events, or what was raised."""
        return asyncio.run(self._run(triggers))

    async def _run(self, triggers):
        tasks = [asyncio.create_task(event_of(trigger)) for trigger in triggers]
        for seconds, act in self.plans:
            self.clock.at(seconds, lambda act=act: act(tasks))
        while not all(task.done() for task in tasks):
            await self.settle()
            self.clock.advance()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self.check_clean()
        return ended

    async def settle(self):
        """Wait until nothing goes on but waiting."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0.001)
            # On a busy machine that is one turn of the loop, and from a request's end to who wakes up are several.
            for _ in range(10):
                await asyncio.sleep(0)
            names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
            busy = self.waits_for_requests and any("_ask_for" in name for name in names)
            asleep = self.clock.asleep == sum(name == "Poller._run" for name in names)
            quiet = 0 if busy or not asleep else quiet + 1

    async def check_clean(self):
        """Nothing may be left of a poller when the last trigger has left."""
        for _ in range(200):
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if not others and not self.sockets:
                break
            await asyncio.sleep(0.01)
        assert not others
        assert not self.sockets
        assert not any(polling._pollers.values())
        gc.collect()

    def requests(self, kind=""):
        """Count requests: for lists, for single packages, or all."""
        entries = self.platform.journal.requests("GET")
        counted = Counter("list" if entry.path.endswith("/packages") else "single" for entry in entries)
        return counted[kind] if kind else len(entries)

    def times(self):
        """Seconds from the beginning at which requests came."""
        return [round(entry.at - self.began, 3) for entry in self.platform.journal]


async def event_of(trigger):
    (event,) = [event.payload async for event in trigger.run()]
    return json.loads(json.dumps(event))


@pytest.fixture
def clock():
    with use_clock(SteppedClock()) as clock:
        yield clock


@pytest.fixture
def system_clock():
    with use_clock(SystemClock()) as clock:
        yield clock


@pytest.fixture(autouse=True)
def ceiling(monkeypatch):
    """Set the ceiling; there is none unless a test says so."""

    def set_to(value):
        monkeypatch.setenv("AIRFLOW__MENDIX__REQUESTS_PER_MINUTE", str(value))

    set_to(0)
    return set_to


@pytest.fixture
def crowd(platform, server, clock):
    return Crowd(platform, server, clock)
