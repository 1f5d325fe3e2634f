"""One build, waited for in the triggerer; the run says which connection, revision and version."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_mendix.operators.package import MendixStartBuildOperator

with DAG(
    "system_build",
    schedule=None,
    catchup=False,
    params={"connection": "", "revision": "", "version": "1.0.0"},
):
    MendixStartBuildOperator(
        task_id="build",
        mendix_conn_id="{{ params.connection }}",
        app_id="shop",
        branch="main",
        revision="{{ params.revision }}",
        version="{{ params.version }}",
        deferrable=True,
        poll_interval=5,
        retries=0,
    )
