"""Every night: build and archive the newest revision of several apps, unless it was built, and prune old packages.

Mendix deletes packages that are not deployed within 15 days; what is archived counts as built after that, too.
Needs a connection to Mendix with a personal access token. The apps and the branch come from the
run's parameters; each app is a mapped task group of its own, so that one app's failure stops no other.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, task, task_group

from airflow_provider_mendix.operators.package import MendixPrunePackagesOperator, MendixStartBuildOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

with DAG(
    "example_mendix_nightly",
    description="Build and archive the newest revision of several apps every night, and prune old packages",
    doc_md=__doc__,
    schedule="0 2 * * *",
    catchup=False,
    max_active_runs=1,
    params={
        "mendix_conn_id": "mendix_default",
        "apps": ["shop"],
        "branch": "main",
        "archive": "file:///tmp/mendix-archive",
    },
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["example", "mendix"],
) as dag:

    @task
    def apps(params: dict[str, list[str]] | None = None) -> list[str]:
        """Return the subdomains of the apps to build."""
        return params["apps"] if params else []

    @task_group
    def nightly(app_id: str) -> None:
        """Build and archive one app, and prune its packages."""
        build = MendixStartBuildOperator(
            task_id="build",
            mendix_conn_id="{{ params.mendix_conn_id }}",
            app_id=app_id,
            branch="{{ params.branch }}",
            bump="patch",
            if_exists="skip",
            archive="{{ params.archive }}",
            max_parallel_builds=2,
            description="Nightly build",
            deferrable=True,
            poll_interval=10,
        )
        archived = MendixToObjectStorageOperator(
            task_id="archive",
            mendix_conn_id="{{ params.mendix_conn_id }}",
            app_id=app_id,
            package_id=build.output,
            destination="{{ params.archive }}/{app_id}/{name}",
        )
        prune = MendixPrunePackagesOperator(
            task_id="prune",
            mendix_conn_id="{{ params.mendix_conn_id }}",
            app_id=app_id,
            keep_last=10,
            older_than=timedelta(days=30),
            only_if_archived="{{ params.archive }}",
            trigger_rule="none_failed",
        )
        build >> archived >> prune

    nightly.expand(app_id=apps())
