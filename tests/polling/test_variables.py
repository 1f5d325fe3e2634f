"""Variables, read and written from an event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from airflow_provider_mendix.polling.variables import read_variable, write_variable


class Variable:
    """Airflow's Variables, which block the thread that asks."""

    def __init__(self):
        self.stored = {}
        self.threads = set()

    def get(self, key, default):
        self.threads.add(threading.current_thread())
        return self.stored.get(key, (default,))[0]

    def set(self, key, value, description):
        self.threads.add(threading.current_thread())
        self.stored[key] = value, description


@pytest.fixture
def variable(monkeypatch):
    found = Variable()
    monkeypatch.setattr("airflow.sdk.Variable", found)
    return found


def test_what_is_written_is_read_and_never_on_the_thread_of_the_loop(variable):
    async def write_and_read():
        missing = await read_variable("seen")
        await write_variable("seen", "3", "What was seen.")
        return missing, await read_variable("seen")

    assert asyncio.run(write_and_read()) == (None, "3")
    assert variable.stored == {"seen": ("3", "What was seen.")}
    assert threading.main_thread() not in variable.threads
