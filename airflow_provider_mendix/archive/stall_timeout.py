"""How long a download may fail before it is given up."""

from __future__ import annotations

import logging

from airflow_provider_mendix.client.ranges import is_refusal
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.exceptions import DownloadError, MendixError

MIN_PROGRESS = 1024 * 1024
"""Bytes that count as progress: fewer could keep a task busy for years."""

MAX_REFUSALS = 3
"""How many new links the host may refuse one after the other."""

_MAX_PAUSE = 60.0

log = logging.getLogger(__name__)


class StallTimeout:
    """Lets a download retry, with growing pauses, until it has made no progress for too long.

    :param limit: seconds without progress.
    """

    def __init__(self, clock: Clock, limit: float) -> None:
        self._clock = clock
        self._limit = limit
        self._failing_since: float | None = None
        self._failures = 0
        self._refusals = 0
        self._received = 0
        self._waited = 0.0
        self._progress = 0

    def record(self, count: int, seconds: float) -> None:
        """Record bytes that arrived, and how long that took.

        :raises DownloadError: if they are too few for that time.
        """
        self._refusals = 0
        self._received += count
        self._waited += seconds
        if self._received >= MIN_PROGRESS:
            self._received, self._waited = 0, 0.0
        elif self._waited > self._limit:
            slow = DownloadError(f"The file host sent {self._received} bytes in {self._waited:.0f} seconds.")
            self._received, self._waited = 0, 0.0
            raise slow

    def record_progress(self, count: int) -> None:
        """Record those bytes that had not arrived before."""
        self._progress += count
        if self._progress >= MIN_PROGRESS:
            self._failing_since, self._failures, self._progress = None, 0, 0

    def retry_or_raise(self, error: MendixError) -> None:
        """Pause, and return if another attempt is due.

        :raises MendixError: the error itself, if it is not.
        """
        now = self._clock.now()
        if self._failing_since is None:
            self._failing_since = now
        self._refusals += isinstance(error, DownloadError) and is_refusal(error.status)
        backoff = min(_MAX_PAUSE, 2.0 ** (self._failures - 1)) if self._failures else 0
        pause = max(error.retry_after or 0.0, backoff)
        left = self._failing_since + self._limit - now
        if not error.transient or self._refusals >= MAX_REFUSALS or pause >= left:
            if error.transient and pause >= left:
                log.error("Giving up after %.0f seconds without progress.", now - self._failing_since)
            raise error
        self._failures += 1
        log.warning("%s Retrying%s.", error, f" in {pause:.0f} s" if pause else "")
        self._clock.sleep(pause)
