"""A push starts the train: each new revision of `main` is built and archived, and its package goes to Test.

Needs a connection to Mendix with a personal access token. Each DAG is started by an event of an asset, whose
watcher polls Mendix once a minute, and at once when a webhook arrives. Airflow may merge events, so each run
processes all that is pending. The Variables `mendix_built_shop` and `mendix_deployed_shop` say what is done.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Variable, task

from airflow_provider_mendix.assets.mendix import package_asset, revision_asset
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.environment import (
    MendixStartEnvironmentOperator,
    MendixStopEnvironmentOperator,
    MendixTransportPackageOperator,
)
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

APP, BRANCH, ENVIRONMENT = "shop", "main", "Test"
BUILT, DEPLOYED = f"mendix_built_{APP}", f"mendix_deployed_{APP}"
OPTIONS: dict[str, Any] = {
    "doc_md": __doc__,
    "catchup": False,
    # Two runs at the same time would find the same revisions pending.
    "max_active_runs": 1,
    "default_args": {"retries": 3, "retry_delay": timedelta(seconds=10)},
    "tags": ["example", "mendix"],
}

with DAG(
    "example_mendix_on_push",
    description="Build and archive each new revision of a branch",
    schedule=revision_asset(APP, BRANCH),
    params={"archive": "file:///tmp/mendix-archive"},
    **OPTIONS,
):

    @task
    def pending_revisions(triggering_asset_events: Any = None) -> list[str]:
        """Return the revisions that have not been built, oldest first."""
        built = Variable.get(BUILT, default=None)
        for first, *_ in (triggering_asset_events or {}).values():
            built = built or first.extra["payload"]["since"]
        return [found.revision for found in MendixHook().pending_revisions(APP, BRANCH, since=built)]

    @task
    def remember_built(revisions: Any) -> None:
        """Remember the last revision that was built."""
        if revisions:
            Variable.set(BUILT, revisions[-1])

    revisions = pending_revisions()
    build = MendixStartBuildOperator.partial(
        task_id="build",
        app_id=APP,
        branch=BRANCH,
        bump="patch",
        if_exists="reuse",
        deferrable=True,
        poll_interval=10,
        # With bump, two builds at the same time may get the same version.
        max_active_tis_per_dag=1,
    ).expand(revision=revisions)
    archive = MendixToObjectStorageOperator.partial(
        task_id="archive", app_id=APP, destination="{{ params.archive }}/{app_id}/{name}"
    ).expand(package_id=build.output)
    archive >> remember_built(revisions)

with DAG(
    "example_mendix_on_package",
    description="Deploy the newest package of a branch to Test",
    schedule=package_asset(APP, BRANCH),
    **OPTIONS,
):

    @task.short_circuit
    def pending_packages() -> list[str]:
        """Return the packages that have not been deployed, oldest first."""
        done = json.loads(Variable.get(DEPLOYED, default="[]"))
        return [found.package_id for found in MendixHook().pending_packages(APP, BRANCH, done=done)]

    @task
    def remember_deployed(packages: Any) -> None:
        """Remember the packages that need not be deployed again, as long as Mendix keeps them."""
        listed = {found.package_id for found in MendixHook().list_packages(APP)}
        done = [*json.loads(Variable.get(DEPLOYED, default="[]")), *packages]
        Variable.set(DEPLOYED, json.dumps([package_id for package_id in done if package_id in listed]))

    packages = pending_packages()
    target: dict[str, Any] = {"app_id": APP, "environment": ENVIRONMENT, "deferrable": True, "poll_interval": 10}
    (
        packages
        >> MendixStopEnvironmentOperator(task_id="stop", **target)
        >> MendixTransportPackageOperator(
            task_id="transport", package_id="{{ ti.xcom_pull('pending_packages')[-1] }}", **target
        )
        >> MendixStartEnvironmentOperator(task_id="start", **target)
        >> remember_deployed(packages)
    )
