"""A whole release, with approvals and a rollback.

    revision → build → archive → approval → Acceptance → approval → Production

`deploy_to` is the part to copy: back up, stop, transport, set constants, start, check that the app is up, and roll
back if it is not. `docs/deploy-chain.md` explains why it is built like this. Needs a connection to Mendix with a
personal access token, and one for the object storage if that is not the local disk.

The approvals are Airflow's own, from 3.1 on. Before, there are none: the run deploys to Acceptance at once, and to
Production only if it was started with `"production_approved": true`; otherwise it fails there.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowOptionalProviderFeatureException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup, chain, task

from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.backup import MendixCreateBackupOperator, MendixRestoreBackupOperator
from airflow_provider_mendix.operators.environment import (
    MendixStartEnvironmentOperator,
    MendixStopEnvironmentOperator,
    MendixTransportPackageOperator,
)
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.operators.revision import MendixLatestRevisionOperator
from airflow_provider_mendix.operators.settings import MendixUpdateSettingsOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

log = logging.getLogger(__name__)

APP: dict[str, Any] = {
    "mendix_conn_id": "{{ params.mendix_conn_id }}",
    "app_id": "{{ params.app_id }}",
}
WAITING: dict[str, Any] = {**APP, "deferrable": True, "poll_interval": 5}
PARAMS = {
    "mendix_conn_id": "mendix_default",
    "app_id": "shop",
    "branch": "main",
    "version": "2.5.4",
    "archive": "file:///tmp/mendix-archive",
    # By environment, such as {"Acceptance": {"Shop.Url": "https://…", "Shop.ApiKey": {"variable": "shop_key"}}}.
    "constants": {},
}


def find_approval_operator() -> Any:
    """Return Airflow's operator for approvals, if this Airflow has it."""
    try:
        from airflow.providers.standard.operators.hitl import ApprovalOperator
    except (ImportError, AirflowOptionalProviderFeatureException):
        return None
    return ApprovalOperator


ApprovalOperator = find_approval_operator()


@task
def remember_package(environment: str, params: dict[str, Any] | None = None) -> str | None:
    """Return the package that is on the environment before the release."""
    values = params or {}
    package = MendixHook(values["mendix_conn_id"]).get_environment_package(values["app_id"], environment)
    log.info("On %s: %s", environment, package.summary() if package else "nothing")
    return package.package_id if package else None


@task(retries=4, retry_delay=timedelta(seconds=10))
def probe(app: Any, package_id: Any) -> None:
    """Check that the app is up. 503 means "not yet"; each try of the task sends one request."""
    import requests

    if app["package_id"] != package_id:
        raise AirflowFailException(f"{app['environment']} has package {app['package_id']}, not {package_id}.")
    response = requests.get(app["url"], timeout=10)
    response.raise_for_status()
    log.info("The app is up: %s returned %s.", app["url"], response.status_code)


# It runs whenever a task before it has failed, even the build: what Mendix shows decides. So clearing tasks
# afterwards does not restore the snapshot a second time over newer data.
@task.short_circuit(trigger_rule="one_failed", ignore_downstream_trigger_rules=False)
def is_needed(environment: str, package_id: Any, previous: Any, params: dict[str, Any] | None = None) -> bool:
    """Roll back only if the new package is on the environment, and another one was."""
    values = params or {}
    if not package_id or not previous or package_id == previous:
        log.info("Nothing to roll back: %s had %s before, the release has %s.", environment, previous, package_id)
        return False
    there = MendixHook(values["mendix_conn_id"]).get_environment_package(values["app_id"], environment)
    log.info("On %s is now: %s", environment, there.summary() if there else "nothing")
    return there is not None and there.package_id == package_id


