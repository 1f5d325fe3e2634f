"""Waits join, leave, are cancelled or have bugs: the others continue, and nothing is left over."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading

import pytest

from airflow_provider_mendix.api.conversations import environment_package, latest_revision, project_id
from airflow_provider_mendix.exceptions import AppNotFoundError, MendixConnectionError, RateLimitedError
from airflow_provider_mendix.polling.poller import Poller, poller_of
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline
from airflow_provider_mendix.triggers import wait as triggers_wait
from airflow_provider_mendix.triggers.wait import MendixWaitTrigger
from airflow_provider_mendix.waits.base import wait_from_json
from airflow_provider_mendix.waits.package import PackageWait
from airflow_provider_mendix.waits.poll_state import PollState

from ..conftest import KEY, USER, set_connection
from .conftest import event_of

PROJECT = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
TASK = contextvars.ContextVar("TASK", default="the triggerer")


class Lines(logging.Handler):
    """Collects each of our log lines with the task in whose context it was logged."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append((TASK.get(), record.getMessage()))


@pytest.fixture
def lines():
    handler, ours = Lines(), logging.getLogger("airflow_provider_mendix")
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel("INFO")
    yield handler.seen
    ours.removeHandler(handler)
    ours.setLevel(level)


class LoggedTrigger(MendixWaitTrigger):
    """Runs and logs in a context of its own, as in a triggerer."""

    def __init__(self, name, **arguments):
        super().__init__(**arguments)
        self.name = name

    @property
    def log(self):
        return logging.getLogger("airflow_provider_mendix.triggers.wait")

    async def run(self):
        TASK.set(self.name)
        async for event in super().run():
            yield event


def named(crowd, package_id, **changes):
    _, arguments = crowd.trigger(package_id, **changes).serialize()
    return LoggedTrigger(package_id, **arguments)


def test_each_line_is_in_the_log_of_its_own_task(crowd, lines):
    ids = [crowd.build(timeline=Timeline(20 + shift, 30, 10)) for shift in (0, 10, 20, 30, 40)]
    crowd.run(*(named(crowd, package_id) for package_id in ids))
    for package_id in ids:
        assert [line for task, line in lines if task == package_id] == [
            f"Package {package_id} of app shop: {state}" for state in ("Building", "Uploading", "Succeeded")
        ]
    assert {task for task, _ in lines} == set(ids)


def test_lines_about_the_connection_are_in_no_task_log(crowd, lines, platform, server, monkeypatch):
    def rotate(_):
        platform.permissions.set_api_key(USER, "the-new-key")
        set_connection(monkeypatch, host=server.api_url, password="the-new-key")

    crowd.at(15, rotate)
    crowd.run(named(crowd, crowd.build()))
    (told,) = [task for task, line in lines if "credentials have changed" in line]
    assert told == "the triggerer"


def test_the_first_wait_may_leave_before_the_others(crowd):
    triggers = [crowd.trigger(crowd.build(timeline=Timeline(9 + 20 * nth, 0, 0))) for nth in range(4)]
    assert [event["ended"] for event in crowd.run(*triggers)] == ["success"] * 4
    assert crowd.most_connections <= 4


@pytest.mark.parametrize("seconds", [0.0, 5.0, 10.0, 10.2, 55.0])
@pytest.mark.parametrize("who", [[0], [3], [1, 2], [0, 1, 2, 3]], ids=str)
def test_waits_may_be_cancelled_at_any_time(crowd, seconds, who):
    crowd.at(seconds, lambda tasks: [tasks[nth].cancel() for nth in who])
    ended = crowd.run(*(crowd.trigger(crowd.build()) for _ in range(4)))
    for nth, end in enumerate(ended):
        assert isinstance(end, asyncio.CancelledError) if nth in who else end["ended"] == "success"


def test_the_message_of_a_cancellation_arrives(crowd):
    """Airflow tells by it whether a user has cancelled the trigger."""
    heard = []

    class Listening(MendixWaitTrigger):
        async def run(self):
            try:
                async for event in super().run():
                    yield event
            except asyncio.CancelledError as cancelled:
                heard.extend(cancelled.args)
                raise

    crowd.at(5, lambda tasks: tasks[0].cancel("user-action"))
    _, row = crowd.trigger(crowd.build()).serialize()
    _, other = crowd.run(Listening(**row), crowd.trigger(crowd.build()))
    assert heard == ["user-action"]
    assert other["ended"] == "success"
    heard.clear()
    # The last one to leave closes the poller on its way.
    _, row = crowd.trigger(crowd.build()).serialize()
    crowd.run(Listening(**row))
    assert heard == ["user-action"]


