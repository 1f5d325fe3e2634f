"""The world that a schedule happens in: a simulated Mendix, and what Airflow does with one task."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pendulum
import pytest
import requests_mock
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_mendix.builds.marker import Marker
from airflow_provider_mendix.clock import use_clock
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.operators.package import EXTRA_PACKAGES_KEY, MendixStartBuildOperator
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT
from airflow_provider_mendix.simulator.inprocess import install
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.triggers.wait import MendixWaitTrigger

from ..conftest import USER, TaskInstance, set_connection
from .schedule import Schedule
from .turns import Turns
from .wire import CONNECTIONS, REVISION, SECOND_USER, VERSION, KilledError, Wire


class Ended(msgspec.Struct, frozen=True):
    """How a try ended."""

    how: str
    package_id: str | None = None
    extra: tuple[str, ...] = ()
    error: BaseException | None = None

    @property
    def well(self) -> bool:
        return self.how == "success"

    def __str__(self) -> str:
        said = self.package_id or (f"{type(self.error).__name__}: {self.error}" if self.error else "")
        return f"{self.how} {said} {self.extra or ''}".strip()


class World(Wire):
    """One task run, from its first try to what its last one leaves behind.

    :ivar ends: how each try ended, with its intent.
    """

    def __init__(self, schedule: Schedule, server: Server) -> None:
        super().__init__(schedule)
        server.platform = self.platform
        self.server = server
        self.ti = TaskInstance(max_tries=schedule.retries)
        self.ends: list[tuple[int, Ended]] = []

    @classmethod
    @contextmanager
    def of(cls, schedule: Schedule, server: Server) -> Iterator[World]:
        """Make a world, and let our code live in it."""
        world = cls(schedule, server)
        before = random.getstate()
        random.seed(schedule.seed)  # the pauses between attempts are random
        with (
            pytest.MonkeyPatch.context() as patch,
            requests_mock.Mocker(real_http=True) as mocker,
            use_clock(world.clock),
        ):
            for user, conn_id in CONNECTIONS.items():
                # Without certificates to load, a trigger starts faster.
                set_connection(patch, conn_id, host=server.api_url, login=user, extra={"verify": False})
            if world.on_loopback:
                mocker.stop()
            else:
                install(world.platform, mocker, api_url=server.api_url)
            yield world
        random.setstate(before)

    def run(self) -> None:
        """Run the task with all its retries and Clears."""
        if self.schedule.kind == "two workers" and self._is_final(self._run_two()):
            return
        for count in range(1, 30):
            ended = self.run_try(self.ti)
            if count in self.schedule.clears:
                self._pause(count)
                self._clear(finished=self._is_final(ended))
            elif self._is_final(ended):
                return
            else:
                self._pause(count)
                self.retry()
        self.wrong.append("The tries do not end.")

    def _run_two(self) -> Ended:
        """Run the first try beside the second one, which Airflow starts because it believes the first one dead."""
        first = self.ti
        self.retry()
        tries = {SECOND_USER: first, USER: self.ti}
        self.turns = turns = Turns(
            self.schedule.seed, (SECOND_USER, USER), self.schedule.second_joins, self.schedule.first_stalls
        )
        ended: dict[str, Ended] = {}

        def work(user: str) -> None:
            try:
                ended[user] = self.run_try(tries[user], user)
            finally:
                turns.leave(user)

        threads = [threading.Thread(target=work, args=(user,), name=user) for user in tries]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.turns = None
        self.two = ended[SECOND_USER], ended[USER]
        if not self._is_final(ended[USER]):
            self._pause(0)
            self.retry()
        return ended[USER]

    def _is_final(self, ended: Ended) -> bool:
        return ended.how in ("success", "failed for good") or self.ti.try_number > self.ti.max_tries

    def _pause(self, count: int) -> None:
        self.time.sleep(self.schedule.pauses[count % len(self.schedule.pauses)])

    def retry(self) -> None:
        """Go on to the next try."""
        self.ti = TaskInstance(try_number=self.ti.try_number + 1, max_tries=self.ti.max_tries)

    def _clear(self, *, finished: bool) -> None:
        self.tell("    a user clears the task")
        self.reached[f"Clear, {self.schedule.on_clear}"] += 1
        self.ti = TaskInstance(
            try_number=self.ti.try_number + 1, max_tries=self.ti.try_number + self.schedule.retries
        )
        if finished and self.schedule.clears_finished_runs:
            self.began_at = self.time.now() + self.schedule.scheduler_ahead
        if self.schedule.on_clear == "rebuild":
            self.intent += 1

    def run_try(self, ti: TaskInstance, user: str = USER, **changes: Any) -> Ended:
        """Run one try, and say how it ended."""
        self.tell(f"try {ti.try_number} of {ti.max_tries + 1}, intent {self.intent}")
        try:
            package_id = self._run(ti, user, changes)
        except KilledError:
            ended = Ended("killed")
        except AirflowFailException as error:
            ended = Ended("failed for good", error=error)
            if not isinstance(error.__context__, MendixError):
                self.wrong.append(f"AirflowFailException without a reason: {error}")
        except MendixError as error:
            ended = Ended("failed", error=error)
            self._check_failure(error, user)
        except Exception as error:  # noqa: BLE001
            ended = Ended("failed", error=error)
            self.wrong.append(f"Not a MendixError: {error!r}")
        else:
            ended = Ended("success", package_id, tuple(ti.xcoms.get(EXTRA_PACKAGES_KEY, ())))
        self.tell(f"try {ti.try_number}: {ended}")
        self.reached[ended.how] += 1
        if ended.well and ended.package_id not in self.foreign and not self.calm:
            without = Marker.of(self.platform.packages[ended.package_id or ""].description) is None
            self.reached["success without a marker"] += without
        self.ends.append((self.intent, ended))
        return ended

    def _check_failure(self, error: MendixError, user: str) -> None:
        """A try may not give up while it waits for its build, nor too early when it looks for it."""
        if error.transient and self.asked[user] == "get_package":
            self.wrong.append(f"A passing trouble ended the wait: {error!r}")
        looked_for = self.time.now() - self.posted_at.get(user, self.time.now())
        if "appeared within" in str(error) and looked_for < VISIBILITY_TIMEOUT:
            self.wrong.append(f"A build in doubt was looked for only {looked_for:.0f} s: {error!r}")

    def _run(self, ti: TaskInstance, user: str, changes: dict[str, Any]) -> str:
        context = {
            "ti": ti,
            "dag_run": SimpleNamespace(start_date=pendulum.from_timestamp(self.began_at)),
        }
        try:
            package_id = self._task(user, changes).execute(context)
        except TaskDeferred as deferred:
            self.die("deferring")
            event = self._run_trigger(deferred.trigger)
            self.die("resuming")
            package_id = self._task(user, changes).resume_execution("execute_complete", {"event": event}, context)
        self.die("returning")
        return package_id

    def _task(self, user: str, changes: dict[str, Any]) -> MendixStartBuildOperator:
        arguments: dict[str, Any] = {
            "wait_for_completion": self.schedule.waits != "not at all",
            "deferrable": self.schedule.waits == "deferred",
            **changes,
        }
        return MendixStartBuildOperator(
            task_id="build",
            retries=self.schedule.retries,
            mendix_conn_id=CONNECTIONS[user],
            app_id="shop",
            branch="main",
            revision=REVISION,
            version=VERSION,
            description=self.schedule.description,
            on_clear=self.schedule.on_clear,
            retry_failed_build=self.schedule.retry_failed_build,
            timeout=900,
            outage_tolerance=120,
            **arguments,
        )

    def _run_trigger(self, trigger: MendixWaitTrigger) -> Any:
        """Run a trigger from its row, and again from its row if its triggerer dies."""
        _, arguments = trigger.serialize()
        row = json.dumps(arguments)
        while True:
            try:
                return json.loads(json.dumps(asyncio.run(self._event_of(MendixWaitTrigger(**json.loads(row))))))
            except (KilledError, asyncio.CancelledError):
                self.tell("    another triggerer takes the trigger over")
            finally:
                self.trigger = None
                self.trigger_died.set()

    async def _event_of(self, trigger: MendixWaitTrigger) -> Any:
        task = asyncio.current_task()
        if not self.turns and task:
            self.trigger_died.clear()
            self.trigger = asyncio.get_running_loop(), task
        (event,) = [event.payload async for event in trigger.run()]
        return event
