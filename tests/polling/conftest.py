"""Many triggers in one event loop, in simulated time, with a simulated Mendix on loopback."""

from __future__ import annotations

import asyncio
import gc
import json
import math
from collections import Counter

import msgspec
import pytest

from airflow_provider_mendix.clock import SystemClock, use_clock
from airflow_provider_mendix.polling import poller
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline
from airflow_provider_mendix.triggers.wait import MendixWaitTrigger
from airflow_provider_mendix.waits.package import PackageWait
from airflow_provider_mendix.waits.poll_state import PollState


class SteppedClock:
    """Moves to the next moment that a task waits for, as soon as nothing else is running."""

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
        """Call a function after this many seconds."""
        timer = asyncio.get_event_loop_policy().get_event_loop().create_future()
        timer.add_done_callback(lambda _: act())
        self.timers.append((self.time + seconds, timer))

    def advance(self):
        """Go to the next moment that a task waits for, if there is one."""
        waited_for = [at for at, timer in self.timers if not timer.done() and math.isfinite(at)]
        if not waited_for:
            return
        self.time = max(self.time, min(waited_for))
        for entry in [entry for entry in self.timers if entry[0] <= self.time and not entry[1].done()]:
            entry[1].set_result(None)


class Crowd:
    """Triggers that wait together.

    :ivar most_connections: the most that were open at the same time.
    :ivar trouble: a function that may return a reply in place of Mendix.
    :ivar waits_for_requests: whether time stands still while a request is pending.
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

    def build(self, app_id="shop", ending=BuildOutcome.SUCCEEDS, timeline=None):
        """Start a build and return its package id."""
        if app_id not in self.platform.apps:
            self.platform.add_app(app_id)
        return self.platform.packages.add(
            app_id,
            version="2.5.4",
            revision="9f3ab2c1",
            steps=ending.steps(timeline or Timeline(queued=20, building=60, uploading=10)),
        )

    def trigger(
        self,
        package_id,
        app_id="shop",
        *,
        wait=None,
        mendix_conn_id="mendix_default",
        timeout=3600.0,
        poll_interval=10.0,
        outage_tolerance=900.0,
        **seen,
    ):
        now = self.clock.now()
        state = PollState.begin(
            now, poll_interval=poll_interval, timeout=timeout, outage_tolerance=outage_tolerance
        )
        seen = {"state": "Queued", "next_poll_at": min(now + poll_interval, now + timeout), **seen}
        arguments = {
            "mendix_conn_id": mendix_conn_id,
            "wait": (wait or PackageWait(app_id, package_id)).to_json(),
            "poll_state": msgspec.structs.replace(state, **seen).to_json(),
        }
        return MendixWaitTrigger(**json.loads(json.dumps(arguments)))

    def at(self, seconds, act):
        """Call a function after this many seconds of the run; it gets the tasks of the triggers."""
        self.plans.append((seconds, act))

    def ends(self):
        """Return a dictionary that is filled with the second in which each trigger ends."""
        ended_at = {}

        def note(tasks):
            for nth, task in enumerate(tasks):
                task.add_done_callback(lambda _, nth=nth: ended_at.update({nth: self.clock.now() - self.began}))

        self.at(1, note)
        return ended_at

    def run(self, *triggers):
        """Run triggers to their ends, check that nothing is left over, and return events or exceptions."""
        return asyncio.run(self._run(triggers))

    async def _run(self, triggers):
        tasks = [asyncio.create_task(event_of(trigger)) for trigger in triggers]
        failures = []

        def call(act):
            try:
                act(tasks)
            except Exception as failure:  # noqa: BLE001 - it would be lost in the event loop
                failures.append(failure)

        for seconds, act in self.plans:
            self.clock.at(seconds, lambda act=act: call(act))
        await self.let_pass(*tasks)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self.check_clean()
        assert not failures
        return ended

    async def let_pass(self, *tasks):
        """Let time pass until tasks are done."""
        while True:
            await self.settle()
            if all(task.done() for task in tasks):
                return
            self.clock.advance()

    async def settle(self):
        """Wait until every task is waiting."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0.001)
            # On a busy machine that is one turn of the loop, and a response wakes its wait several turns later.
            for _ in range(10):
                await asyncio.sleep(0)
            names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
            busy = self.waits_for_requests and any("_send_s" in name for name in names)
            asleep = self.clock.asleep == sum(name == "Poller._run" for name in names)
            quiet = 0 if busy or not asleep else quiet + 1

    async def check_clean(self):
        """Check that the last trigger to leave has closed the poller."""
        for _ in range(200):
            others = asyncio.all_tasks() - {asyncio.current_task()}
            if not others and not self.sockets:
                break
            await asyncio.sleep(0.01)
        assert not others
        assert not self.sockets
        assert not any(poller._pollers.values())
        gc.collect()

    def requests(self, kind=""):
        """Count requests: for lists, for single packages, or all."""
        entries = self.platform.journal.requests("GET")
        counted = Counter("list" if entry.path.endswith("/packages") else "single" for entry in entries)
        return counted[kind] if kind else len(entries)

    def times(self):
        """Return the seconds in which requests came."""
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
def rate_limit(monkeypatch):
    """Set the rate limit; there is none unless a test sets one."""

    def set_to(value):
        monkeypatch.setenv("AIRFLOW__MENDIX__REQUESTS_PER_MINUTE", str(value))

    set_to(0)
    return set_to


@pytest.fixture
def crowd(platform, server, clock):
    return Crowd(platform, server, clock)
