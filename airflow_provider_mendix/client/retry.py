"""Try again: one call, if repeating it is harmless; or an action that looks before it acts, until a deadline."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import tenacity

from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.clock import Clock, current_clock
from airflow_provider_mendix.exceptions import MendixError, WaitTimeoutError
from airflow_provider_mendix.settings import MAX_RETRY_AFTER

T = TypeVar("T")

ATTEMPTS = 4
MAX_PAUSE = 60.0

log = logging.getLogger(__name__)

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


def retry_until_timeout(
    attempt: Callable[[], T],
    *,
    timeout: float,
    poll_interval: float,
    action: str,
    timeout_error: type[MendixError] = WaitTimeoutError,
) -> T:
    """Make attempts, on the worker, until one succeeds or Mendix refuses for good.

    :param attempt: what to try; it looks at the state in Mendix before it changes anything.
    :param timeout: how long to go on after the first failure, in seconds.
    :param poll_interval: the pause between two attempts in seconds; longer if Mendix asks for it.
    :param action: what is attempted, for messages, such as ``stop environment Test of app shop``.
    :param timeout_error: what to raise if time is up.
    :raises MendixError: the first error that is not transient.
    """
    clock = current_clock()
    deadline: float | None = None
    logged = ""
    while True:
        try:
            return attempt()
        except MendixError as error:
            if not error.transient:
                raise
            if deadline is None:
                deadline = clock.now() + timeout
            left = deadline - clock.now()
            if left <= 0:
                raise timeout_error(
                    f"Could not {action} within {timeout:.0f} s. A retry of the task looks at the state in Mendix"
                    f" first. The last problem: {error}"
                ) from error
            if str(error) != logged:
                logged = str(error)
                log.warning("Could not %s yet; trying again every %.0f s. %s", action, poll_interval, error)
            asked = min(error.retry_after or 0.0, MAX_RETRY_AFTER)
            clock.sleep(min(max(poll_interval, asked), left))
