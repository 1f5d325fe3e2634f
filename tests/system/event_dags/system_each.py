"""One run for each revision: a task makes an event for each, with the revision as its partition key."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, task

from airflow_provider_mendix.assets.mendix import revision_asset

EACH = Asset("each_revision")

with DAG("system_fan_out", schedule=revision_asset("each", poll_interval=15), max_active_runs=1, catchup=False):

    @task(outlets=[EACH])
    def fan_out(triggering_asset_events=None, outlet_events=None) -> None:
        """Make an event for each revision."""
        events = [event for found in triggering_asset_events.values() for event in found]
        revisions = [one["revision"] for event in events for one in event.extra["payload"]["revisions"]]
        if not revisions:
            raise AirflowSkipException("Nothing is pending.")
        outlet_events[EACH].add_partitions(revisions)

    fan_out()

with DAG("system_each", schedule=PartitionedAssetTimetable(assets=EACH), max_active_runs=1, catchup=False):

    @task
    def process(dag_run=None) -> list[str]:
        """Return the one revision."""
        return [dag_run.partition_key]

    process()
