"""One poller for each event loop and connection: all waits share its connections, its patience and its requests.

A wait asks, and is answered when its answer is due. It observes and logs by itself: the poller's task runs in an
empty context, for else its log lines would land in the log of the task that came first. Times are ticks of the
clock, which nobody sets.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from math import inf
from typing import Any

from airflow_provider_mendix.api.build import LazyPackageList
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.exceptions import (
    MalformedResponseError,
    MendixConnectionError,
    MendixError,
    UnauthorizedError,
)
from airflow_provider_mendix.polling.batching import SIZE_IS_KNOWN_FOR, UNREADABLE, is_list_cheaper
from airflow_provider_mendix.polling.queue import Question, Questions
from airflow_provider_mendix.polling.saturation import Load
from airflow_provider_mendix.polling.shared_client import Line
from airflow_provider_mendix.waits.base import Wait

# All waiters of one answer wake up in the same step of the event loop, and other triggers have to wait for them.
_MOST_AT_ONCE = 100
# A wait whose deadline has come may wait so long for a request to end, but not for leave to send one.
_LAST_LOOK = 10.0

log = logging.getLogger(__name__)

_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def poller_of(mendix_conn_id: str, clock: Clock) -> AsyncIterator[Poller]:
    """Join the poller of a connection; the first one starts it, and the last one out closes it."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(mendix_conn_id)
    if poller is None or poller.error:
        poller = pollers[mendix_conn_id] = Poller(mendix_conn_id, clock)
        poller.start()
    poller.waiters += 1
    try:
        yield poller
    finally:
        poller.waiters -= 1
        if not poller.waiters:
            if pollers.get(mendix_conn_id) is poller:
                del pollers[mendix_conn_id]
            await poller.close()


