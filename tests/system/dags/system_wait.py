"""Waits for a package that the run names: one with time enough, and two that give up soon."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_mendix.sensors.package import MendixPackageSensor

for dag_id, timeout, soft_fail in (
    ("system_wait", 600, False),
    ("system_wait_briefly", 12, False),
    ("system_wait_briefly_or_skip", 12, True),
):
    with DAG(dag_id, schedule=None, catchup=False, params={"connection": "", "package_id": ""}):
        MendixPackageSensor(
            task_id="wait",
            mendix_conn_id="{{ params.connection }}",
            app_id="shop",
            package_id="{{ params.package_id }}",
            deferrable=True,
            poke_interval=5,
            timeout=timeout,
            soft_fail=soft_fail,
            retries=0,
        )
