"""One wait in progress. It asks nothing and never sleeps, so that the worker and the triggerer can share it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_provider_mendix.exceptions import MendixError, OutageError, WaitTimeoutError
from airflow_provider_mendix.settings import MAX_RETRY_AFTER
from airflow_provider_mendix.waits.base import Outcome, Wait

HEARTBEAT = 5 * 60.0


class Watch:
    """Told each answer and the time, it says what that means and when to ask again.

    :param poll_interval: seconds between two looks.
    :param deadline: wall-clock time, in seconds since the epoch, after which nobody waits any longer.
    :param outage_tolerance: seconds without one good answer that are put up with; ``None`` for any number.
    :param now: wall-clock time at the start.
    :ivar news: what a person should hear of the last answer, if anything: a change of state, or a sign of life.
    :ivar spent: seconds in each state that has been seen to end.
    """

    def __init__(
        self,
        wait: Wait,
        *,
        poll_interval: float,
        deadline: float,
        outage_tolerance: float | None,
        now: float,
    ) -> None:
        self.wait = wait
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.outage_tolerance = outage_tolerance
        self.state = "not seen yet"
        self.changed_at = now
        self.reached_at = now
        self.problem: MendixError | None = None
        self.news: str | None = None
        self.spent: dict[str, float] = {}
        self._told_at = now

    def resume(self, state: str, changed_at: float, spent: Mapping[str, float]) -> None:
        """Go on with what somebody else has seen before."""
        self.state, self.changed_at, self.spent = state, changed_at, dict(spent)

    def delay(self, now: float) -> float:
        """Seconds until the next look; the last one falls on the deadline."""
        asked = self.problem.retry_after if self.problem else None
        pause = max(self.poll_interval, min(asked or 0.0, MAX_RETRY_AFTER))
        return min(pause, self.time_left(now))

    def time_left(self, now: float) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - now)

    def first_delay(self, now: float, look_at: float | None) -> float:
        """Seconds until the first look of a wait that somebody else has begun.

        Of a crowd that is taken over late, each group has a moment of its own within the interval.

        :param look_at: wall-clock time of the next look as it was planned, if it was.
        """
        if look_at is None:
            return self.delay(now)
        planned = look_at - now
        if planned <= 0:
            planned = self.poll_interval * zlib.crc32(repr(self.wait.group).encode()) / 2**32
        return min(planned, self.time_left(now), max(self.poll_interval, MAX_RETRY_AFTER))

    def observe(self, answer: Any, now: float) -> Outcome:
        """Take one answer, or the error that came instead of it; ``None`` if nobody could be asked.

        :raises MendixError: if the wait is over, and badly.
        """
        self.news = None
        if answer is None:
            outcome = Outcome(self.state)
        elif isinstance(answer, MendixError):
            outcome = self._put_up_with(answer, now)
        else:
            outcome = self._take(self.wait.judge(answer), now)
        if self.news:
            self._told_at = now
        if not outcome.done and now >= self.deadline:
            raise WaitTimeoutError(self._timeout_message(now)) from self.problem
        return outcome

    def _take(self, outcome: Outcome, now: float) -> Outcome:
        if outcome.state != self.state:
            if self.state in self.wait.phases:
                self.spent[self.state] = self.spent.get(self.state, 0.0) + now - self.changed_at
            self.state, self.changed_at = outcome.state, now
            self.news = f"{self.wait.subject}: {outcome.state}"
        elif self.problem:
            self.news = f"{self.wait.subject}: Mendix answers again; still {outcome.state}"
        elif self._is_silent(now):
            self.news = f"{self.wait.subject}: still {outcome.state}, for {_minutes(now - self.changed_at)}"
        self.problem, self.reached_at = None, now
        if outcome.done and self.wait.phases:
            phases = {state.lower(): round(seconds, 1) for state, seconds in self.spent.items()}
            return msgspec.structs.replace(outcome, result={**outcome.result, "phases": phases})
        return outcome

    def _put_up_with(self, error: MendixError, now: float) -> Outcome:
        if not self.wait.is_retryable(error, now):
            raise error
        if self.problem is None:
            self.news = f"{self.wait.subject}: no good answer; it is asked again. {error}"
        elif self._is_silent(now):
            silence = _minutes(now - self.reached_at)
            self.news = f"{self.wait.subject}: no good answer for {silence}; it is asked again. {error}"
        self.problem = error
        self._check_outage(now)
        return Outcome(self.state)

    def _is_silent(self, now: float) -> bool:
        return now - self._told_at >= HEARTBEAT

    def _check_outage(self, now: float) -> None:
        silence = now - self.reached_at
        if self.outage_tolerance is not None and silence >= self.outage_tolerance:
            raise OutageError(
                f"{self.wait.subject}: no good answer from Mendix for {silence:.0f} s (tolerated:"
                f" {self.outage_tolerance:.0f} s); last state {self.state}. The last problem: {self.problem}"
                " What Mendix does goes on; look at the package before starting another one."
            ) from self.problem

    def _timeout_message(self, now: float) -> str:
        message = (
            f"{self.wait.subject}: timed out while {self.state}, for {now - self.changed_at:.0f} s by now."
            " What Mendix does goes on; look at it in the portal, or raise the timeout."
        )
        return f"{message} The last problem: {self.problem}" if self.problem else message


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"
