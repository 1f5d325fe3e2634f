"""How long a download may fail before it is given up."""

from __future__ import annotations

import logging

from airflow_provider_mendix.client.ranges import is_refusal
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.exceptions import DownloadError, MendixError

ENOUGH = 1024 * 1024
"""Bytes that count as progress: fewer could keep a task busy for years."""

MOST_REFUSALS = 3
"""New links that the host may refuse one after the other."""

_LONGEST_PAUSE = 60.0

log = logging.getLogger(__name__)


class Patience:
    """Bears failures, with growing pauses, while there is progress at times.

    :param tolerance: seconds without progress that are put up with.
    """

    def __init__(self, clock: Clock, tolerance: float) -> None:
        self._clock = clock
        self._tolerance = tolerance
        self._failing_since: float | None = None
        self._failures = 0
        self._refusals = 0
        self._received = 0
        self._waited = 0.0
        self._progress = 0

    def received(self, count: int, seconds: float) -> None:
        """Take note of bytes, and of the seconds that it took to get them.

        :raises DownloadError: if they are too few.
        """
        self._refusals = 0
        self._received += count
        self._waited += seconds
        if self._received >= ENOUGH:
            self._received, self._waited = 0, 0.0
        elif self._waited > self._tolerance:
            slow = DownloadError(f"The file host gave {self._received} bytes in {self._waited:.0f} seconds.")
            self._received, self._waited = 0, 0.0
            raise slow

    def progressed(self, count: int) -> None:
        """Take note of those bytes that had not been received before."""
        self._progress += count
        if self._progress >= ENOUGH:
            self._failing_since, self._failures, self._progress = None, 0, 0

    def bear(self, error: MendixError) -> None:
        """Pause, and return if there is to be another attempt.

        :raises MendixError: the error itself, if there is not.
        """
        now = self._clock.now()
        if self._failing_since is None:
            self._failing_since = now
        self._refusals += isinstance(error, DownloadError) and is_refusal(error.status)
        pause = max(
            error.retry_after or 0.0, min(_LONGEST_PAUSE, 2.0 ** (self._failures - 1)) if self._failures else 0
        )
        left = self._failing_since + self._tolerance - now
        if not error.transient or self._refusals >= MOST_REFUSALS or pause >= left:
            if error.transient and pause >= left:
                log.error("Giving up after %.0f seconds without progress.", now - self._failing_since)
            raise error
        self._failures += 1
        log.warning("%s Going on%s.", error, f" in {pause:.0f} s" if pause else "")
        self._clock.sleep(pause)
