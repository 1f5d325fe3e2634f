"""One build, which waits on the worker or in the triggerer, with retries or without."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, dag

from airflow_provider_mendix.operators.package import MendixStartBuildOperator

for dag_id, deferrable, retries, retry_delay in (
    ("crash_build_on_worker", False, 2, 1),
    ("crash_build_on_worker_patient", False, 2, 60),
    ("crash_build_on_worker_once", False, 0, 1),
    ("crash_build_deferred", True, 2, 1),
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
            retries=retries,
            retry_delay=timedelta(seconds=retry_delay),
        )


@dag(dag_id="crash_build_dag_argument", schedule=None, catchup=False)
def build_of_an_argument(app: str = "shop", connection: str = "", revision: str = "") -> None:
    """An argument of a DAG is an object, which every process that parses the file makes anew."""
    MendixStartBuildOperator(
        task_id="build",
        mendix_conn_id=connection,
        app_id=app,
        branch="main",
        revision=revision,
        version="1.0.0",
        deferrable=False,
        poll_interval=5,
        retries=3,
        retry_delay=timedelta(seconds=1),
    )


build_of_an_argument()
