"""The poller: one for each event loop and connection, which sends the requests of all waits of that connection.

A wait asks for a poll and gets the response when it is due; the wait itself judges the response and logs. The
poller's task runs in an empty context, because its log lines would otherwise land in the log of the first task.
Times are ticks of the clock, which do not change when the system's time is set.
"""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from math import inf
from typing import Any, TypeVar, cast

from airflow_provider_mendix.api.build import LazyPackageList
from airflow_provider_mendix.api.call import Call, Conversation
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    MalformedResponseError,
    MendixConnectionError,
    MendixError,
    UnauthorizedError,
)
from airflow_provider_mendix.polling.batching import SIZE_IS_VALID_FOR, UNREADABLE, is_list_cheaper
from airflow_provider_mendix.polling.queue import PollQueue, PollRequest
from airflow_provider_mendix.polling.saturation import Load
from airflow_provider_mendix.polling.shared_client import SharedClient
from airflow_provider_mendix.waits.base import Wait

T = TypeVar("T")

# All waits that get a response at once wake up in the same step of the event loop, and block other triggers.
_MAX_RESOLVED_AT_ONCE = 100
# After its deadline, a wait may still wait this long for other requests to finish, but not for the rate limit.
_GRACE = 10.0

_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = weakref.WeakKeyDictionary()


