"""Wake-ups: how a process of the API server makes the watchers of an app poll at once.

There is no channel from the API server to a triggerer but the metadata database. A wake-up writes two Variables:
one of the app, then one that says that there was a wake-up. A triggerer reads the latter once a second, whatever
the number of its watchers, and those of the apps only after it has changed. Each write is blind and unique, so
several API servers cannot overwrite each other's wake-ups.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.polling.variables import read_variable
from airflow_provider_mendix.settings import webhooks_enabled

if TYPE_CHECKING:
    from airflow_provider_mendix.polling.poller import Poller

ANY_APP = "mendix_wakeup"
_READ_INTERVAL = 1.0

log = logging.getLogger(__name__)


def variable_of(app_id: str) -> str:
    """Return the key of the Variable of an app."""
    return f"{ANY_APP}_{app_id.lower()}"


def wake(app_id: str) -> None:
    """Let all watchers of an app poll at once. Call it where the metadata database is at hand: in an API server.

    :param app_id: subdomain of the app.
    """
    from airflow.models import Variable

    for key in (variable_of(app_id), ANY_APP):
        Variable.set(key, uuid.uuid4().hex)


class Wakeup:
    """The wake-ups of one app, for the watchers of one event loop.

    :ivar count: how many there were.
    :ivar pollers: the pollers of its watchers, each with their number.
    """

    def __init__(self) -> None:
        self.count = 0
        self.value: str | None = None
        self.pollers: dict[Poller, int] = {}


class _Reader:
    """Reads the Variables, for all watchers of one event loop."""

    def __init__(self) -> None:
        self.apps: dict[str, Wakeup] = {}
        self._value: str | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._task is None:
            run = self._run()
            self._task = asyncio.get_running_loop().create_task(run, context=contextvars.Context())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await current_clock().pause(_READ_INTERVAL)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 - the watchers poll without wake-ups too
                log.warning("Wake-ups cannot be read: %s. Watchers poll at their interval.", type(error).__name__)

    async def _look(self) -> None:
        value = await read_variable(ANY_APP)
        if value == self._value:
            return
        for app_id, wakeup in list(self.apps.items()):
            of_app = await read_variable(variable_of(app_id))
            if of_app == wakeup.value:
                continue
            wakeup.value = of_app
            wakeup.count += 1
            log.info("Polling app %s now: a webhook has come for its watchers.", app_id)
            for poller in wakeup.pollers:
                poller.poll_now(app_id)
        self._value = value


_readers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Reader] = weakref.WeakKeyDictionary()


@contextmanager
def wakeup_of(app_id: str, poller: Poller) -> Iterator[Wakeup]:
    """Join the wake-ups of an app. Without webhooks, nothing is read and there are none.

    :param poller: sends the polls of the watcher that joins.
    """
    reader = _readers.setdefault(asyncio.get_running_loop(), _Reader())
    wakeup = reader.apps.setdefault(app_id.lower(), Wakeup())
    wakeup.pollers[poller] = wakeup.pollers.get(poller, 0) + 1
    if webhooks_enabled():
        reader.start()
    try:
        yield wakeup
    finally:
        wakeup.pollers[poller] -= 1
        if not wakeup.pollers[poller]:
            del wakeup.pollers[poller]
        if not wakeup.pollers:
            reader.apps.pop(app_id.lower(), None)
        if not reader.apps:
            reader.stop()
