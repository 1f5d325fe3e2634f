"""Mendix Backups API, version 2: snapshots of an environment's data, their archives and their restores.

It knows apps by the project's UUID and environments by theirs, unlike the Deploy API.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/backups-api/
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pendulum

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.build import DownloadUrl
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host

_ACCESS = "The user needs 'API Rights' and 'Access to Backups' on the environment."

BACKUPS_API = Api(
    name="Backups API v2",
    host=Host.DEPLOY,
    prefix="/api/v2",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/backups-api/",
    advice=(
        (
            "INVALID_PARAMETERS",
            "Check the values of the task; this API knows the app by its project's UUID and the environment by its"
            " EnvironmentId.",
        ),
        (
            "ENVIRONMENT_NOT_FOUND",
            "The app has no environment with this EnvironmentId; the Deploy API's list of environments has them.",
        ),
        ("SERVICE_UNAVAILABLE", "Try again later."),
        ("NO_ACCESS", f"{_ACCESS} They are granted on the Permissions tab of the app's Environments page."),
        ("NOT_FOUND", "There is no such snapshot, archive or restore of this environment; snapshots expire."),
        ("NOT_SUPPORTED", "Only environments on Mendix Cloud have backups that this API knows."),
        ("UNSUPPORTED", "Mendix makes no such archive of this snapshot; only those that are completed have any."),
        ("SNAPSHOT_LISTING_FAILED", "Mendix could not list the snapshots; the portal may say more."),
    ),
)
MAX_PAGE_SIZE = 100


class BackupState(enum.StrEnum):
    """The documented states of a snapshot, an archive or a restore. Any other state means "not finished"."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Snapshot(msgspec.Struct, frozen=True):
    """A copy of an environment's database and files.

    :param state: one of :class:`BackupState`, or an undocumented one.
    :param status_message: Mendix's own explanation, mostly of a failure.
    :param model_version: version of the app at that time.
    """

    snapshot_id: str
    state: str
    status_message: str | None = None
    model_version: str | None = None
    comment: str | None = None
    created_at: pendulum.DateTime | None = None
    updated_at: pendulum.DateTime | None = None
    finished_at: pendulum.DateTime | None = None
    expires_at: pendulum.DateTime | None = None


class Snapshots(msgspec.Struct, frozen=True):
    """One page of snapshots.

    :param total: number of snapshots on all pages.
    """

    snapshots: tuple[Snapshot, ...] = ()
    total: int | None = None
    offset: int | None = None
    limit: int | None = None


class DataType(enum.StrEnum):
    """What an archive holds."""

    FILES_AND_DATABASE = "files_and_database"
    DATABASE_ONLY = "database_only"


class Archive(msgspec.Struct, frozen=True):
    """A file with the data of a snapshot.

    :param state: one of :class:`BackupState`, or an undocumented one.
    :param status_message: Mendix's own explanation, mostly of a failure.
    :param data_type: one of :class:`DataType`.
    :param url: the signed link to the file when it is there, good for eight hours. It is a secret.
    """

    archive_id: str
    state: str
    status_message: str | None = None
    snapshot_id: str | None = None
    data_type: str | None = None
    model_version: str | None = None
    comment: str | None = None
    created_at: pendulum.DateTime | None = None
    updated_at: pendulum.DateTime | None = None
    finished_at: pendulum.DateTime | None = None
    expires_at: pendulum.DateTime | None = None
    url: str | None = None

    @property
    def link(self) -> DownloadUrl | None:
        """The link in the form that :meth:`.MendixHook.open_link` takes."""
        return DownloadUrl(self.url) if self.url else None

    def __repr__(self) -> str:
        """Hide the link."""
        return f"Archive(archive_id={self.archive_id!r}, state={self.state!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide the link from rich too, which does not use the repr of a msgspec struct."""
        return [("archive_id", self.archive_id), ("state", self.state)]


class Restore(msgspec.Struct, frozen=True):
    """The restore of a snapshot.

    :param state: one of :class:`BackupState`, or an undocumented one.
    :param status_message: Mendix's own explanation, mostly of a failure.
    """

    restore_id: str
    state: str
    status_message: str | None = None
    source_snapshot_id: str | None = None
    source_environment_id: str | None = None
    target_environment_id: str | None = None
    created_at: pendulum.DateTime | None = None
    updated_at: pendulum.DateTime | None = None
    finished_at: pendulum.DateTime | None = None


_ENVIRONMENT = "/apps/{project_id}/environments/{environment_id}"
_SNAPSHOT = f"{_ENVIRONMENT}/snapshots/{{snapshot_id}}"