@asynccontextmanager
async def poller_of(mendix_conn_id: str) -> AsyncIterator[Poller]:
    """Join the poller of a connection; the first to join starts it, and the last to leave closes it."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    poller = pollers.get(mendix_conn_id)
    if poller is None or poller.error:
        poller = pollers[mendix_conn_id] = Poller(mendix_conn_id)
        poller.start()
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if not poller.users:
            if pollers.get(mendix_conn_id) is poller:
                del pollers[mendix_conn_id]
            await poller.close()


class Poller:
    """Sends the requests of many waits.

    :ivar users: how many have joined.
    :ivar error: what ended it, if it has ended.
    """

    def __init__(self, mendix_conn_id: str) -> None:
        self.users = 0
        self.error: BaseException | None = None
        self._client = SharedClient(mendix_conn_id)
        self._load = Load(mendix_conn_id, self._client.rate_limiter)
        self._queue = PollQueue()
        self._unresolved: set[PollRequest] = set()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._list_sizes: dict[Hashable, tuple[float, float]] = {}
        self._wakeup = asyncio.Event()
        self._asleep_until = inf

    def start(self) -> None:
        """Run until :meth:`close`."""
        self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(self._end)

    async def close(self) -> None:
        """Stop and close all sockets, even if this method is cancelled."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def poll(self, wait: Wait, *, due_in: float = 0.0, expires_in: float = inf, app_id: str = "") -> Any:
        """Return the response to one poll, or the ``MendixError`` that came instead.

        :param due_in: seconds until the poll is due. It may be served earlier by the request of another wait.
        :param expires_in: seconds until the response is no longer of use.
        :param app_id: the app whose wake-up lets it fall due at once; empty for none.
        """
        if self.error:
            raise self.error
        request = PollRequest(wait, current_clock().ticks(), due_in, expires_in, app_id)
        self._unresolved.add(request)
        self._queue.add(request)
        if request.due_at < self._asleep_until:
            self._wakeup.set()
        try:
            return await request.future
        finally:
            self._unresolved.discard(request)
            self._queue.remove(request)

    def poll_now(self, app_id: str) -> None:
        """Let the polls that wait for a wake-up of an app fall due at once."""
        now = current_clock().ticks()
        for request in self._unresolved:
            if request.app_id == app_id:
                self._queue.hasten(request, now)
        self._wakeup.set()

    async def has_token(self) -> bool:
        """Return whether the connection has a personal access token.

        :raises MendixError: if the connection cannot be read.
        """
        return await self._client.has_token()

    async def run(
        self, conversation: Conversation[T], *, due_in: float = 0.0, expires_in: float = inf, app_id: str = ""
    ) -> T:
        """Drive a conversation through the shared client and return its result.

        :param due_in: seconds until its first call is due.
        :param expires_in: seconds until the result is no longer of use.
        :param app_id: the app whose wake-up lets its first call fall due at once; empty for none.
        :raises MendixError: the error of a call that the conversation does not handle, or one of its own.
        """
        expires_at = current_clock().ticks() + expires_in
        try:
            call = next(conversation)
            while True:
                left = max(0.0, expires_at - current_clock().ticks())
                response = await self.poll(_CallWait(call), due_in=due_in, expires_in=left, app_id=app_id)
                due_in, app_id = 0.0, ""
                if isinstance(response, MendixError):
                    call = conversation.throw(response)
                else:
                    call = conversation.send(response)
        except StopIteration as end:
            return cast("T", end.value)

    async def _run(self) -> None:
        try:
            while True:
                self._wakeup.clear()
                pause = self._send_due()
                self._asleep_until = current_clock().ticks() + pause
                await current_clock().pause(pause, self._wakeup)
        finally:
            for task in self._in_flight:
                task.cancel()
            await asyncio.gather(*self._in_flight, return_exceptions=True)
            await self._client.close()

    def _end(self, task: asyncio.Task[None]) -> None:
        error = self.error or (None if task.cancelled() else task.exception())
        self.error = error or RuntimeError("The poller of this connection has been stopped.")
        for request in list(self._unresolved):
            request.reject(self.error)

    def _send_due(self) -> float:
        """Send all requests that may be sent, and return the seconds until there may be more to do."""
        while True:
            now = current_clock().ticks()
            request = self._queue.oldest(now)
            if request is None:
                self._load.record_all_sent(self._unresolved)
                return self._queue.next_due() - now
            if backoff := self._client.backoff_remaining():
                return self._expire(f"Mendix asked for a pause. {self._client.backoff_reason}", backoff, 0.0, now)
            if delay := self._client.rate_limiter.delay(now):
                self._load.record_delayed(self._unresolved)
                return self._expire("[mendix] requests_per_minute was used up.", delay, 0.0, now)
            if len(self._in_flight) >= self._client.max_in_flight:
                return self._expire("earlier requests were still pending.", inf, _GRACE, now)
            self._send(request, now)

    def _expire(self, why: str, pause: float, grace: float, now: float) -> float:
        """Resolve the requests that have expired, and return the seconds until the next one may."""
        for request in self._queue.pop_expired(now - grace):
            request.resolve(MendixConnectionError(f"No request could be sent before the deadline: {why}"))
        return min(pause, self._queue.next_due() - now, self._queue.next_expiry() + grace - now)

    def _send(self, request: PollRequest, now: float) -> None:
        batch = self._batch(request, now)
        for member in batch:
            self._queue.remove(member)
        self._client.rate_limiter.record(now)
        is_shared = len(batch) > 1 or not request.wait.has_single_call
        work = self._send_shared(batch) if is_shared else self._send_single(request)
        task = asyncio.get_running_loop().create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._wakeup.set()
        if not task.cancelled() and (error := task.exception()):
            self._task.cancel()  # a bug in the poller itself: see `_end`
            self.error = error

    def _batch(self, request: PollRequest, now: float) -> list[PollRequest]:
        """Return the requests that the next call is to serve."""
        size, learnt_at = self._list_sizes.get(request.batch_key, (None, 0.0))
        known = size if now - learnt_at < SIZE_IS_VALID_FOR else None
        if request.is_single or (known == UNREADABLE and request.wait.has_single_call):
            return [request]
        batch = self._queue.batch(request, now)
        if all(member.wait.has_single_call for member in batch) and not is_list_cheaper(
            len(batch), known, is_saturated=self._load.is_saturated
        ):
            return [request]
        return batch

    async def _send_single(self, request: PollRequest) -> None:
        try:
            request.resolve(await self._client.send(request.wait.call(), request.due_at))
        except MendixError as error:
            request.resolve(error)
            self._report_outage(error)
        except Exception as error:  # noqa: BLE001 - a bug in one wait must not end the others
            request.reject(error)

    async def _send_shared(self, batch: list[PollRequest]) -> None:
        first = batch[0]
        try:
            response = await self._client.send(first.wait.shared_call(), min(one.due_at for one in batch))
        except MendixError as error:
            self._share_error(error, batch)
            self._report_outage(error)
            return
        except Exception as error:  # noqa: BLE001
            self._share_error(error, batch)
            return
        if isinstance(response, LazyPackageList):
            self._list_sizes[first.batch_key] = response.size, current_clock().ticks()
        for number, request in enumerate(batch, 1):
            try:
                part = request.wait.extract(response)
            except Exception as error:  # noqa: BLE001
                request.reject(error)
                continue
            if part is None:
                self._send_again_as_single(request)
            else:
                request.resolve(part)
            if number % _MAX_RESOLVED_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _share_error(self, error: Exception, batch: list[PollRequest]) -> None:
        """Resolve a batch with its error; an error of the list itself says nothing about each package."""
        is_general = isinstance(error, UnauthorizedError) or (
            isinstance(error, MendixError) and error.transient and not isinstance(error, MalformedResponseError)
        )
        for request in batch:
            if request.wait.has_single_call and not is_general:
                self._list_sizes[request.batch_key] = UNREADABLE, current_clock().ticks()
                self._send_again_as_single(request)
            elif isinstance(error, MendixError):
                request.resolve(error)
            else:
                request.reject(error)

    def _send_again_as_single(self, request: PollRequest) -> None:
        if not request.future.done():
            request.is_single = True
            self._queue.add(request)
            self._wakeup.set()

    def _report_outage(self, error: MendixError) -> None:
        """During an outage, resolve all due requests with the error: each wait has its own tolerance."""
        if not self._client.is_down or not isinstance(error, MendixConnectionError):
            return
        outage = MendixConnectionError(f"Mendix does not respond to this connection. The last request: {error}")
        for request in self._queue.due(current_clock().ticks()):
            self._queue.remove(request)
            request.resolve(outage)


class _CallWait(Wait, frozen=True):
    """One call of a conversation, in the form in which the queue takes it.

    A call that changes nothing shares its request with the same call of other conversations and waits.
    """

    one_call: Call[Any]

    @property
    def batch_key(self) -> Hashable:
        return self.one_call.identity if self.one_call.endpoint.repeatable else id(self)

    def call(self) -> Call[Any]:
        return self.one_call
