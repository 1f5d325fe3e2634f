"""What waits ask a poller, in the order of when they want to know."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable, Iterator
from itertools import count
from math import inf
from typing import Any

from airflow_provider_mendix.polling.batching import RIDE_EARLY
from airflow_provider_mendix.waits.base import Wait


class Question:
    """One look that one wait asks for.

    :param due: when it wants to know.
    :param early: when it would not mind to know.
    :param until: when it no longer wants to know.
    :ivar is_alone: no shared request has an answer to it.
    """

    __slots__ = ("answer", "due", "early", "group", "interval", "is_alone", "is_open", "until", "wait")

    def __init__(self, wait: Wait, now: float, after: float, within: float, answer: asyncio.Future[Any]) -> None:
        self.wait = wait
        self.group = wait.group
        self.interval = after
        self.due = now + after
        self.early = self.due - after * RIDE_EARLY
        self.until = now + within
        self.answer = answer
        self.is_alone = False
        self.is_open = False

    def give(self, answer: Any) -> None:
        """Answer it, unless nobody listens any more."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: BaseException) -> None:
        """Let it raise an error."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Questions:
    """All questions that nobody has taken up yet. Times are ticks of a clock."""

    def __init__(self) -> None:
        self.groups: dict[Hashable, set[Question]] = {}
        self._later: list[tuple[float, int, Question]] = []
        self._ripe: list[tuple[float, int, Question]] = []
        self._first_until = inf
        self._count = count()

    def add(self, question: Question) -> None:
        """Add a question, or put back one that was taken."""
        question.is_open = True
        if not question.is_alone:
            self.groups.setdefault(question.group, set()).add(question)
        heapq.heappush(self._later, (question.due, next(self._count), question))

    def take(self, question: Question) -> None:
        """Take a question up, or take it back."""
        question.is_open = False
        members = self.groups.get(question.group)
        if members is not None:
            members.discard(question)
            if not members:
                del self.groups[question.group]

    def oldest(self, now: float) -> Question | None:
        """Give the one that has been due for longest, if any is due."""
        self._ripen(now)
        while self._ripe:
            question = self._ripe[0][2]
            if question.is_open:
                return question
            heapq.heappop(self._ripe)
        return None

    def riders(self, question: Question, now: float) -> list[Question]:
        """Give all that one request could answer, the question itself among them."""
        return [one for one in self.groups[question.group] if one.early <= now]

    def ripe(self, now: float) -> Iterator[Question]:
        """Give all that are due."""
        self._ripen(now)
        return (question for _, _, question in list(self._ripe) if question.is_open)

    def next_due(self) -> float:
        """When the next one falls due that is not due yet."""
        while self._later and not self._later[0][2].is_open:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else inf

    def expired(self, now: float) -> list[Question]:
        """Take out those that are due and no longer of interest."""
        self._ripen(now)
        if now < self._first_until:
            return []
        ripe = list(self.ripe(now))
        gone = [question for question in ripe if question.until <= now]
        for question in gone:
            self.take(question)
        self._first_until = min((question.until for question in ripe if question.until > now), default=inf)
        return gone

    def next_expiry(self) -> float:
        """When one that is due may next be of no more interest."""
        return self._first_until

    def _ripen(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            entry = heapq.heappop(self._later)
            heapq.heappush(self._ripe, entry)
            self._first_until = min(self._first_until, entry[2].until)
