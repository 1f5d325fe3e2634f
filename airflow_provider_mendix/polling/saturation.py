"""How many requests a minute the waits of a connection would need, and one line when that is too many."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable

from airflow_provider_mendix.polling.queue import Question
from airflow_provider_mendix.polling.rate_limit import RateLimiter

_SHORTEST_INTERVAL = 5.0

log = logging.getLogger(__name__)


class Load:
    """Tells when the ceiling begins to bind, and when it no longer does.

    :ivar is_binding: whether waits are looked at less often than they ask for.
    """

    def __init__(self, mendix_conn_id: str, ceiling: RateLimiter) -> None:
        self.mendix_conn_id = mendix_conn_id
        self.ceiling = ceiling
        self.is_binding = False

    def note_held_up(self, questions: Iterable[Question]) -> None:
        """Something is due, and the ceiling does not let it go."""
        if self.is_binding:
            return
        needed = self._needed(questions)
        if needed > self.ceiling.per_minute:
            self.is_binding = True
            log.warning(
                "Connection %s: its waits would need about %d requests a minute. At most %d are sent ([mendix]"
                " requests_per_minute), so that Mendix is asked less often than every poll interval.",
                self.mendix_conn_id,
                needed,
                self.ceiling.per_minute,
            )

    def note_all_sent(self, questions: Iterable[Question]) -> None:
        """Nothing that is due is left."""
        if self.is_binding and self._needed(questions) <= self.ceiling.per_minute:
            self.is_binding = False
            log.info(
                "Connection %s: [mendix] requests_per_minute is enough for its waits again.", self.mendix_conn_id
            )

    def _needed(self, questions: Iterable[Question]) -> float:
        """Estimate it, each group sharing its requests."""
        intervals: dict[Hashable, float] = {}
        for question in questions:
            # The last look before a deadline comes sooner, but only once.
            interval = max(question.interval, _SHORTEST_INTERVAL)
            intervals[question.group] = min(interval, intervals.get(question.group, interval))
        return sum(60.0 / interval for interval in intervals.values())
