"""A package of the simulator: its state is a function of the time, so nothing has to run for it to change."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Self

import msgspec

from airflow_provider_mendix.simulator.state.repositories import RepositoryType

SUCCEEDED = "Succeeded"
UNDOCUMENTED = "Optimizing"

Steps = Sequence[tuple[str, float]]
"""States, and the seconds spent in each; the last one lasts."""


def state_at(steps: Steps, age: float) -> str:
    """Give the state that something of an age is in."""
    for state, seconds in steps:
        if age < seconds:
            return state
        age -= seconds
    return steps[-1][0]


class Timeline(msgspec.Struct, frozen=True):
    """How long a build stays in each state, in seconds."""

    queued: float = 10.0
    building: float = 30.0
    uploading: float = 5.0

    @classmethod
    def of(cls, seconds: float) -> Self:
        """Share out the time that a whole build takes."""
        return cls(0.2 * seconds, 0.6 * seconds, 0.2 * seconds)


class Ending(enum.StrEnum):
    """How a build ends."""

    SUCCEEDS = "succeeds"
    FAILS_WHILE_QUEUED = "fails_while_queued"
    FAILS_WHILE_BUILDING = "fails_while_building"
    FAILS_WHILE_UPLOADING = "fails_while_uploading"
    REFUSED = "refused"
    """The start call itself answers 500 `BUILD_FAILED`, and there is no package."""
    STUCK_QUEUED = "stuck_queued"
    STUCK_BUILDING = "stuck_building"
    UNKNOWN_STATUS = "unknown_status"
    """After `Queued` comes a word that Mendix does not document, then `Succeeded`."""

    def steps(self, timeline: Timeline) -> list[tuple[str, float]]:
        """Give the states that a build goes through, and the seconds it spends in each."""
        queued = ("Queued", timeline.queued)
        building = ("Building", timeline.building)
        uploading = ("Uploading", timeline.uploading)
        succeeded, failed = (SUCCEEDED, math.inf), ("Failed", math.inf)
        return {
            Ending.SUCCEEDS: [queued, building, uploading, succeeded],
            Ending.FAILS_WHILE_QUEUED: [queued, failed],
            Ending.FAILS_WHILE_BUILDING: [queued, building, failed],
            Ending.FAILS_WHILE_UPLOADING: [queued, building, uploading, failed],
            Ending.REFUSED: [failed],
            Ending.STUCK_QUEUED: [("Queued", math.inf)],
            Ending.STUCK_BUILDING: [queued, ("Building", math.inf)],
            Ending.UNKNOWN_STATUS: [
                queued,
                (UNDOCUMENTED, timeline.building + timeline.uploading),
                succeeded,
            ],
        }[self]


class StoredPackage(msgspec.Struct, kw_only=True):
    """A package as the simulator keeps it.

    :param line: the branch, as the name has it.
    :param version: four parts.
    :param created_at: seconds since the epoch.
    :param in_use: an environment runs it, so that it cannot be deleted.
    :param file: what was uploaded; of a build, the file is made when it is asked for.
    """

    package_id: str
    app_id: str
    name: str
    line: str
    version: str
    description: str
    creator: str
    created_at: float
    size: int
    steps: Steps = ((SUCCEEDED, math.inf),)
    in_use: bool = False
    file: bytes | None = None

    def status(self, now: float) -> str:
        """Give the state at a time."""
        return state_at(self.steps, now - self.created_at)


class StoredJob(msgspec.Struct, frozen=True):
    """The job of an upload.

    :param package_id: the package that it makes.
    :param created_at: seconds since the epoch.
    """

    package_id: str
    app_id: str
    created_at: float
    steps: Steps

    def status(self, now: float) -> str:
        """Give the state at a time."""
        return state_at(self.steps, now - self.created_at)


class App(msgspec.Struct, frozen=True, kw_only=True):
    """An app as the simulator keeps it.

    :param repository: ``git`` or ``svn``; decides how its main line and its versions are written.
    :param free: a Free App, whose builds are deployed at once.
    """

    app_id: str
    name: str
    project_id: str
    repository: RepositoryType = "git"
    free: bool = False

    def version(self, version: str, revision: str) -> str:
        """Add the revision to a version, as its fourth part."""
        return f"{version}.{revision[:8] if self.repository == 'git' else revision}"

    def line(self, branch: str | None) -> str:
        """Give the name of a branch in a package's name; no branch is the main line."""
        if self.repository == "svn" and branch in (None, "trunk"):
            return "Main line"
        return (branch or "main").removeprefix("branches/")
