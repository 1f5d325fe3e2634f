"""Watchers: every revision and every finished package is in an event, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import asynccontextmanager

import pytest
from airflow.sdk import Variable

from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.triggers.event import MendixNewPackageTrigger, MendixNewRevisionTrigger

from ..conftest import KEY, USER, set_connection, use_token


class Store(dict):
    """Airflow's store of the state of assets, as a watcher gets it; it outlives triggers.

    :ivar failures: how many of the next calls fail.
    """

    failures = 0

    def __getitem__(self, asset):
        return Accessor(self, asset.name)

    def check(self):
        if self.failures:
            self.failures -= 1
            raise RuntimeError("The database is down.")


class Accessor:
    def __init__(self, store, name):
        self.store, self.name = store, name

    async def aget(self, key):
        self.store.check()
        return json.loads(self.store.get((self.name, key), "null"))

    async def aset(self, key, value):
        self.store.check()
        self.store[self.name, key] = json.dumps(value)


class Watch:
    """A running watcher."""

    def __init__(self, trigger, platform, *, dies_after_event):
        self.platform = platform
        self.events = asyncio.Queue()
        self.task = asyncio.create_task(self._run(trigger, dies_after_event))

    async def _run(self, trigger, dies_after_event):
        async for event in trigger.run():
            self.events.put_nowait(json.loads(json.dumps(event.payload)))
            if dies_after_event:
                return

    async def next(self):
        """Return the next event."""
        return await asyncio.wait_for(self.events.get(), 10)

    async def polls(self, count=4):
        """Let the watcher send some more requests, and check that it makes no event."""
        await self.until(self.requests() + count)
        assert self.events.empty()

    async def until(self, requests):
        for _ in range(10_000):
            if self.requests() >= requests:
                return
            await asyncio.sleep(0.001)
        raise TimeoutError(f"The watcher has sent {self.requests()} requests, not {requests}.")

    def requests(self):
        return len(self.platform.journal.requests("GET"))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """Outside of a triggerer, there are none; older versions of Airflow raise then."""
    monkeypatch.setattr(Variable, "get", lambda key, default=None: default)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def watching(platform, server, store):
    """Run a watcher from its row, until the block ends."""

    @asynccontextmanager
    async def watching(kind, asset_name="shop_main", *, dies_after_event=False, is_stored=True, **arguments):
        _, row = kind(**{"asset_name": asset_name, "app_id": "shop", **arguments}).serialize()
        trigger = kind(**json.loads(json.dumps(row)))
        if is_stored:
            trigger.asset_state_store = store
        watch = Watch(trigger, platform, dies_after_event=dies_after_event)
        try:
            yield watch
        finally:
            watch.task.cancel()
            await asyncio.wait([watch.task])

    return watching


@pytest.fixture
def push(platform):
    def push(message="Change something", app_id="shop", **options):
        return platform.repositories.push(app_id, message=message, **options)

    return push


@pytest.fixture
def build(platform):
    """Start a build that ends at once, and return its package id."""

    def build(version, outcome=BuildOutcome.SUCCEEDS, **options):
        revision = platform.repositories.commits("shop", options.get("branch"))[0].id
        steps = outcome.steps(platform.packages.timeline)
        return platform.packages.add("shop", version=version, revision=revision, steps=steps, **options)

    return build


REVISIONS, PACKAGES = MendixNewRevisionTrigger, MendixNewPackageTrigger


def run(test):
    asyncio.run(test())


@pytest.mark.usefixtures("token")
class TestRevisions:
    def test_the_first_poll_is_no_news_and_the_next_revision_is(self, watching, push):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
                pushed = push("Fix it", author="ana@example.com")
                event = await watch.next()
                await watch.polls()
            assert event["newest"]["revision"] == pushed
            assert event["newest"]["message"] == "Fix it"
            assert event["newest"]["author"] == "ana@example.com"
            assert event["newest"]["mendix_version"]
            assert (event["app_id"], event["branch"]) == ("shop", "main")
            assert event["revisions"] == [event["newest"]]

        run(test)

    def test_one_event_has_all_revisions_that_came_since_oldest_first(self, watching, push):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
                known = push()
                await watch.next()
                pushed = [push(f"Change {number}") for number in range(3)]
                event = await watch.next()
            assert event["since"] == known
            assert [revision["revision"] for revision in event["revisions"]] == pushed
            assert (event["count"], event["is_complete"]) == (3, True)

        run(test)

    def test_other_branches_are_no_news(self, watching, push):
        async def test():
            push(branch="branches/next")
            async with watching(REVISIONS) as watch:
                await watch.polls()
                push(branch="branches/next")
                await watch.polls()

        run(test)

    def test_a_revision_that_came_while_nothing_watched_is_news(self, watching, push):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
            pushed = push()
            async with watching(REVISIONS) as watch:
                assert (await watch.next())["newest"]["revision"] == pushed

        run(test)

    def test_an_event_is_repeated_with_its_id_if_the_process_dies_before_the_cursor_is_saved(self, watching, push):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
            push()
            async with watching(REVISIONS, dies_after_event=True) as watch:
                first = await watch.next()
            async with watching(REVISIONS) as watch:
                assert await watch.next() == first
                await watch.polls()

        run(test)

    def test_a_history_that_was_rewritten_is_news_of_its_newest_revision(self, watching, push, platform):
        async def test():
            before = platform.repositories["shop"]
            push("To be replaced")
            async with watching(REVISIONS) as watch:
                await watch.polls()
                platform.repositories["shop"] = before
                event_of_reset = await watch.next()
                pushed = push("Replacement")
                event = await watch.next()
            assert (event_of_reset["count"], event_of_reset["is_complete"]) == (1, False)
            assert event["newest"]["revision"] == pushed

        run(test)

    def test_an_event_lists_at_most_a_hundred(self, watching, push):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
            pushed = [push(f"Change {number}") for number in range(130)]
            async with watching(REVISIONS) as watch:
                event = await watch.next()
            assert event["count"] == 130
            assert [revision["revision"] for revision in event["revisions"]] == pushed[-100:]

        run(test)


class TestRevisionsOfSvn:
    def test_numbers_are_compared_as_numbers(self, watching, push, platform):
        async def test():
            async with watching(REVISIONS, app_id="old", branch="trunk") as watch:
                await watch.polls()
                pushed = [push(f"Change {number}", "old") for number in range(12)]
                event = await watch.next()
                await watch.polls()
            assert [revision["revision"] for revision in event["revisions"]] == pushed
            assert event["is_complete"]

        platform.add_app("old", repository="svn")
        run(test)


class TestPackages:
    def test_a_package_is_news_when_it_is_finished(self, watching, build, clock):
        async def test():
            build("1.0.0")
            clock.sleep(200)
            async with watching(PACKAGES) as watch:
                await watch.polls()
                package_id = build("1.0.1")
                event = await watch.next()
                await watch.polls()
            assert event["newest"]["package_id"] == package_id
            assert event["newest"]["version"].startswith("1.0.1.")
            assert event["newest"]["version"].endswith(event["newest"]["revision"])
            assert event["newest"]["status"] == "Succeeded"
            assert "expiry_date" in event["newest"]

        run(test)

    def test_a_build_that_was_started_earlier_and_ends_later_is_not_lost(self, watching, platform, build):
        async def test():
            slow = platform.packages.add(
                "shop", version="1.0.0", revision="1", steps=(("Queued", 900), ("Succeeded", math.inf))
            )
            async with watching(PACKAGES) as watch:
                await watch.polls()
                fast = build("1.0.1")
                assert (await watch.next())["newest"]["package_id"] == fast
                assert (await watch.next())["newest"]["package_id"] == slow

        run(test)

    def test_failed_builds_and_other_branches_are_no_news(self, watching, build, clock, push):
        async def test():
            push(branch="next")
            async with watching(PACKAGES) as watch:
                await watch.polls()
                build("1.0.1", BuildOutcome.FAILS_WHILE_BUILDING)
                build("1.0.2", branch="branches/next")
                clock.sleep(200)
                await watch.polls()

        run(test)

    def test_failed_builds_are_news_if_asked_for(self, watching, build):
        async def test():
            async with watching(PACKAGES, include_failed=True) as watch:
                await watch.polls()
                package_id = build("1.0.1", BuildOutcome.FAILS_WHILE_BUILDING)
                event = await watch.next()
            assert event["newest"]["package_id"] == package_id
            assert event["newest"]["status"] == "Failed"

        run(test)

    def test_an_event_that_is_repeated_has_its_id(self, watching, build, clock):
        async def test():
            async with watching(PACKAGES) as watch:
                await watch.polls()
            build("1.0.1")
            build("1.0.2")
            clock.sleep(200)
            async with watching(PACKAGES, dies_after_event=True) as watch:
                first = await watch.next()
            async with watching(PACKAGES) as watch:
                assert await watch.next() == first
                await watch.polls()
            assert first["count"] == 2

        run(test)


class TestTrouble:
    def test_an_outage_is_survived_and_loses_nothing(self, watching, platform, push, token, capsys):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
                platform.faults.add("bad_gateway", times=8)
                pushed = push()
                assert (await watch.next())["newest"]["revision"] == pushed

        run(test)
        log = capsys.readouterr().out
        assert "Asset shop_main (app shop, branch main): polling has failed for 0 min, trying again." in log
        assert "Asset shop_main (app shop, branch main): polling works again." in log

    def test_a_renewed_key_is_used(self, watching, platform, server, build, monkeypatch, clock):
        async def test():
            async with watching(PACKAGES) as watch:
                await watch.polls()
                platform.permissions.set_api_key(USER, "the-new-key")
                await watch.polls()
                set_connection(monkeypatch, host=server.api_url, password="the-new-key")
                package_id = build("1.0.1")
                assert (await watch.next())["newest"]["package_id"] == package_id

        run(test)

    def test_a_missing_connection_and_a_missing_branch_are_waited_for(
        self, watching, server, monkeypatch, push, clock
    ):
        async def test():
            monkeypatch.delenv("AIRFLOW_CONN_MENDIX_DEFAULT")
            began = clock.now()
            async with watching(REVISIONS, branch="branches/next") as watch:
                for _ in range(100):
                    await asyncio.sleep(0.001)
                assert clock.now() >= began + 300
                use_token(monkeypatch, server)
                await watch.polls()
                push(branch="next")
                await watch.polls()
                pushed = push("The second one", branch="next")
                assert (await watch.next())["newest"]["revision"] == pushed

        run(test)

    def test_a_store_that_fails_repeats_events_and_loses_none(self, watching, store, push, token):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
                pushed = push()
                store.failures = 3
                events = [await watch.next(), await watch.next()]
                await watch.polls()
            assert [event["newest"]["revision"] for event in events] == [pushed, pushed]
            assert events[0]["id"] == events[1]["id"]

        run(test)

    def test_two_watchers_of_a_split_brain_make_the_same_event(self, watching, push, token):
        async def test():
            async with watching(REVISIONS) as one, watching(REVISIONS) as other:
                await one.polls(8)
                push()
                assert (await one.next()) == (await other.next())

        run(test)

    def test_nothing_secret_is_in_an_event_or_a_row(self, watching, push, token):
        async def test():
            async with watching(REVISIONS) as watch:
                await watch.polls()
                push()
                event = await watch.next()
            assert token not in json.dumps(event)
            assert KEY not in json.dumps(event)

        run(test)
        assert token not in str(REVISIONS(asset_name="a", app_id="shop").serialize())


def test_before_airflow_3_3_the_cursor_is_a_variable(watching, push, token, monkeypatch):
    variables = {}

    class Variable:
        @staticmethod
        def get(key, default):
            return variables.get(key, default)

        @staticmethod
        def set(key, value, description):
            variables[key] = value

    monkeypatch.setattr("airflow.sdk.Variable", Variable)

    async def test():
        async with watching(REVISIONS, is_stored=False) as watch:
            await watch.polls()
        assert json.loads(variables["mendix_seen_shop_main"])["revision"]
        pushed = push()
        async with watching(REVISIONS, is_stored=False) as watch:
            assert (await watch.next())["newest"]["revision"] == pushed
            await watch.polls()
        assert json.loads(variables["mendix_seen_shop_main"]) == {"revision": pushed}

    run(test)