def deploy_to(environment: str, package_id: Any, *, allow_production: bool = False) -> TaskGroup:
    """Deploy a package to an environment; if its app does not start, roll back package and data, and fail."""
    here = {**WAITING, "environment": environment}
    change = {**here, "allow_production": allow_production}
    with TaskGroup(environment.lower()) as group:
        previous = remember_package(environment=environment)
        backup = MendixCreateBackupOperator(task_id="backup", comment="Before a release by Airflow", **here)
        stop = MendixStopEnvironmentOperator(task_id="stop", **change)
        transport = MendixTransportPackageOperator(task_id="transport", package_id=package_id, **change)
        settings = MendixUpdateSettingsOperator(
            task_id="settings",
            environment=environment,
            constants="{{ params.constants.get(task.environment, {}) | tojson }}",
            allow_production=allow_production,
            **APP,
        )
        start = MendixStartEnvironmentOperator(task_id="start", **change)
        probed = probe(app=start.output, package_id=package_id)
        chain(previous, backup, stop, transport, settings, start)

        with TaskGroup("roll_back"):
            needed = is_needed(environment=environment, package_id=package_id, previous=previous)
            stop_again = MendixStopEnvironmentOperator(task_id="stop", **change)
            transport_previous = MendixTransportPackageOperator(task_id="transport", package_id=previous, **change)
            restore = MendixRestoreBackupOperator(task_id="restore", snapshot_id=backup.output, **change)
            start_previous = MendixStartEnvironmentOperator(task_id="start", **change)
            chain([start, probed], needed, stop_again, transport_previous, restore, start_previous)

        # The last task of the group. After a rollback it must not run: the tasks after it would go on with the
        # release, and Airflow, which decides by the last tasks, would mark the run a success. After a rejected
        # approval all of the group is skipped, and so must this task be.
        deployed = EmptyOperator(task_id="deployed", trigger_rule="none_failed_min_one_success")
        [probed, start_previous] >> deployed
    return group


@task(task_id="approve_production")
def refuse_unless_approved(params: dict[str, Any] | None = None) -> None:
    """Replace the approval where Airflow has none."""
    if not (params and params["production_approved"] is True):
        raise AirflowFailException(
            "This Airflow has no approvals. To deploy to Production, start the run with"
            ' {"production_approved": true}.'
        )


EXPIRY = (
    "{% set expiry = ti.xcom_pull(task_ids='build', key='mendix_expiry_date') %}"
    "{{ ' Unless it is deployed, Mendix deletes it on ' ~ expiry ~ '.' if expiry else '' }}"
)

with DAG(
    "example_mendix_release",
    description="Build, archive and deploy a release, with approvals and a rollback",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    params=PARAMS if ApprovalOperator else {**PARAMS, "production_approved": False},
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["example", "mendix"],
):
    revision = MendixLatestRevisionOperator(task_id="revision", branch="{{ params.branch }}", **APP)
    build = MendixStartBuildOperator(
        task_id="build",
        branch="{{ params.branch }}",
        revision="{{ ti.xcom_pull(task_ids='revision')['revision'] }}",
        version="{{ params.version }}",
        description="Airflow {{ run_id }}",
        **WAITING,
    )
    archive = MendixToObjectStorageOperator(
        task_id="archive", package_id=build.output, destination="{{ params.archive }}/{app_id}/{name}", **APP
    )
    acceptance = deploy_to("Acceptance", build.output)
    production = deploy_to("Production", build.output, allow_production=True)

    if ApprovalOperator:
        # Two approvals. The first allows the testers' environment to go down. The second is for what they have
        # found there; Mendix's portal asks for a second factor at this point, and its API for nothing.
        approve_acceptance = ApprovalOperator(
            task_id="approve_acceptance",
            subject="Deploy {{ params.app_id }} {{ params.version }} to Acceptance?",
            body="Package {{ ti.xcom_pull(task_ids='build') }}, which is now in the archive:"
            " {{ ti.xcom_pull(task_ids='archive')['url'] }}." + EXPIRY,
        )
        approve_production = ApprovalOperator(
            task_id="approve_production",
            subject="Deploy {{ params.app_id }} {{ params.version }} to Production?",
            body="Package {{ ti.xcom_pull(task_ids='build') }} runs on Acceptance.",
        )
        chain(revision, build, archive, approve_acceptance, acceptance, approve_production, production)
    else:
        chain(revision, build, archive, acceptance, refuse_unless_approved(), production)
