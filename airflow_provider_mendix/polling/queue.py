"""The poll requests of one connection, in the order in which they fall due. Times are ticks of the clock."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable, Iterator
from itertools import count
from math import inf
from typing import Any

from airflow_provider_mendix.polling.batching import MAX_EARLINESS
from airflow_provider_mendix.waits.base import Wait


class PollRequest:
    """One poll that a wait has asked for.

    :param due_in: seconds until it falls due.
    :param expires_in: seconds until its response is no longer of use.
    :param app_id: the app whose wake-up lets it fall due at once; empty for none.
    :ivar not_before: when another wait's request may serve it at the earliest.
    :ivar is_single: whether no shared request can serve it.
    :ivar is_open: whether it is in the queue.
    """

    __slots__ = (
        "app_id",
        "batch_key",
        "due_at",
        "expires_at",
        "future",
        "interval",
        "is_open",
        "is_single",
        "not_before",
        "wait",
    )

    def __init__(self, wait: Wait, now: float, due_in: float, expires_in: float, app_id: str = "") -> None:
        self.wait = wait
        self.app_id = app_id
        self.batch_key = wait.batch_key
        self.interval = due_in
        self.due_at = now + due_in
        self.not_before = self.due_at - due_in * MAX_EARLINESS
        self.expires_at = now + expires_in
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.is_single = False
        self.is_open = False

    def resolve(self, response: Any) -> None:
        """Return a response to the wait, unless it has gone."""
        if not self.future.done():
            self.future.set_result(response)

    def reject(self, error: BaseException) -> None:
        """Raise an error in the wait, unless it has gone."""
        if not self.future.done():
            self.future.set_exception(error)


class PollQueue:
    """The poll requests that are not being served yet."""

    def __init__(self) -> None:
        self._batches: dict[Hashable, set[PollRequest]] = {}
        self._scheduled: list[tuple[float, int, PollRequest]] = []
        self._due: list[tuple[float, int, PollRequest]] = []
        self._next_expiry = inf
        self._count = count()

    def add(self, request: PollRequest) -> None:
        """Add a request, or put one back."""
        request.is_open = True
        if not request.is_single:
            self._batches.setdefault(request.batch_key, set()).add(request)
        heapq.heappush(self._scheduled, (request.due_at, next(self._count), request))

    def remove(self, request: PollRequest) -> None:
        """Take a request out: it is being served, or its wait has gone."""
        request.is_open = False
        batch = self._batches.get(request.batch_key)
        if batch is not None:
            batch.discard(request)
            if not batch:
                del self._batches[request.batch_key]

    def hasten(self, request: PollRequest, now: float) -> None:
        """Let a request that waits for its time fall due now."""
        if request.is_open and request.due_at > now:
            request.due_at = request.not_before = now
            self.add(request)

    def oldest(self, now: float) -> PollRequest | None:
        """Return the request that has been due for longest, if any is due."""
        self._move_due(now)
        while self._due:
            request = self._due[0][2]
            if request.is_open:
                return request
            heapq.heappop(self._due)
        return None

    def batch(self, request: PollRequest, now: float) -> list[PollRequest]:
        """Return the requests that one shared call can serve now, the given one among them."""
        return [one for one in self._batches[request.batch_key] if one.not_before <= now]

    def due(self, now: float) -> Iterator[PollRequest]:
        """Return all requests that are due."""
        self._move_due(now)
        return (request for _, _, request in list(self._due) if request.is_open)

    def next_due(self) -> float:
        """Return when the next request falls due."""
        while self._scheduled and not self._scheduled[0][2].is_open:
            heapq.heappop(self._scheduled)
        return self._scheduled[0][0] if self._scheduled else inf

    def pop_expired(self, now: float) -> list[PollRequest]:
        """Remove and return the due requests that have expired."""
        self._move_due(now)
        if now < self._next_expiry:
            return []
        due = list(self.due(now))
        expired = [request for request in due if request.expires_at <= now]
        for request in expired:
            self.remove(request)
        self._next_expiry = min((request.expires_at for request in due if request.expires_at > now), default=inf)
        return expired

    def next_expiry(self) -> float:
        """Return when the next due request may expire."""
        return self._next_expiry

    def _move_due(self, now: float) -> None:
        while self._scheduled and self._scheduled[0][0] <= now:
            entry = heapq.heappop(self._scheduled)
            heapq.heappush(self._due, entry)
            self._next_expiry = min(self._next_expiry, entry[2].expires_at)