def test_a_wait_may_be_cancelled_while_its_request_is_pending(crowd):
    waiting, has_left = [], threading.Event()

    def note(tasks):
        waiting.append(tasks[0])
        tasks[0].add_done_callback(lambda _: has_left.set())

    def cancel(_):
        if not has_left.is_set():
            waiting[0].get_loop().call_soon_threadsafe(waiting[0].cancel)
            has_left.wait(5)

    crowd.at(1, note)
    crowd.trouble = cancel
    first, second = crowd.run(*(crowd.trigger(crowd.build()) for _ in range(2)))
    assert isinstance(first, asyncio.CancelledError)
    assert second["ended"] == "success"


def test_a_wait_continues_in_another_triggerer(crowd):
    package_id = crowd.build()
    crowd.at(35, lambda tasks: tasks[0].cancel())
    trigger = crowd.trigger(package_id)
    (end,) = crowd.run(trigger)
    assert isinstance(end, asyncio.CancelledError)
    crowd.plans.clear()
    _, row = trigger.serialize()
    (event,) = crowd.run(MendixWaitTrigger(**row))
    assert event["ended"] == "success"


def test_later_waits_on_the_same_loop_get_a_new_poller(crowd):
    async def twice():
        ends = []
        for _ in range(2):
            ends += await crowd._run([crowd.trigger(crowd.build())])
        return ends

    assert [event["ended"] for event in asyncio.run(twice())] == ["success"] * 2


ERROR = ZeroDivisionError("a bug")


def broken(part, package_id, app_id):
    """Return a wait with a bug in one part."""

    def fail(*_):
        raise ERROR

    value = property(fail) if part in ("batch_key", "description") else fail
    return type("BrokenWait", (PackageWait,), {part: value}, tag="PackageWait")(app_id, package_id)


