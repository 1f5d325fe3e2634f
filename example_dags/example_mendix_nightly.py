"""Every night: build the newest revision of several apps, unless it is built already, and prune old packages.

Needs a connection to Mendix with a personal access token. The apps and the branch come from the
run's parameters; each app is a mapped task group of its own, so that one app's failure stops no other.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task, task_group

from airflow_provider_mendix.operators.package import MendixPrunePackagesOperator, MendixStartBuildOperator

with DAG(
    "example_mendix_nightly",
    schedule="0 2 * * *",
    catchup=False,
    max_active_runs=1,
    params={"mendix_conn_id": "mendix_default", "apps": ["shop"], "branch": "main"},
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["example", "mendix"],
):

    @task
    def apps(params: dict[str, list[str]] | None = None) -> list[str]:
        """Return the subdomains of the apps to build."""
        return params["apps"] if params else []

    @task_group
    def nightly(app_id: str) -> None:
        """Build one app and prune its packages."""
        build = MendixStartBuildOperator(
            task_id="build",
            mendix_conn_id="{{ params.mendix_conn_id }}",
            app_id=app_id,
            branch="{{ params.branch }}",
            bump="patch",
            if_exists="skip",
            max_parallel_builds=2,
            description="Nightly build",
            deferrable=True,
            poll_interval=10,
        )
        prune = MendixPrunePackagesOperator(
            task_id="prune",
            mendix_conn_id="{{ params.mendix_conn_id }}",
            app_id=app_id,
            keep_last=10,
            older_than=timedelta(days=30),
            trigger_rule="none_failed",
        )
        build >> prune

    nightly.expand(app_id=apps())
