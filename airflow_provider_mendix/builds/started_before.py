"""Search for what this task has started before: a build, a snapshot, an upload.

No API of Mendix has an idempotency key. So before a task starts something, it searches the list of what is there
for its own, and after a start that was not confirmed it searches again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.settings import VISIBILITY_POLL_INTERVAL

T = TypeVar("T")


class Order(NamedTuple):
    """Sort key of what a task has started: the earliest first, what has failed last.

    What has no creation time counts as newest.
    """

    has_failed: bool
    created_at: float
    id: str

    @classmethod
    def of(cls, id: str, created_at: datetime | None, *, has_failed: bool) -> Order:
        return cls(has_failed, created_at.timestamp() if created_at else float("inf"), id)


def find_started_before(
    list_candidates: Callable[[], Iterable[T]],
    pick_own: Callable[[list[T]], Iterable[T]],
    order: Callable[[T], Order],
    *,
    timeout: float,
    is_settled: Callable[[list[T]], bool] = lambda candidates: False,
) -> tuple[list[T], list[T]]:
    """Return what this task has started before, and everything that was listed.

    The first of the task's own is the one to use: every try takes the same one, so that all tries agree.

    :param list_candidates: list everything that may be the task's own; called once for each poll.
    :param pick_own: pick the task's own from the list.
    :param order: return the sort key of one candidate.
    :param timeout: how long to poll for it, in seconds: ``VISIBILITY_TIMEOUT`` if this task may have started
        something (:func:`.marker.is_retry`, or a start that was not confirmed), 0 otherwise.
    :param is_settled: return whether nothing more can appear in the list, which ends the search early.
    :raises MendixError: if the list cannot be read.
    """
    waited = 0.0  # Counted, because a clock can be set.
    while True:
        candidates = list(list_candidates())
        own = sorted(pick_own(candidates), key=order)
        if own or waited >= timeout or is_settled(candidates):
            return own, candidates
        current_clock().sleep(VISIBILITY_POLL_INTERVAL)
        waited += VISIBILITY_POLL_INTERVAL
