"""The smallest useful DAG: build a package, wait for it without a worker slot, keep its file.

Needs the connection `mendix_default`. Start it with a revision and a version, for example

    airflow dags test example_mendix_build --conf '{"app_id": "shop", "revision": "63", "version": "2.5.4"}'
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

with DAG(
    "example_mendix_build",
    schedule=None,
    catchup=False,
    params={
        "app_id": "shop",
        "branch": "main",
        "revision": "63",
        "version": "2.5.4",
        "archive": "file:///tmp/mendix-archive",
    },
    tags=["example", "mendix"],
):
    build = MendixStartBuildOperator(
        task_id="build",
        app_id="{{ params.app_id }}",
        branch="{{ params.branch }}",
        revision="{{ params.revision }}",
        version="{{ params.version }}",
        deferrable=True,
        poll_interval=10,
    )
    MendixToObjectStorageOperator(
        task_id="archive",
        app_id="{{ params.app_id }}",
        package_id=build.output,
        destination="{{ params.archive }}/{app_id}/{name}",
    )
