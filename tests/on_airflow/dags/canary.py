"""All tasks of this provider, for each app of a plan, and some leaks; no failure stops another task."""

from __future__ import annotations

import base64
import json
import os
from urllib.parse import quote

from airflow.sdk import DAG, BaseHook, BaseOperator, task
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.package import MendixDeletePackageOperator, MendixStartBuildOperator
from airflow_provider_mendix.sensors.package import MendixPackageSensor
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

PLAN = json.loads(os.environ.get("CANARY_PLAN", "{}"))
PLANTED = os.environ.get("CANARY_PLANTED", "")


# Without this method, a trigger in `airflow dags test` can read no connection from the database.
if not hasattr(InProcessSupervisorComms, "asend"):

    async def asend(self, msg):
        return self.send(msg)

    InProcessSupervisorComms.asend = asend


@task
def use_hook(app_id, package_id, mendix_conn_id):
    """Call methods of the hook that no operator calls, and fail with all objects in the traceback."""
    hook = MendixHook(mendix_conn_id)
    print("works:", hook.test_connection())
    print("newest:", hook.latest_revision(app_id))
    with hook.download_package(app_id, package_id) as download:
        print("bytes:", sum(map(len, download)))
    with hook.open_package(app_id, package_id) as (package, _):
        raise RuntimeError(f"Wrong, with {hook.get_conn().account} and {package}")


@task
def leak_into_xcom():
    return {"key": BaseHook.get_connection("planted").password}


@task
def leak_into_log():
    key = BaseHook.get_connection("planted").password
    print("log, past the mask:", base64.b64encode(f"basic:{key}".encode()).decode())
    raise RuntimeError(f"exception, past the mask: {quote(key[:-1])}")


class LeakyTrigger(BaseTrigger):
    def __init__(self, key):
        super().__init__()
        self.key = key

    def serialize(self):
        return f"{type(self).__module__}.{type(self).__qualname__}", {"key": self.key}

    async def run(self):
        yield TriggerEvent("done")


class LeakingOperator(BaseOperator):
    template_fields = ("note",)

    def __init__(self, note, **kwargs):
        super().__init__(**kwargs)
        self.note = note

    def execute(self, context):
        key = BaseHook.get_connection("planted").password
        self.defer(trigger=LeakyTrigger(key), method_name="execute_complete")

    def execute_complete(self, context, event=None):
        return event


with DAG(
    "canary",
    schedule=None,
    catchup=False,
    params={"archive": ""},
    default_args={"retries": 0, "trigger_rule": "all_done"},
    user_defined_filters={"backwards": lambda text: text[::-1]},
):
    for app_id, case in PLAN.items():
        package = {
            "app_id": app_id,
            "package_id": case["package_id"],
            "mendix_conn_id": case["mendix_conn_id"],
        }
        tasks = {
            "build": lambda app_id=app_id, case=case: MendixStartBuildOperator(
                task_id=f"build_{app_id}",
                app_id=app_id,
                bump="patch",
                branch="main",
                description="A description of more than the hundred characters that some faults leave of it. " * 2,
                mendix_conn_id=case["mendix_conn_id"],
                deferrable=True,
                poll_interval=5,
                timeout=case["seconds"],
            ),
            "wait": lambda app_id=app_id, case=case, package=package: MendixPackageSensor(
                task_id=f"wait_{app_id}", **package, deferrable=True, poke_interval=5, timeout=case["seconds"]
            ),
            "archive": lambda app_id=app_id, package=package: MendixToObjectStorageOperator(
                task_id=f"archive_{app_id}",
                **package,
                destination=f"{{{{ params.archive }}}}/{app_id}.mda",
                outage_tolerance=1,
            ),
            "use_hook": lambda app_id=app_id, package=package: use_hook.override(task_id=f"use_hook_{app_id}")(
                **package
            ),
            "delete": lambda app_id=app_id, package=package: MendixDeletePackageOperator(
                task_id=f"delete_{app_id}", **package
            ),
        }
        before = None
        for name in case["tasks"]:
            made = tasks[name]()
            if before is not None:
                before >> made
            before = made

    if PLANTED:
        leak_into_xcom()
        leak_into_log()
        LeakingOperator(
            task_id="leak_into_rendered_field_and_trigger",
            note="{{ conn.planted.password | backwards }}",
            doc_md=f"Serialized: {PLANTED}",
        )
