"""One deferred wait for each package that the run names."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_mendix.sensors.package import MendixPackageSensor

with DAG("many_waits", schedule=None, catchup=False, max_active_tasks=2000, params={"packages": []}):

    @task
    def packages(params: dict[str, list[dict[str, str]]] | None = None) -> list[dict[str, str]]:
        """Return the packages of the run, each with its app."""
        return (params or {})["packages"]

    MendixPackageSensor.partial(
        task_id="wait",
        deferrable=True,
        poke_interval=10,
        timeout=3600,
        retries=0,
    ).expand_kwargs(packages())
