"""Build, wait, archive, and delete a package that is no longer wanted; nothing is deployed.

Needs the connection `mendix_default`, and one for the object storage if that is not the local disk. Every value
comes from the run's configuration, so the DAG serves all apps. Without `old_package_id` nothing is deleted.
"""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_mendix.operators.package import MendixDeletePackageOperator, MendixStartBuildOperator
from airflow_provider_mendix.sensors.package import MendixPackageSensor
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

with DAG(
    "example_mendix_archive",
    description="Build a package, wait for it, archive it, and delete an old one",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params={
        "app_id": "shop",
        "branch": "main",
        "revision": "63",
        "version": "2.5.4",
        "archive": "file:///tmp/mendix-archive",
        "old_package_id": "",
    },
    tags=["example", "mendix"],
):
    start = MendixStartBuildOperator(
        task_id="start_build",
        app_id="{{ params.app_id }}",
        branch="{{ params.branch }}",
        revision="{{ params.revision }}",
        version="{{ params.version }}",
        description="Airflow {{ run_id }}",
        wait_for_completion=False,
    )
    wait = MendixPackageSensor(
        task_id="wait_until_succeeded",
        app_id="{{ params.app_id }}",
        package_id=start.output,
        deferrable=True,
        poke_interval=10,
    )
    archive = MendixToObjectStorageOperator(
        task_id="archive",
        app_id="{{ params.app_id }}",
        package_id=start.output,
        destination="{{ params.archive }}/{app_id}/{name}",
    )

    @task.short_circuit
    def has_old_package(params: dict[str, str] | None = None) -> bool:
        """Go on to delete only if the run names a package."""
        return bool(params and params["old_package_id"])

    delete = MendixDeletePackageOperator(
        task_id="delete_old_package",
        app_id="{{ params.app_id }}",
        package_id="{{ params.old_package_id }}",
        missing_ok=True,
        in_use="skip",
    )
    wait >> archive >> has_old_package() >> delete
