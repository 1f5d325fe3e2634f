"""The progress of one wait, as one value. It does no I/O and reads no clock: workers and triggers share it."""

from __future__ import annotations

import hashlib
from typing import Any, Self

import msgspec

from airflow_provider_mendix.exceptions import (
    MendixError,
    NotFoundError,
    OutageError,
    UnexpectedEventError,
    WaitTimeoutError,
)
from airflow_provider_mendix.settings import MAX_RETRY_AFTER
from airflow_provider_mendix.waits.base import Outcome, Wait

HEARTBEAT = 5 * 60.0


class PollState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a wait has seen so far, and when to poll again. Times are wall-clock seconds since the epoch.

    :param poll_interval: seconds between two polls.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds; ``None`` for
        as long as the wait lasts.
    :param deadline: when the wait gives up; ``None`` for never.
    :param next_poll_at: when to poll again.
    :param state: the last state that was seen, in Mendix's words.
    :param state_since: when that state was first seen.
    :param state_polls: how many polls have seen it since.
    :param phase_seconds: seconds in each phase that was seen to end.
    :param last_response_at: when the last good response came.
    :param last_error: why the last poll failed; empty if it did not.
    :param logged_at: when a message was last logged.
    """

    poll_interval: float
    outage_tolerance: float | None
    deadline: float | None
    next_poll_at: float
    state_since: float
    last_response_at: float
    logged_at: float
    state: str = "unknown"
    state_polls: int = 0
    phase_seconds: dict[str, float] = {}
    last_error: str = ""

    @classmethod
    def begin(
        cls, now: float, *, poll_interval: float, timeout: float | None, outage_tolerance: float | None
    ) -> Self:
        """Return the state of a wait that begins now.

        :param timeout: seconds until the wait gives up; ``None`` for never.
        """
        return cls(
            poll_interval=poll_interval,
            outage_tolerance=outage_tolerance,
            deadline=None if timeout is None else now + timeout,
            next_poll_at=now,
            state_since=now,
            last_response_at=now,
            logged_at=now,
        )

    def take_over(self, wait: Wait, now: float) -> Self:
        """Return the state for a process that continues the wait.

        After an interruption many waits are overdue. They are spread over one poll interval, each batch at its own
        time. The time in which nothing polled does not count as an outage.
        """
        at = self.next_poll_at
        if at <= now:
            digest = hashlib.blake2s(repr(wait.batch_key).encode(), digest_size=4).digest()
            at = now + self.poll_interval * int.from_bytes(digest) / 2**32
        # The system's clock may have been set back.
        at = min(at, now + max(self.poll_interval, MAX_RETRY_AFTER))
        return msgspec.structs.replace(self, next_poll_at=self._capped(at), last_response_at=now)

    def delay(self, now: float) -> float:
        """Return the seconds until the next poll; the last poll is due at the deadline."""
        return max(0.0, self.next_poll_at - now)

    def time_left(self, now: float) -> float:
        """Return the seconds until the deadline."""
        return float("inf") if self.deadline is None else max(0.0, self.deadline - now)

    def record(self, wait: Wait, response: Any, now: float) -> tuple[Self, Outcome]:
        """Return the state after one poll, and what its response means.

        :param response: the response, or the error that came instead.
        :raises MendixError: if the wait has failed.
        """
        error = response if isinstance(response, MendixError) else None
        if isinstance(error, NotFoundError) and wait.is_retryable(error, now):
            error = None
            state, outcome = self._record_outcome(wait, Outcome("not there yet"), now)
        elif error:
            state, outcome = self._record_error(wait, error, now)
        else:
            state, outcome = self._record_outcome(wait, wait.judge(response), now)
        if outcome.log_message:
            state = msgspec.structs.replace(state, logged_at=now)
            message = f"{wait.description}: {outcome.log_message}"
            outcome = msgspec.structs.replace(outcome, log_message=message)
        if not outcome.done and self.deadline is not None and now >= self.deadline:
            raise state._timeout(wait, now) from error
        if error:
            state._check_outage(wait, error, now)
        return state, outcome

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values, for a trigger row."""
        return dict(msgspec.to_builtins(self))

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Rebuild the state that :meth:`to_json` wrote.

        :raises UnexpectedEventError: if this version cannot read it.
        """
        try:
            return msgspec.convert(data, type=cls)
        except msgspec.ValidationError as error:
            raise UnexpectedEventError(
                f"The trigger holds a poll state that this version cannot read: {error}."
            ) from None

    def _record_outcome(self, wait: Wait, outcome: Outcome, now: float) -> tuple[Self, Outcome]:
        state_since, polls, phases, message = self.state_since, self.state_polls + 1, self.phase_seconds, ""
        if outcome.state != self.state:
            # A state that one poll saw may have ended at any time since.
            if self.state in wait.phases and self.state_polls > 1:
                phases = {**phases, self.state: phases.get(self.state, 0.0) + now - self.state_since}
            state_since, polls, message = now, 1, outcome.state
        elif self.last_error:
            message = f"Mendix responds again; still {outcome.state}"
        elif self._is_heartbeat_due(now):
            message = f"still {outcome.state}, for {_minutes(now - state_since)}"
        state = msgspec.structs.replace(
            self,
            state=outcome.state,
            state_since=state_since,
            state_polls=polls,
            phase_seconds=phases,
            last_response_at=now,
            last_error="",
            next_poll_at=self._capped(now + self.poll_interval),
        )
        result = outcome.result
        if outcome.done and wait.phases:
            result = {**result, "phases": {name.lower(): round(spent, 1) for name, spent in phases.items()}}
        return state, msgspec.structs.replace(outcome, result=result, log_message=message)

    def _record_error(self, wait: Wait, error: MendixError, now: float) -> tuple[Self, Outcome]:
        if not wait.is_retryable(error, now):
            raise error
        message = ""
        if not self.last_error:
            message = f"polling failed, trying again. {error}"
        elif self._is_heartbeat_due(now):
            message = f"polling has failed for {_minutes(now - self.last_response_at)}, trying again. {error}"
        pause = max(self.poll_interval, min(error.retry_after or 0.0, MAX_RETRY_AFTER))
        state = msgspec.structs.replace(self, last_error=str(error), next_poll_at=self._capped(now + pause))
        return state, Outcome(self.state, log_message=message)

    def _capped(self, at: float) -> float:
        return at if self.deadline is None else min(at, self.deadline)

    def _is_heartbeat_due(self, now: float) -> bool:
        return now - self.logged_at >= HEARTBEAT

    def _check_outage(self, wait: Wait, error: MendixError, now: float) -> None:
        failing_for = now - self.last_response_at
        if self.outage_tolerance is not None and failing_for >= self.outage_tolerance:
            raise OutageError(
                f"{wait.description}: polling has failed for {failing_for:.0f} s (tolerated:"
                f" {self.outage_tolerance:.0f} s). Last state: {self.state}. Nothing was cancelled in"
                f" Mendix; check the portal before you start anything again. The last poll failed: {error}"
            ) from error

    def _timeout(self, wait: Wait, now: float) -> WaitTimeoutError:
        reason = f" The last poll failed: {self.last_error}" if self.last_error else ""
        return WaitTimeoutError(
            f"{wait.description}: timed out. Last state: {self.state}, for {now - self.state_since:.0f} s."
            f" Nothing was cancelled in Mendix; check the portal, or raise the timeout.{reason}"
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"