LIST_SNAPSHOTS = Endpoint[Snapshots](
    BACKUPS_API, "GET", f"{_ENVIRONMENT}/snapshots", returns=Snapshots, repeatable=True
)
CREATE_SNAPSHOT = Endpoint[Snapshot](
    BACKUPS_API, "POST", f"{_ENVIRONMENT}/snapshots", returns=Snapshot, repeatable=False
)
GET_SNAPSHOT = Endpoint[Snapshot](BACKUPS_API, "GET", _SNAPSHOT, returns=Snapshot, repeatable=True)
UPDATE_SNAPSHOT = Endpoint[Snapshot](BACKUPS_API, "PUT", _SNAPSHOT, returns=Snapshot, repeatable=False)
DELETE_SNAPSHOT = Endpoint[None](BACKUPS_API, "DELETE", _SNAPSHOT, returns=None, repeatable=False)
CREATE_ARCHIVE = Endpoint[Archive](BACKUPS_API, "POST", f"{_SNAPSHOT}/archives", returns=Archive, repeatable=False)
GET_ARCHIVE = Endpoint[Archive](
    BACKUPS_API, "GET", f"{_SNAPSHOT}/archives/{{archive_id}}", returns=Archive, repeatable=True
)
CREATE_RESTORE = Endpoint[Restore](
    BACKUPS_API, "POST", f"{_ENVIRONMENT}/restores", returns=Restore, repeatable=False
)
GET_RESTORE = Endpoint[Restore](
    BACKUPS_API, "GET", f"{_ENVIRONMENT}/restores/{{restore_id}}", returns=Restore, repeatable=True
)


def list_snapshots(project_id: str, environment_id: str, *, offset: int = 0) -> Call[Snapshots]:
    """Return the call for one page of the snapshots of an environment."""
    query = {"offset": str(offset), "limit": str(MAX_PAGE_SIZE)}
    return LIST_SNAPSHOTS.call(_environment(project_id, environment_id), query=query)


def all_snapshots(send: Callable[[Call[Any]], Any], project_id: str, environment_id: str) -> Iterator[Snapshot]:
    """Yield the snapshots of an environment; each further page is requested when it is needed."""
    offset = 0
    while True:
        page: Snapshots = send(list_snapshots(project_id, environment_id, offset=offset))
        yield from page.snapshots
        offset += len(page.snapshots)
        # Mendix may return fewer than requested; without a total, only an empty page is surely the last.
        if not page.snapshots or (page.total is not None and offset >= page.total):
            return


def create_snapshot(project_id: str, environment_id: str, *, comment: str | None = None) -> Call[Snapshot]:
    """Return the call that starts a snapshot. Without an idempotency key, every call that arrives makes one."""
    return CREATE_SNAPSHOT.call(
        _environment(project_id, environment_id), body={"comment": comment} if comment else {}
    )


def get_snapshot(project_id: str, environment_id: str, snapshot_id: str) -> Call[Snapshot]:
    """Return the call for one snapshot."""
    return GET_SNAPSHOT.call(_snapshot(project_id, environment_id, snapshot_id))


def update_snapshot(project_id: str, environment_id: str, snapshot_id: str, *, comment: str) -> Call[Snapshot]:
    """Return the call that changes the comment of a snapshot; Mendix does not change ``updated_at`` then."""
    return UPDATE_SNAPSHOT.call(
        _snapshot(project_id, environment_id, snapshot_id), body={"comment": inputs.free_text("comment", comment)}
    )


def delete_snapshot(project_id: str, environment_id: str, snapshot_id: str) -> Call[None]:
    """Return the call that deletes a snapshot."""
    return DELETE_SNAPSHOT.call(_snapshot(project_id, environment_id, snapshot_id))


def create_archive(
    project_id: str,
    environment_id: str,
    snapshot_id: str,
    *,
    data_type: str = DataType.FILES_AND_DATABASE,
) -> Call[Archive]:
    """Return the call that starts to make an archive of a snapshot. Mendix has no list of archives.

    :raises InvalidInputError: if the data type is not one of :class:`DataType`.
    """
    query = {"data_type": str(inputs.one_of("data_type", data_type, list(DataType)))}
    return CREATE_ARCHIVE.call(_snapshot(project_id, environment_id, snapshot_id), query=query)


def get_archive(project_id: str, environment_id: str, snapshot_id: str, archive_id: str) -> Call[Archive]:
    """Return the call for one archive."""
    segments = _snapshot(project_id, environment_id, snapshot_id)
    return GET_ARCHIVE.call({**segments, "archive_id": inputs.uuid("archive_id", archive_id)})


def create_restore(
    project_id: str, environment_id: str, snapshot_id: str, *, db_only: bool = False
) -> Call[Restore]:
    """Return the call that restores a snapshot over all data of an environment, which must be stopped.

    :param snapshot_id: of this environment, or of another one of the same app.
    :param db_only: keep the files as they are.
    """
    query = {"source_snapshot_id": inputs.uuid("snapshot_id", snapshot_id)}
    return CREATE_RESTORE.call(
        _environment(project_id, environment_id), query={**query, "db_only": "true"} if db_only else query
    )


def get_restore(project_id: str, environment_id: str, restore_id: str) -> Call[Restore]:
    """Return the call for one restore."""
    segments = {**_environment(project_id, environment_id), "restore_id": inputs.uuid("restore_id", restore_id)}
    return GET_RESTORE.call(segments)


def _snapshot(project_id: str, environment_id: str, snapshot_id: str) -> dict[str, str]:
    return {
        **_environment(project_id, environment_id),
        "snapshot_id": inputs.uuid("snapshot_id", snapshot_id),
    }


def _environment(project_id: str, environment_id: str) -> dict[str, str]:
    return {
        "project_id": inputs.project_id(project_id),
        "environment_id": inputs.uuid("environment_id", environment_id),
    }
