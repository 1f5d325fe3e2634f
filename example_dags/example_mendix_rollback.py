"""Deploy an older package from the archive, and restore its data if the run names a snapshot.

    upload → stop → transport → restore, if a snapshot is given → start → probe

The upload comes first, so that the app is down as briefly as possible. Needs a connection to Mendix, and
one for the object storage if that is not the local disk.

ALLOW_PRODUCTION refuses Production; it is set here, not in the run. Set it to True in a copy for Production, and
put an approval before `stop`, as in `example_mendix_release.py`. See `docs/deploy-chain.md`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, chain, task

from airflow_provider_mendix.operators.backup import MendixRestoreBackupOperator
from airflow_provider_mendix.operators.environment import (
    MendixStartEnvironmentOperator,
    MendixStopEnvironmentOperator,
    MendixTransportPackageOperator,
)
from airflow_provider_mendix.transfers.object_storage_to_mendix import ObjectStorageToMendixOperator

ALLOW_PRODUCTION = False
WAITING: dict[str, Any] = {
    "mendix_conn_id": "{{ params.mendix_conn_id }}",
    "app_id": "{{ params.app_id }}",
    "deferrable": True,
    "poll_interval": 5,
}
CHANGING = {**WAITING, "environment": "{{ params.environment }}", "allow_production": ALLOW_PRODUCTION}

log = logging.getLogger(__name__)


@task(retries=4, retry_delay=timedelta(seconds=10))
def probe(app: Any) -> None:
    """Check that the app is up. 503 means "not yet"; each try of the task sends one request."""
    import requests

    response = requests.get(app["url"], timeout=10)
    response.raise_for_status()
    log.info("The app is up: %s returned %s.", app["url"], response.status_code)


@task.short_circuit(ignore_downstream_trigger_rules=False)
def has_snapshot(params: dict[str, Any] | None = None) -> bool:
    """Restore data only if the run names a snapshot."""
    return bool(params and params["snapshot_id"])


with DAG(
    "example_mendix_rollback",
    description="Deploy an older package from the archive, with its data if a snapshot is named",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params={
        "mendix_conn_id": "mendix_default",
        "app_id": "shop",
        "environment": "Acceptance",
        "archived": "file:///tmp/mendix-archive/shop/shop-2.5.3.mda",
        "snapshot_id": "",
    },
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["example", "mendix"],
):
    upload = ObjectStorageToMendixOperator(task_id="upload", source="{{ params.archived }}", **WAITING)
    stop = MendixStopEnvironmentOperator(task_id="stop", **CHANGING)
    transport = MendixTransportPackageOperator(task_id="transport", package_id=upload.output, **CHANGING)
    restore = MendixRestoreBackupOperator(task_id="restore", snapshot_id="{{ params.snapshot_id }}", **CHANGING)
    # Without a snapshot, the task before this one is skipped.
    start = MendixStartEnvironmentOperator(task_id="start", trigger_rule="none_failed", **CHANGING)
    chain(upload, stop, transport, has_snapshot(), restore, start)
    probe(start.output)
