"""The manifest: what an object is, written beside it. ``docs/archive.md`` documents its fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

import msgspec

from airflow_provider_mendix.archive.package_metadata import Project
from airflow_provider_mendix.archive.verification import BackupVerification, Verification

SUFFIX = ".manifest.json"
PENDING_SUFFIX = ".pending.json"
MAX_SIZE = 1024 * 1024
"""Bytes; a longer file is no manifest of ours."""

M = TypeVar("M", bound="ObjectManifest")
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, msgspec.Meta(ge=0)]


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """The revision that was built.

    :param revision: in full length.
    :param date: ISO 8601.
    """

    revision: str
    author: str | None = None
    date: str | None = None
    message: str | None = None


class TaskRun(msgspec.Struct, frozen=True, kw_only=True, rename={"try_number": "try"}):
    """The try of a task that stored an object."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    @classmethod
    def of(cls, ti: Any) -> TaskRun:
        """Return the try that a task instance is."""
        return cls(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            try_number=ti.try_number,
        )


class ObjectManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What every manifest says of an object.

    :param complete: whether the object was seen under its name. Before the object is committed, the manifest is
        written as pending, without that, because a task may be killed between any two steps.
    :param stored_at: ISO 8601.
    """

    schema: Literal[1] = 1
    complete: bool
    object: str
    size: Size
    sha256: Sha256
    stored_at: str
    task: TaskRun

    @property
    def description(self) -> str:
        """What the object is, for messages."""
        raise NotImplementedError

    def identity(self) -> dict[str, str | None]:
        """Return what the result of a task says of what the object is."""
        raise NotImplementedError

    def to_json(self) -> bytes:
        """Return the manifest as it is written."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def completed(self) -> Self:
        """Return the manifest of an object that was seen under its name."""
        return msgspec.structs.replace(self, complete=True)


class Manifest(ObjectManifest, frozen=True, kw_only=True):
    """The manifest of a package.

    :param version: of the package, as Mendix writes it.
    :param revision: its fourth part.
    :param mendix_version: of the revision, according to Mendix, else the package's own ``runtime_version``.
    :param metadata: whether ``model/metadata.json`` was read, which the values before it are from, and whether its
        ``ModelVersion`` contradicts Mendix's version.
    """

    package_id: str
    app_id: str
    name: str | None
    version: str | None
    revision: str | None
    branch: str | None
    mendix_version: str | None
    runtime_version: str | None
    model_version: str | None
    java_version: str | None
    project: Project | None
    metadata: Literal["read", "contradicts", "missing"]
    commit: Commit | None
    verification: Verification

    @property
    def description(self) -> str:
        return f"package {self.package_id} of app {self.app_id}"

    def identity(self) -> dict[str, str | None]:
        return {
            "package_id": self.package_id,
            "app_id": self.app_id,
            "version": self.version,
            "revision": self.revision,
        }


class BackupManifest(ObjectManifest, frozen=True, kw_only=True):
    """The manifest of the archive of a snapshot.

    :param created_at: when Mendix made the snapshot; ISO 8601.
    """

    snapshot_id: str
    data_type: str
    app_id: str
    environment: str
    environment_id: str
    model_version: str | None
    comment: str | None
    created_at: str | None
    verification: BackupVerification

    @property
    def description(self) -> str:
        return f"{self.data_type} of snapshot {self.snapshot_id} of app {self.app_id}"

    def identity(self) -> dict[str, str | None]:
        return {
            "snapshot_id": self.snapshot_id,
            "data_type": self.data_type,
            "app_id": self.app_id,
            "environment": self.environment,
            "model_version": self.model_version,
        }


def read_manifest(content: bytes, kind: type[M] = Manifest) -> M | None:  # type: ignore[assignment]
    """Return the manifest in a file; ``None`` if it is not just as we write them."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
