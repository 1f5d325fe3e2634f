"""Watchers, sensors and deferred waits of a connection: who asks the same thing shares one request."""

from __future__ import annotations

import asyncio

import pytest
from airflow.sdk import Variable

from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.triggers.event import MendixNewPackageTrigger, MendixNewRevisionTrigger
from airflow_provider_mendix.waits.revision import RevisionWait

from ..conftest import use_token

MINUTES = 12


class Store:
    """Airflow's store of one asset: nothing has been seen yet."""

    def __getitem__(self, asset):
        return self

    async def aget(self, key):
        return None

    async def aset(self, key, value):
        pass


def watchers(kind, count, **arguments):
    for number in range(count):
        trigger = kind(asset_name=f"asset_{number}", app_id="shop", **arguments)
        trigger.asset_state_store = Store()
        yield trigger


def requests_a_minute(crowd, *triggers):
    """Run triggers for twelve minutes, and return the requests of each of the last ten."""

    async def consume(trigger):
        async for _ in trigger.run():
            pass

    async def run():
        tasks = [asyncio.create_task(consume(trigger)) for trigger in triggers]
        while crowd.clock.now() < crowd.began + 60 * MINUTES:
            await crowd.settle()
            crowd.clock.advance()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await crowd.check_clean()

    asyncio.run(run())
    minutes = [int(at // 60) for at in crowd.times()]
    return [minutes.count(minute) for minute in range(2, MINUTES)]


@pytest.fixture(autouse=True)
def token(server, monkeypatch):
    use_token(monkeypatch, server)
    # Outside of a triggerer, there are no Variables; older versions of Airflow raise then.
    monkeypatch.setattr(Variable, "get", lambda key, default=None: default)


@pytest.mark.parametrize("kind", [MendixNewRevisionTrigger, MendixNewPackageTrigger])
def test_fifty_watchers_of_a_branch_cost_one_request_an_interval(crowd, kind):
    assert requests_a_minute(crowd, *watchers(kind, 50)) == [1] * 10


def test_a_deferred_sensor_of_the_branch_shares_it(crowd, platform):
    newest = platform.repositories.commits("shop")[0].id
    wait = RevisionWait("shop", "main", newer_than=newest, has_token=True)
    sensor = crowd.trigger("", wait=wait, poll_interval=60.0)
    assert requests_a_minute(crowd, sensor, *watchers(MendixNewRevisionTrigger, 5)) == [1] * 10


def test_deferred_waits_for_packages_share_the_list(crowd):
    packages = [crowd.build(ending=BuildOutcome.STUCK_BUILDING) for _ in range(5)]
    waits = [crowd.trigger(package_id, poll_interval=60.0) for package_id in packages]
    assert requests_a_minute(crowd, *waits, *watchers(MendixNewPackageTrigger, 5)) == [1] * 10
