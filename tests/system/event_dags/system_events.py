"""DAGs that pushes start: by polling, by webhook, and by both."""

from __future__ import annotations

from airflow.sdk import DAG, Variable, task

from airflow_provider_mendix.assets.mendix import revision_asset
from airflow_provider_mendix.hooks.mendix import MendixHook

INTERVALS = {"polled": 5, "woken": 3600, "both": 15}

for app, interval in INTERVALS.items():
    pushed = revision_asset(app, poll_interval=interval)
    with DAG(f"system_{app}", schedule=pushed, max_active_runs=1, catchup=False):

        @task
        def process(app_id: str, triggering_asset_events=None) -> list[str]:
            """Return what is pending, and remember that it is done."""
            done = Variable.get(f"done_{app_id}", default=None)
            for first, *_ in triggering_asset_events.values():
                done = done or first.extra["payload"]["since"]
            revisions = [found.revision for found in MendixHook().pending_revisions(app_id, since=done)]
            if revisions:
                Variable.set(f"done_{app_id}", revisions[-1])
            return revisions

        process(app)