class Poller:
    """Asks Mendix what waits want to know.

    :ivar waiters: how many have joined.
    :ivar error: what ended it, if it has ended.
    """

    def __init__(self, mendix_conn_id: str, clock: Clock) -> None:
        self.clock = clock
        self.waiters = 0
        self.error: BaseException | None = None
        self._line = Line(mendix_conn_id, clock)
        self._load = Load(mendix_conn_id, self._line.ceiling)
        self._questions = Questions()
        self._unanswered: set[Question] = set()
        self._requests: set[asyncio.Task[None]] = set()
        self._sizes: dict[Hashable, tuple[float, float]] = {}
        self._bell = asyncio.Event()
        self._asleep_until = inf

    def start(self) -> None:
        """Run until it is closed."""
        self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._end)

    async def close(self) -> None:
        """Stop, and give up all sockets. If this is cancelled itself, that happens all the same."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def ask(self, wait: Wait, *, after: float, within: float) -> Any:
        """Look at what a wait waits for.

        :param after: seconds until the answer is due. It may come earlier if others ask the same.
        :param within: seconds until nobody wants it any more.
        :return: what the wait can judge, or the error that came instead; ``None`` if nobody could be asked.
        :raises MendixError: if the connection cannot be used.
        """
        if self.error:
            raise self.error
        future = asyncio.get_running_loop().create_future()
        question = Question(wait, self.clock.ticks(), after, within, future)
        self._unanswered.add(question)
        self._questions.add(question)
        if question.due < self._asleep_until:
            self._bell.set()
        try:
            return await future
        finally:
            self._unanswered.discard(question)
            self._questions.take(question)

    async def _run(self) -> None:
        try:
            await self._line.open()
            while True:
                self._bell.clear()
                pause = self._start_what_is_due()
                self._asleep_until = self.clock.ticks() + pause
                await self.clock.pause(pause, self._bell)
        finally:
            for request in self._requests:
                request.cancel()
            await asyncio.gather(*self._requests, return_exceptions=True)
            await self._line.close()

    def _end(self, task: asyncio.Task[None]) -> None:
        error = self.error or (None if task.cancelled() else task.exception())
        self.error = error or RuntimeError("The poller of this connection has been stopped.")
        for question in list(self._unanswered):
            question.fail(self.error)

    def _start_what_is_due(self) -> float:
        """Start all requests that may go, and give the seconds until there may be more to do."""
        while True:
            now = self.clock.ticks()
            question = self._questions.oldest(now)
            if question is None:
                self._load.note_all_sent(self._unanswered)
                return self._questions.next_due() - now
            pause = self._line.quiet() or self._line.ceiling.wait(now)
            is_full = len(self._requests) >= self._line.most_in_flight
            if pause or is_full:
                if pause and not self._line.quiet():
                    self._load.note_held_up(self._unanswered)
                return self._hold_up(pause or inf, 0.0 if pause else _LAST_LOOK, now)
            self._start(question, now)

    def _hold_up(self, pause: float, patience: float, now: float) -> float:
        """Let those go whose time is over, and give the seconds until the next one's is."""
        for question in self._questions.expired(now - patience):
            question.give(None)
        return min(pause, self._questions.next_due() - now, self._questions.next_expiry() + patience - now)

    def _start(self, question: Question, now: float) -> None:
        riders = self._riders(question, now)
        for rider in riders:
            self._questions.take(rider)
        self._line.ceiling.take(now)
        is_shared = len(riders) > 1 or not question.wait.has_single_call
        work = self._ask_for_all(riders) if is_shared else self._ask_for_one(question)
        request = asyncio.get_running_loop().create_task(work)
        self._requests.add(request)
        request.add_done_callback(self._land)

    def _land(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        self._bell.set()
        if not request.cancelled() and (error := request.exception()):
            self._task.cancel()  # nobody has thought of this one: see `_end`
            self.error = error

    def _riders(self, question: Question, now: float) -> list[Question]:
        """Give all whom the next request is to answer."""
        size, learnt_at = self._sizes.get(question.group, (None, 0.0))
        known = size if now - learnt_at < SIZE_IS_KNOWN_FOR else None
        if question.is_alone or (known == UNREADABLE and question.wait.has_single_call):
            return [question]
        riders = self._questions.riders(question, now)
        if all(rider.wait.has_single_call for rider in riders) and not is_list_cheaper(
            len(riders), known, is_scarce=self._load.is_binding
        ):
            return [question]
        return riders

    async def _ask_for_one(self, question: Question) -> None:
        try:
            question.give(await self._line.send(question.wait.call(), question.due))
        except MendixError as error:
            question.give(error)
            self._tell_of_outage(error)
        except Exception as error:  # noqa: BLE001 - a bug in one wait, which is none of the others'
            question.fail(error)

    async def _ask_for_all(self, questions: list[Question]) -> None:
        first = questions[0]
        try:
            answer = await self._line.send(first.wait.shared_call(), min(one.due for one in questions))
        except MendixError as error:
            self._share_error(error, questions)
            self._tell_of_outage(error)
            return
        except Exception as error:  # noqa: BLE001
            self._share_error(error, questions)
            return
        if isinstance(answer, LazyPackageList):
            self._sizes[first.group] = answer.size, self.clock.ticks()
        for nth, question in enumerate(questions, 1):
            try:
                found = question.wait.extract(answer)
            except Exception as error:  # noqa: BLE001
                question.fail(error)
                continue
            if found is None:
                self._ask_again_alone(question)
            else:
                question.give(found)
            if nth % _MOST_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _share_error(self, error: Exception, questions: list[Question]) -> None:
        """What went wrong with a list need not be true of each package, unless nothing at all can be said."""
        of_all = isinstance(error, UnauthorizedError) or (
            isinstance(error, MendixError) and error.transient and not isinstance(error, MalformedResponseError)
        )
        for question in questions:
            if question.wait.has_single_call and not of_all:
                self._sizes[question.group] = UNREADABLE, self.clock.ticks()
                self._ask_again_alone(question)
            elif isinstance(error, MendixError):
                question.give(error)
            else:
                question.fail(error)

    def _ask_again_alone(self, question: Question) -> None:
        if not question.answer.done():
            question.is_alone = True
            self._questions.add(question)
            self._bell.set()

    def _tell_of_outage(self, error: MendixError) -> None:
        """Nobody who is waiting for a request gets through now; each wait knows how long it puts up with that."""
        if not self._line.is_down or not isinstance(error, MendixConnectionError):
            return
        told = MendixConnectionError(f"Mendix does not answer the waits of this connection. The last try: {error}")
        for question in self._questions.ripe(self.clock.ticks()):
            self._questions.take(question)
            question.give(told)
