"""One build with up to three tries, which waits on the worker or in the triggerer."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_mendix.operators.package import MendixStartBuildOperator

for dag_id, deferrable, retry_delay in (
    ("crash_build_on_worker", False, 1),
    ("crash_build_on_worker_patient", False, 60),
    ("crash_build_deferred", True, 1),
):
    with DAG(dag_id, schedule=None, catchup=False, params={"connection": "", "revision": ""}):
        MendixStartBuildOperator(
            task_id="build",
            mendix_conn_id="{{ params.connection }}",
            app_id="shop",
            branch="main",
            revision="{{ params.revision }}",
            version="1.0.0",
            deferrable=deferrable,
            poll_interval=5,
            retries=2,
            retry_delay=timedelta(seconds=retry_delay),
        )
