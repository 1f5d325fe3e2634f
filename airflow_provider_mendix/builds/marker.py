"""What one task run wants built, and the marker by which its tries know each other's builds.

The Build API has no idempotency key, but it keeps the description of a package and gives it back in the list. So
each build is started with a marker at the end of its description.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from airflow_provider_mendix.api.build import Package, PackageStatus, split_version
from airflow_provider_mendix.api.revisions import is_shown_as
from airflow_provider_mendix.settings import MAX_CLOCK_SKEW, instance_name

if TYPE_CHECKING:
    from airflow.sdk import Context

OnClear = Literal["rebuild", "reattach"]

LONGEST_DESCRIPTION = 200


class Marker(msgspec.Struct, frozen=True):
    """What a description tells about who started the build, such as ``[airflow 3f9c0a7be2d14c58 try 2 of 4]``.

    :param digest: of the installation, DAG, run, task, map index and arguments.
    :param try_number: the try that started the build.
    :param last_try: the last try that may follow without somebody clearing the task. A retry keeps it, and a
        Clear always moves it, so equal values mean the same intent.
    """

    digest: str
    try_number: int
    last_try: int

    def __str__(self) -> str:
        return f"[airflow {self.digest} try {self.try_number} of {self.last_try}]"

    @classmethod
    def of(cls, description: str | None) -> Marker | None:
        """Read the marker of a description, if it has one."""
        found = re.search(r"\[airflow ([0-9a-f]{16}) try (\d{1,6}) of (\d{1,6})\]\s*$", description or "")
        return cls(found[1], int(found[2]), int(found[3])) if found else None


_LONGEST_MARKER = Marker("0" * 16, 999_999, 999_999)


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What one task run wants built, whichever try of it is running.

    :param app_id: subdomain of the app.
    :param revision: ``None`` for the newest when the build starts.
    :param version: ``None`` for the next when the build starts.
    :param description: the human part; it is trimmed to make room for the marker, never the other way round.
    :param marker: of the try that is running.
    :param began_at: seconds since the epoch when the DAG run began; no package of ours is older.
    :param is_retry: whether an earlier try of the same intent may have started the build.
    """

    app_id: str
    revision: str | None
    version: str | None
    branch: str | None
    description: str
    marker: Marker
    began_at: float
    is_retry: bool
    on_clear: OnClear = "rebuild"

    def marked_description(self) -> str:
        """Give the description to send; all tries trim the human part alike."""
        return marked(self.description, self.marker)

    def owns(self, package: Package) -> bool:
        """Tell whether a package was started for this intent, by its marker."""
        found = Marker.of(package.description)
        if found is None or found.digest != self.marker.digest:
            return False
        if self.on_clear == "reattach" and found.last_try < self.marker.last_try:
            return True  # To clear a task of a finished DAG run moves the start of the run.
        same_intent = found.last_try == self.marker.last_try or self.on_clear == "reattach"
        return same_intent and not self._is_older(package)

    def left_behind(self, package: Package) -> bool:
        """Tell whether a package was started by this task before somebody cleared it."""
        found = Marker.of(package.description)
        return found is not None and found.digest == self.marker.digest and not self.owns(package)

    def resembles(self, package: Package) -> bool:
        """Tell whether a package whose marker Mendix cut off or dropped is probably this intent's."""
        if self.revision is None and self.version is None:
            return False  # There is nothing left to know it by.
        version, revision = split_version(package.version)
        kept = (package.description or "").rstrip()
        # What every try writes alike: the rest of the marker is of the try that wrote it.
        alike = self.marked_description().rpartition(" try ")[0]
        return (
            Marker.of(package.description) is None
            and (alike.startswith(kept) or kept.startswith(alike))
            and self.version in (None, version)
            and (self.revision is None or is_shown_as(self.revision, revision))
            and not self._is_older(package)
        )

    def is_spent(self, package: Package) -> bool:
        """Tell whether a package is the failed attempt of an earlier try, which a retry replaces."""
        found = Marker.of(package.description)
        return package.status == PackageStatus.FAILED and (
            found is None or found.try_number < self.marker.try_number
        )

    def is_of_the_try_before(self, package: Package) -> bool:
        """Tell whether a package accounts for what the try before has started."""
        found = Marker.of(package.description)
        return found is not None and found.try_number == self.marker.try_number - 1

    def _is_older(self, package: Package) -> bool:
        made = package.creation_date
        return made is not None and made.timestamp() < self.began_at - MAX_CLOCK_SKEW


def marked(text: str, marker: Marker) -> str:
    """Put a marker at the end of a text, which is cut to leave room for any."""
    room = LONGEST_DESCRIPTION - len(str(_LONGEST_MARKER)) - 1
    return f"{text[:room].rstrip()} {marker}".lstrip()


def digest_of(context: Context, arguments: str) -> str:
    """Give what tells the runs of all tasks of all installations apart.

    :param arguments: the task's arguments as the DAG's author wrote them, before rendering: a retry whose template
        renders to a newer revision must still find its build.
    """
    ti = context["ti"]
    values = (instance_name(), ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index), arguments)
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:16]


def marker_of(context: Context, arguments: str) -> Marker:
    """Give the marker of the try that is running."""
    ti: Any = context["ti"]
    return Marker(digest_of(context, arguments), ti.try_number, ti.max_tries + 1)
