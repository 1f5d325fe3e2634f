"""When one call is sent again: only if repeating it is harmless, and only if that may help."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.exceptions import MendixError

T = TypeVar("T")

ATTEMPTS = 4
MAX_PAUSE = 60.0

_backoff = tenacity.wait_random_exponential(multiplier=1, max=20)


def send_with_retry(send: Callable[[Call[T]], T], call: Call[T], clock: Clock) -> T:
    """Send a call, and send it again after a transient error if the call may be repeated.

    If the server asks for a longer pause than ``MAX_PAUSE`` seconds, the error is raised: the task's own retries
    can wait for that long without a worker slot.

    :raises MendixError: the error of the last attempt.
    """

    def may_help(error: BaseException) -> bool:
        return (
            call.endpoint.repeatable
            and isinstance(error, MendixError)
            and error.transient
            and (error.retry_after or 0) <= MAX_PAUSE
        )

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_help),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=_pause,
        sleep=clock.sleep,
        reraise=True,
    )
    return retrying(send, call)


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    requested = error.retry_after if isinstance(error, MendixError) else None
    return max(requested or 0.0, _backoff(state))
