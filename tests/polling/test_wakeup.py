"""Wake-ups: what an API server writes makes the watchers of an app poll before their interval has passed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from airflow_provider_mendix.polling.wakeup import wake
from airflow_provider_mendix.triggers.event import MendixNewPackageTrigger


class Variable:
    """Airflow's Variables, in both of the forms in which Airflow has them."""

    values = {}
    reads = 0
    keys = set()

    @classmethod
    def get(cls, key, default=None):
        cls.reads += 1
        cls.keys.add(key)
        return cls.values.get(key, default)

    @classmethod
    def set(cls, key, value, **_):
        cls.values[key] = value


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    names = [f"mendix_seen_{app_id}_{number}" for app_id in ("shop", "crm") for number in range(5)]
    Variable.values, Variable.reads, Variable.keys = dict.fromkeys(names, '{"packages": []}'), 0, set()
    monkeypatch.setattr("airflow.sdk.Variable", Variable)
    monkeypatch.setattr("airflow.models.Variable", Variable)
    return Variable


@pytest.fixture
def webhooks(monkeypatch):
    monkeypatch.setenv("AIRFLOW__MENDIX__WEBHOOKS", json.dumps({"shop": "mendix_webhook_shop"}))


@pytest.fixture
def watchers(platform, server, system_clock):
    """Run a test beside watchers of two apps that poll once an hour, in real time."""
    platform.add_app("crm")

    def run(test):
        async def beside():
            tasks = [
                asyncio.create_task(_consume(MendixNewPackageTrigger(**_row(app_id, number))))
                for app_id in ("shop", "crm")
                for number in range(5)
            ]
            await _until(lambda: requests("shop") and requests("crm") and Variable.values.keys() <= Variable.keys)
            # A watcher that began last may have a request of its own.
            await _until_constant(lambda: requests("shop") + requests("crm"))
            at_start.update(shop=requests("shop"), crm=requests("crm"))
            await test()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        asyncio.run(beside())

    at_start = Counter()

    def requests(app_id):
        """Count the requests since the first poll."""
        counted = sum(f"/apps/{app_id}/" in entry.path for entry in platform.journal.requests("GET"))
        return counted - at_start[app_id]

    run.requests = requests
    return run


def _row(app_id, number):
    return {"asset_name": f"{app_id}_{number}", "app_id": app_id, "poll_interval": 3600.0}


async def _consume(trigger):
    async for _ in trigger.run():
        pass


async def _until(true):
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def _until_constant(count):
    """Wait until a number has not changed for half a second."""
    before, since = count(), 0
    while since < 50:
        await asyncio.sleep(0.01)
        before, since = count(), since + 1 if count() == before else 0


def test_a_wake_up_makes_the_watchers_of_its_app_poll_together(watchers, webhooks):
    async def test():
        wake("Shop")
        await _until(lambda: watchers.requests("shop"))
        assert watchers.requests("shop") == 1
        assert watchers.requests("crm") == 0

    watchers(test)


def test_they_poll_once_more_because_mendix_may_show_it_later(watchers, webhooks):
    async def test():
        wake("shop")
        await _until(lambda: watchers.requests("shop") >= 2)

    watchers(test)


def test_without_webhooks_nothing_is_read(watchers, variables):
    async def test():
        before = variables.reads
        await asyncio.sleep(0)
        assert variables.reads == before

    watchers(test)


def test_one_read_a_second_serves_all_watchers(watchers, webhooks, variables):
    async def test():
        before = variables.reads
        wake("nobody-watches-this")
        await _until(lambda: variables.reads > before)
        # The general one, and after its change one for each of the two apps.
        await _until(lambda: variables.reads >= before + 3)
        assert variables.reads == before + 3

    watchers(test)