@pytest.mark.parametrize("app_id", ["shop", "alone"])
@pytest.mark.parametrize(
    "part",
    ["batch_key", "description", "call", "shared_call", "extract", "judge", "is_retryable", "has_single_call"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_bug_in_one_wait_affects_no_other(crowd, monkeypatch, part, app_id, is_first):
    package_id = crowd.build(app_id)
    wait = broken(part, package_id, app_id)
    monkeypatch.setattr(
        triggers_wait,
        "wait_from_json",
        lambda data: wait if data["package_id"] == package_id else wait_from_json(data),
    )
    triggers = [crowd.trigger(crowd.build()) for _ in range(4)]
    triggers.insert(0 if is_first else 4, crowd.trigger(package_id))
    ended = crowd.run(*triggers)
    bad = ended.pop(0 if is_first else 4)
    assert [event["ended"] for event in ended] == ["success"] * 4
    if part in ("batch_key", "shared_call", "description", "judge", {"shop": "extract", "alone": "call"}[app_id]):
        assert bad is ERROR
    else:
        assert bad["ended"] == "success"


def test_a_crash_of_the_poller_reaches_every_wait(crowd, monkeypatch):
    crash = ZeroDivisionError("a bug of ours")

    def fail(self):
        if crowd.clock.now() > crowd.began + 25:
            raise crash
        return start(self)

    start = Poller._send_due
    monkeypatch.setattr(Poller, "_send_due", fail)
    ended = crowd.run(*(crowd.trigger(crowd.build(app), app) for app in ("shop", "shop", "depot", "store")))
    assert ended == [crash] * 4


def test_a_stopped_poller_ends_its_waits(crowd):
    def stop(tasks):
        (poller,) = (
            task
            for task in asyncio.all_tasks(tasks[0].get_loop())
            if getattr(task.get_coro(), "__qualname__", "") == "Poller._run"
        )
        poller.cancel()

    crowd.at(25, stop)
    ended = crowd.run(*(crowd.trigger(crowd.build()) for _ in range(3)))
    assert [str(end) for end in ended] == ["The poller of this connection has been stopped."] * 3


def test_a_wait_after_a_crash_gets_a_new_poller(crowd, monkeypatch):
    crashed = []
    start = Poller._send_due

    def fail_once(self):
        if not crashed:
            crashed.append(self)
            raise ZeroDivisionError
        return start(self)

    monkeypatch.setattr(Poller, "_send_due", fail_once)

    class Retried(MendixWaitTrigger):
        async def run(self):
            while True:
                try:
                    async for event in super().run():
                        yield event
                        return
                except ZeroDivisionError:
                    continue

    _, row = crowd.trigger(crowd.build()).serialize()
    (event,) = crowd.run(Retried(**row))
    assert event["ended"] == "success"


def test_each_event_loop_has_a_poller_of_its_own(crowd):
    for _ in range(3):
        (event,) = crowd.run(crowd.trigger(crowd.build()))
        assert event["ended"] == "success"


def test_each_connection_has_a_poller_of_its_own(crowd, server, monkeypatch):
    set_connection(monkeypatch, "other", host=server.api_url, password="wrong")
    good, bad, nowhere = crowd.run(
        crowd.trigger(crowd.build()),
        crowd.trigger(crowd.build(), mendix_conn_id="other"),
        crowd.trigger(crowd.build(), mendix_conn_id="nowhere", timeout=300),
    )
    assert good["ended"] == "success"
    assert bad["error"]["type"] == "UnauthorizedError"
    assert nowhere["error"]["type"] == "WaitTimeoutError"


def test_in_real_time(system_clock, monkeypatch):
    platform = Platform()
    platform.permissions.add_account(USER, KEY)
    platform.add_app("shop")
    platform.packages.timeline = Timeline.of(seconds=0.5)

    async def crowd_of(count):
        now = platform.clock.now()
        triggers = []
        for nth in range(count):
            package_id = platform.packages.add(
                "shop",
                version="2.5.4",
                revision="9f3ab2c1",
                steps=(BuildOutcome.STUCK_QUEUED if nth == 0 else BuildOutcome.SUCCEEDS).steps(
                    platform.packages.timeline
                ),
            )
            state = PollState.begin(now, poll_interval=0.1, timeout=1.0, outage_tolerance=None)
            wait = PackageWait("shop", package_id)
            triggers.append(
                MendixWaitTrigger(mendix_conn_id="mendix_default", wait=wait.to_json(), poll_state=state.to_json())
            )
        return await asyncio.gather(*map(event_of, triggers))

    with Server(platform) as server:
        set_connection(monkeypatch, host=server.api_url)
        stuck, *done = asyncio.run(crowd_of(30))
    assert stuck["error"]["type"] == "WaitTimeoutError"
    assert [event["ended"] for event in done] == ["success"] * 29
    assert len(platform.journal) <= 13


class TestConversations:
    def run(self, conversation, **timing):
        async def run():
            async with poller_of("mendix_default") as poller:
                return await poller.run(conversation, **timing)

        return asyncio.run(run())

    def test_the_result_is_returned(self, crowd, system_clock, platform):
        platform.add_app("calc", repository="svn")
        revision = platform.repositories.push("calc")
        found = self.run(latest_revision("calc", "main", has_token=False))
        assert found.revision == revision
        assert len(platform.journal) == 2

    def test_an_error_that_the_conversation_handles_goes_in(self, crowd, system_clock):
        assert self.run(environment_package("shop", "Test")) is None

    def test_another_error_comes_out(self, crowd, system_clock):
        with pytest.raises(AppNotFoundError):
            self.run(project_id("shoq"))

    def test_one_without_a_call_needs_no_request(self, crowd, system_clock, platform):
        wait = PackageWait("shop", "p")
        assert self.run(wait.resolve()) is wait
        assert not platform.journal

    def test_the_rate_limit_counts_its_calls(self, crowd, rate_limit):
        rate_limit(6)

        async def run():
            async with poller_of("mendix_default") as poller:
                tasks = [asyncio.create_task(poller.run(project_id(app))) for app in ("a", "b", "c")]
                await crowd.let_pass(*tasks)
                await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(run())
        assert crowd.times() == pytest.approx([0.0, 10.5, 21.0])

    def test_it_gives_up_when_it_expires(self, crowd, clock, platform):
        platform.faults.add("rate_limited", retry_after=300, times=1)

        async def run():
            async with poller_of("mendix_default") as poller:
                with pytest.raises(RateLimitedError):
                    await poller.run(project_id("shop"))
                task = asyncio.create_task(poller.run(project_id("shop"), expires_in=60))
                await crowd.let_pass(task)
                with pytest.raises(MendixConnectionError, match="before the deadline: Mendix asked for a pause"):
                    await task

        asyncio.run(run())
        assert clock.now() == crowd.began + 60
