"""The marker by which the tries of a task recognise what they have started.

Mendix keeps the description of a package and the comment of a snapshot, and returns them in its lists. So each
build and each snapshot is started with a marker at the end of that text.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from airflow_provider_mendix.settings import MAX_CLOCK_SKEW, instance_name

if TYPE_CHECKING:
    from airflow.sdk import Context

OnClear = Literal["rebuild", "reattach"]

LONGEST_DESCRIPTION = 200


class Marker(msgspec.Struct, frozen=True):
    """Which try of which task started something, such as ``[airflow 3f9c0a7be2d14c58 try 2 of 4]``.

    :param digest: of the installation, DAG, run, task, map index and arguments.
    :param try_number: the try that started it.
    :param last_try: the last try that may follow without a Clear. A retry keeps it and a Clear always moves it, so
        equal values mean the same intent.
    """

    digest: str
    try_number: int
    last_try: int

    def __str__(self) -> str:
        return f"[airflow {self.digest} try {self.try_number} of {self.last_try}]"

    @classmethod
    def of(cls, text: str | None) -> Marker | None:
        """Return the marker at the end of a text, if there is one."""
        found = re.search(r"\[airflow ([0-9a-f]{16}) try (\d{1,6}) of (\d{1,6})\]\s*$", text or "")
        return cls(found[1], int(found[2]), int(found[3])) if found else None


_LONGEST_MARKER = Marker("0" * 16, 999_999, 999_999)


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """A task run, as the owner of what its tries have started.

    :param marker: of the current try.
    :param began_at: when the DAG run began, in seconds since the epoch; nothing that the task owns is older.
    :param is_retry: whether an earlier try may have started something for the same intent.
    :param on_clear: ``"reattach"`` to own also what was started before a Clear.
    """

    marker: Marker
    began_at: float
    is_retry: bool
    on_clear: OnClear = "rebuild"

    def owns(self, text: str | None, created_at: datetime | None) -> bool:
        """Return whether something was started for this intent, by the marker in its text."""
        found = Marker.of(text)
        if found is None or found.digest != self.marker.digest:
            return False
        if self.on_clear == "reattach" and found.last_try < self.marker.last_try:
            return True  # Clearing a task of a finished DAG run moves the start of the run.
        same_intent = found.last_try == self.marker.last_try or self.on_clear == "reattach"
        return same_intent and not self.is_older(created_at)

    def is_replaced(self, text: str | None, *, has_failed: bool) -> bool:
        """Return whether something is the failure of an earlier try, which this try replaces."""
        found = Marker.of(text)
        return has_failed and (found is None or found.try_number < self.marker.try_number)

    def is_older(self, created_at: datetime | None) -> bool:
        """Return whether something was made before the DAG run began."""
        return created_at is not None and created_at.timestamp() < self.began_at - MAX_CLOCK_SKEW

    def mark(self, text: str) -> str:
        """Return a text with the marker of this try at its end, cut to leave room for it."""
        room = LONGEST_DESCRIPTION - len(str(_LONGEST_MARKER)) - 1
        return f"{text[:room].rstrip()} {self.marker}".lstrip()


def is_retry(ti: Any, retries: int | None, on_clear: OnClear = "rebuild") -> bool:
    """Return whether an earlier try may have started something for the same intent.

    :param ti: the task instance that is running.
    :param retries: the task's own ``retries``, which may have been edited since the last try.
    :param on_clear: with ``"reattach"``, the first try after a Clear counts as a retry.
    """
    first_try = ti.max_tries - (retries or 0) + 1
    return bool(ti.try_number > 1 and (ti.try_number != first_try or on_clear == "reattach"))


def owner_of(context: Context, arguments: str, *, retries: int | None, on_clear: OnClear = "rebuild") -> Owner:
    """Return the owner of what the current try starts.

    :param arguments: the task's arguments as the author wrote them, before rendering: a retry whose template
        renders to a newer revision must still find its build.
    """
    ti: Any = context["ti"]
    began = context["dag_run"].start_date
    return Owner(
        marker=Marker(_digest(ti, arguments), ti.try_number, ti.max_tries + 1),
        began_at=began.timestamp() if began else 0.0,
        is_retry=is_retry(ti, retries, on_clear),
        on_clear=on_clear,
    )


def _digest(ti: Any, arguments: str) -> str:
    """Return a digest that tells all task runs of all installations apart."""
    values = (instance_name(), ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), arguments)
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:16]
