"""Builds, archives, uploads and transports one package; one more build fails."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_mendix.operators.environment import MendixTransportPackageOperator
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator
from airflow_provider_mendix.transfers.object_storage_to_mendix import ObjectStorageToMendixOperator

with DAG("lineage_release", params={"archive": "", "deferrable": True}, render_template_as_native_obj=False):
    for name, deferrable in (("deferred", True), ("plain", False)):
        build = MendixStartBuildOperator(
            task_id=f"build_{name}",
            app_id="shop",
            branch="main",
            bump="patch",
            poll_interval=5,
            deferrable=deferrable,
        )
        archive = MendixToObjectStorageOperator(
            task_id=f"archive_{name}",
            app_id="shop",
            package_id=build.output,
            destination="{{ params.archive }}/" + name + ".mda",
        )
        upload = ObjectStorageToMendixOperator(
            task_id=f"upload_{name}",
            app_id="shop",
            source="{{ params.archive }}/" + name + ".mda",
            deferrable=deferrable,
            poll_interval=5,
        )
        transport = MendixTransportPackageOperator(
            task_id=f"transport_{name}",
            app_id="shop",
            environment="Test",
            package_id=build.output,
            deferrable=deferrable,
            poll_interval=5,
        )
        build >> archive >> upload >> transport

with DAG("lineage_failure"):
    MendixStartBuildOperator(
        task_id="build", app_id="shop", branch="main", bump="patch", poll_interval=5, retries=0, deferrable=True
    )
