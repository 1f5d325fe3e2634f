"""Whether the waits of a connection need more requests than the rate limit allows, and one log line if so."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable

from airflow_provider_mendix.polling.queue import PollRequest
from airflow_provider_mendix.polling.rate_limit import RateLimiter
from airflow_provider_mendix.settings import MIN_POLL_INTERVAL

log = logging.getLogger(__name__)


class Load:
    """Detects when the rate limit begins to delay polls, and when it no longer does.

    :ivar is_saturated: whether waits are polled less often than their interval.
    """

    def __init__(self, mendix_conn_id: str, rate_limiter: RateLimiter) -> None:
        self.mendix_conn_id = mendix_conn_id
        self.rate_limiter = rate_limiter
        self.is_saturated = False

    def record_delayed(self, requests: Iterable[PollRequest]) -> None:
        """Take note that the rate limit delays a request that is due."""
        if self.is_saturated:
            return
        needed = _needed(requests)
        if needed > self.rate_limiter.per_minute:
            self.is_saturated = True
            log.warning(
                "Connection %s: its waits need about %d requests a minute, and [mendix] requests_per_minute allows"
                " %d. Polling less often than every poll interval.",
                self.mendix_conn_id,
                needed,
                self.rate_limiter.per_minute,
            )

    def record_all_sent(self, requests: Iterable[PollRequest]) -> None:
        """Take note that no request is due."""
        if self.is_saturated and _needed(requests) <= self.rate_limiter.per_minute:
            self.is_saturated = False
            log.info(
                "Connection %s: [mendix] requests_per_minute is enough for its waits again.", self.mendix_conn_id
            )


def _needed(requests: Iterable[PollRequest]) -> float:
    """Estimate the requests a minute, one for each batch."""
    intervals: dict[Hashable, float] = {}
    for request in requests:
        # The last poll before a deadline comes sooner, but only once.
        interval = max(request.interval, MIN_POLL_INTERVAL)
        intervals[request.batch_key] = min(interval, intervals.get(request.batch_key, interval))
    return sum(60.0 / interval for interval in intervals.values())
