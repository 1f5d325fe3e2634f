"""The simulated Mendix of a schedule, the wires to it, and the clocks."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections import Counter
from typing import Any

import msgspec

from airflow_provider_mendix.builds.marker import Marker
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.simulator import routes
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline
from airflow_provider_mendix.simulator.wire import Reply, Request

from ..conftest import KEY, USER
from .schedule import Schedule, Where
from .turns import Turns

REVISION = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"
VERSION = "2.5.4"
SECOND_USER = "zoe@example.com"
CONNECTIONS = {USER: "mendix_default", SECOND_USER: "mendix_second"}
_ON_THE_WAY = 0.25


class KilledError(BaseException):
    """The process was killed."""


class Made(msgspec.Struct, frozen=True):
    """A package that the task's start call made.

    :param intent: counted from one Clear to the next.
    :param by: the try.
    """

    package_id: str
    intent: int
    by: int


class AirflowClock:
    """Airflow's clock: it passes as Mendix's does, and may be set."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.ahead = 0.0

    def now(self) -> float:
        return self.wire.time.now() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.wire.step()
        self.wire.die("sleeping")
        self.wire.time.sleep(seconds)

    def ticks(self) -> float:
        return self.wire.time.now()

    async def pause(self, seconds: float, wakeup: asyncio.Event | None = None) -> None:
        if wakeup is not None and (wakeup.is_set() or math.isinf(seconds)):
            await wakeup.wait()
            return
        self.sleep(seconds)
        await asyncio.sleep(0)


