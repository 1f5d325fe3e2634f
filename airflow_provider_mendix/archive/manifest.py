"""What an object is, written beside it. The fields are documented in `docs/archive.md`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from airflow_provider_mendix.archive.provenance import Commit
from airflow_provider_mendix.archive.verification import Verification

SUFFIX = ".manifest.json"
LONGEST = 1024 * 1024
"""Bytes; what is longer is no manifest of ours."""

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0)]


class TaskRun(msgspec.Struct, frozen=True, kw_only=True, rename={"try_number": "try"}):
    """Who stored it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an object is.

    :param complete: whether the object was seen under its name. It is written first without, before the object
        is committed, because a task may be killed between any two steps.
    :param version: of the package, as Mendix writes it.
    :param revision: its fourth part.
    :param stored_at: ISO 8601.
    """

    schema: Literal[1] = 1
    complete: bool
    object: str
    package_id: str
    app_id: str
    name: str | None
    version: str | None
    revision: str | None
    branch: str | None
    mendix_version: str | None
    commit: Commit | None
    size: Size
    sha256: Sha256
    verification: Verification
    stored_at: str
    task: TaskRun

    def to_json(self) -> bytes:
        """Write it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def completed(self) -> Manifest:
        """Give it with the word that the object is there."""
        return msgspec.structs.replace(self, complete=True)


def read_manifest(content: bytes) -> Manifest | None:
    """Read a manifest; one that is not just as we write them says nothing."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
