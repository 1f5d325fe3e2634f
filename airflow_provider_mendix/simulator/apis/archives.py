"""The Backups API, version 2: archives of snapshots, to be downloaded.

Their fields beyond those of a snapshot are documented, that a link is good for eight hours, and the files that the
portal calls "full snapshot" and "database only". The code for a snapshot that is not finished is invented.
"""

from __future__ import annotations

import uuid
from typing import Any

from airflow_provider_mendix.api import backups
from airflow_provider_mendix.simulator.apis.backups import (
    find_environment,
    find_snapshot,
    shown_progress,
    shown_snapshot,
    take_outcome,
)
from airflow_provider_mendix.simulator.apis.files import signed_link
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.backups import ARCHIVE_CODES, COMPLETED, Archive, job_steps
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply


@serves(backups.CREATE_ARCHIVE)
def create_archive(
    cloud: Cloud, request: Request, project_id: str, environment_id: str, snapshot_id: str
) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    snapshot = find_snapshot(cloud, environment, snapshot_id)
    data_type = request.query.get("data_type", "files_and_database")
    if data_type not in list(backups.DataType):
        raise RefusedError(400, "INVALID_PARAMETERS", f"data_type cannot be {data_type!r}.")
    now = cloud.clock.now()
    if snapshot.state(now) != COMPLETED:
        raise RefusedError(400, "UNSUPPORTED", f"Snapshot {snapshot_id} is {snapshot.state(now)}.")
    archive = Archive(
        archive_id=str(uuid.uuid4()),
        source=snapshot,
        data_type=backups.DataType(data_type),
        created_at=now,
        steps=job_steps(
            cloud.environments.timeline.archiving, take_outcome(cloud.backups.next_archives, ARCHIVE_CODES)
        ),
    )
    cloud.backups.archives[archive.archive_id] = archive
    return json_reply(_shown(cloud, archive, "queued"))


@serves(backups.GET_ARCHIVE)
def get_archive(
    cloud: Cloud, request: Request, project_id: str, environment_id: str, snapshot_id: str, archive_id: str
) -> Reply:
    environment = find_environment(cloud, project_id, environment_id)
    snapshot = find_snapshot(cloud, environment, snapshot_id)
    archive = cloud.backups.archives.get(archive_id)
    if archive is None or archive.source.snapshot_id != snapshot.snapshot_id:
        raise RefusedError(404, "NOT_FOUND", f"Snapshot {snapshot_id} has no archive {archive_id}.")
    return json_reply(_shown(cloud, archive))


def _shown(cloud: Cloud, archive: Archive, state: str | None = None) -> dict[str, Any]:
    shown = shown_progress(cloud, archive, state)
    return {
        **shown_snapshot(cloud, archive.source),
        "archive_id": archive.archive_id,
        "data_type": archive.data_type,
        "url": _link(cloud, archive) if shown["state"] == COMPLETED else None,
        **shown,
    }


def _link(cloud: Cloud, archive: Archive) -> str:
    ttl: float = cloud.options.archive_ttl
    if cloud.options.archive_links == "once":
        ttl += archive.finished_at - cloud.clock.now()
    return signed_link(cloud, f"/archives/{archive.archive_id}.{archive.extension}", ttl)