class Wire:
    """A Mendix, and everything that happens between it and a task.

    Workers meet it behind `requests`, in this thread, so that they can die at any point of a call. The trigger,
    and two workers at once, meet it on loopback.

    :ivar made: the packages that the task's start calls have made.
    :ivar wrong: what should not have happened.
    :ivar story: what has happened, to be read.
    :ivar reached: what has happened, to be counted.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.time = ManualClock()
        self.clock = AirflowClock(self)
        self.platform = self._platform()
        self.story: list[str] = []
        self.wrong: list[str] = []
        self.made: list[Made] = []
        self.reached: Counter[str] = Counter()
        self.intent = 1
        self.began_at = self.time.now() + schedule.scheduler_ahead
        self.asked: dict[str, str] = {}
        self.listed_at: dict[str, float] = {}
        self.posted_at: dict[str, float] = {}
        self.turns: Turns | None = None
        self.on_loopback = schedule.kind == "two workers"
        self.calm = False
        self.steps = 0
        self.trigger: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self.trigger_died = threading.Event()
        self._times: Counter[tuple[str, str]] = Counter()
        self._crashes = list(schedule.crashes)
        self._jumps = list(schedule.jumps)

    def _platform(self) -> Platform:
        platform = Platform(self.time)
        for user in CONNECTIONS:
            platform.permissions.add_account(user, KEY)
        platform.add_app("shop")
        platform.packages.timeline = Timeline(queued=20, building=60, uploading=10)
        platform.packages.next_outcomes.extend(self.schedule.endings)
        # What others have built of the same revision is none of this task's.
        others = ("By hand", f"{self.schedule.description[:40]} [airflow 0123456789abcdef try 1 of 4]")
        self.foreign = {
            platform.packages.add("shop", version=VERSION, revision=REVISION, description=description, age=60)
            for description in others
        }
        if self.schedule.visible_after:
            platform.faults.add(
                "hidden_from_list", seconds=self.schedule.visible_after, on=self.schedule.visible_on
            )
        self.troubles = [
            (trouble, platform.faults.add(trouble.name, **trouble.parameters))
            for trouble in self.schedule.troubles
        ]
        self._answer, platform.handle = platform.handle, self.handle
        return platform

    def handle(self, request: Request) -> Reply:
        """Answer a request, or kill its sender."""
        endpoint = routes.name(request) or request.path
        user = request.headers["mendix-username"]
        self.step(user)
        if self.dies("sending", endpoint):
            return self._kill(f"before {endpoint}")
        self.time.sleep(_ON_THE_WAY)
        before = set(self.platform.packages)
        reply = self._answer(request)
        said = reply.drop or reply.status
        faults = self.platform.journal[-1].faults
        self.tell(f"{endpoint}: {said} {', '.join(faults)}")
        self.reached.update(faults)
        for package_id in self.platform.packages.keys() - before:
            self._note_made(package_id, request)
        self.asked[user] = endpoint
        if endpoint == "list_packages" and reply.status == 200 and not reply.drop:
            self.listed_at[user] = self.time.now()
        if endpoint == "start_build":
            self.posted_at[user] = self.time.now()
        self.step(user)
        if self.dies("handled", endpoint):
            return self._kill(f"after {endpoint}")
        return self._in_no_time(reply)

    def _note_made(self, package_id: str, request: Request) -> None:
        package = self.platform.packages[package_id]
        by = Marker.of(json.loads(request.body).get("Description"))
        made = Made(package_id, self.intent, by.try_number if by else 0)
        self.tell(f"    made {package_id}: {package.description!r}")
        if not self.alive() and any(each.intent == self.intent for each in self.made):
            self.reached["a failed build is replaced"] += 1
            if self._must_not_be_replaced():
                self.wrong.append(
                    f"Package {package_id} replaces a failed build although retry_failed_build=False."
                )
        for other in self.alive():
            self.reached["two workers, two builds"] += self.turns is not None
            if not self._may_be_missed(other, request.headers["mendix-username"], made):
                self.wrong.append(
                    f"Package {package_id} was started while {other} of the same intent was"
                    f" {self.platform.packages.status(other)}."
                )
        self.made.append(made)

    def _must_not_be_replaced(self) -> bool:
        """Return whether the task must have known the failed builds of its intent by their markers."""
        schedule = self.schedule
        return (
            not schedule.retry_failed_build
            and schedule.on_clear == "rebuild"
            and not self.turns
            and not any(trouble.name.endswith("_description") for trouble in schedule.troubles)
        )

    def _may_be_missed(self, other: str, user: str, made: Made) -> bool:
        """Return whether a worker could not have known of a package that is alive when it makes another one."""
        package = self.platform.packages[other]
        by = next(each.by for each in self.made if each.package_id == other)
        if self.turns:
            # Two workers: the other one's start call came after this one had looked, or shows later.
            return by != made.by and package.created_at + self.schedule.visible_after > self.listed_at[user]
        # Without a marker there is only the time to tell a package of an earlier DAG run; a Clear moves its start.
        return Marker.of(package.description) is None and package.created_at < self.began_at - 600

    def _in_no_time(self, reply: Reply) -> Reply:
        """On loopback, a delay would take real time, and a client that gives up as well."""
        if not reply.delay or not (self.on_loopback or self.trigger):
            return reply
        self.time.sleep(min(reply.delay, 60.0))
        return msgspec.structs.replace(reply, delay=0.0, drop="close" if reply.delay >= 60 else reply.drop)

    def _kill(self, when: str) -> Reply:
        self.tell(f"    dies {when}")
        if self.trigger is None:
            raise KilledError
        loop, task = self.trigger
        loop.call_soon_threadsafe(task.cancel)
        self.trigger_died.wait(20)
        return Reply(0, drop="close")

    def step(self, who: str = "") -> None:
        """Count a request or a sleep, let the clock jump, and let the other worker go on."""
        if self.turns:
            self.turns.wait(who or threading.current_thread().name)
        self.steps += 1
        for jump in [] if self.calm else self._jumps:
            if jump.nth == self.steps:
                self.clock.ahead += jump.seconds
                self.tell(f"    the clock jumps by {jump.seconds:+.0f} s")
                self.reached["clock forwards" if jump.seconds > 0 else "clock backwards"] += 1

    def dies(self, where: Where, endpoint: str = "") -> bool:
        """Return whether the schedule kills the process here."""
        for name in {"", endpoint}:
            self._times[where, name] += 1
        for crash in [] if self.calm else self._crashes:
            if crash.where == where and crash.on in ("", endpoint) and self._times[where, crash.on] == crash.nth:
                self._crashes.remove(crash)
                self.reached[f"{'triggerer' if self.trigger else 'worker'} dies {where}"] += 1
                return True
        return False

    def die(self, where: Where) -> None:
        """Die, if this is where."""
        if self.dies(where):
            self.tell(f"    dies {where}")
            raise KilledError

    def alive(self, intent: int | None = None) -> list[str]:
        """Return the packages of an intent that have not failed, earliest first."""
        ids = [each.package_id for each in self.made if each.intent == (intent or self.intent)]
        return [package_id for package_id in ids if self.platform.packages.status(package_id) != "Failed"]

    def tell(self, what: str) -> None:
        """Add to the story."""
        self.story.append(f"{self.time.now() - 1_700_000_000:9.2f}  {what}")

    def calm_down(self) -> None:
        """Nothing goes wrong any more."""
        self.calm = True
        self.turns = None
        self.platform.faults.clear()
        self.platform.packages.next_outcomes.clear()
        self.platform.packages.outcome = BuildOutcome.SUCCEEDS
