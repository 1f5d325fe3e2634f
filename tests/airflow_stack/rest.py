"""The part of Airflow's REST API that the tests use."""

from __future__ import annotations

import time
from typing import Any

import requests

_ATTEMPTS = 20


class AirflowApi:
    """A client for an API server where everyone is an administrator.

    :param url: base URL of the API server.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def is_healthy(self) -> bool:
        """Return whether all four components are healthy."""
        try:
            health = self._call("GET", "monitor/health")
        except requests.RequestException:
            return False
        components = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all(health[name]["status"] == "healthy" for name in components)

    def dag_files(self) -> set[str]:
        """Return the names, without suffix, of the DAG files that Airflow has parsed.

        :raises RuntimeError: if one of them could not be imported.
        """
        errors = self._call("GET", "importErrors")["import_errors"]
        if errors:
            raise RuntimeError("\n".join(error["stack_trace"] for error in errors))
        dags = self._call("GET", "dags")["dags"]
        return {dag["relative_fileloc"].removesuffix(".py") for dag in dags}

    def version(self) -> str:
        """Return Airflow's version."""
        return str(self._call("GET", "version")["version"])

    def triggerer_jobs(self) -> set[int]:
        """Return the ids of the triggerers' jobs."""
        jobs = self._call("GET", "jobs", params={"job_type": "TriggererJob", "order_by": "id"})["jobs"]
        return {job["id"] for job in jobs}

    def add_connection(self, conn_id: str, **fields: Any) -> None:
        """Store a connection in the database."""
        self._call("POST", "connections", json={"connection_id": conn_id, "conn_type": "mendix", **fields})

    def change_connection(self, conn_id: str, **fields: Any) -> None:
        """Change some fields of a connection."""
        self._call(
            "PATCH",
            f"connections/{conn_id}",
            params={"update_mask": list(fields)},
            json={"connection_id": conn_id, "conn_type": "mendix", **fields},
        )

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, str]) -> None:
        """Start a run."""
        self._call(
            "POST",
            f"dags/{dag_id}/dagRuns",
            json={"dag_run_id": run_id, "logical_date": None, "conf": conf},
        )

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return a run."""
        return self._call("GET", f"dags/{dag_id}/dagRuns/{run_id}")

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG, the oldest first."""
        found = self._call("GET", f"dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "id"})
        return list(found["dag_runs"])

    def pause(self, dag_id: str, *, is_paused: bool) -> None:
        """Pause a DAG, or let it go on."""
        self._call("PATCH", f"dags/{dag_id}", json={"is_paused": is_paused})

    def asset_events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of an asset, the oldest first.

        Airflow fails to list them while a run that they created has not started.
        """
        params = {"limit": 100, "order_by": "timestamp"}
        events = self._call("GET", "assets/events", params=params, is_flaky=True)["asset_events"]
        return [event for event in events if event["name"] == name]

    def task_instances(self) -> list[dict[str, Any]]:
        """Return the newest try of every task of the runs that were started last."""
        newest = {"limit": 100, "order_by": "-run_after"}
        return list(self._call("GET", "dags/~/dagRuns/~/taskInstances", params=newest)["task_instances"])

    def tasks_of(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the newest try of every task of one run, by the task's id."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found = self._call("GET", path, params={"limit": 100})["task_instances"]
        return {instance["task_id"]: instance for instance in found}

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer an approval task."""
        self._call(
            "PATCH",
            f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails",
            json={"chosen_options": [option]},
        )

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear one task, in any state."""
        self._call(
            "POST",
            f"dags/{dag_id}/clearTaskInstances",
            json={"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": False},
        )

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Do what the button "Mark as failed" does."""
        self._call(
            "PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", json={"new_state": "failed"}
        )

    def links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str]:
        """Return the extra links of a task."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links"
        return dict(self._call("GET", path)["extra_links"])

    def return_value(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return the return value of a task."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._call("GET", path)["value"]

    def _call(self, method: str, path: str, *, is_flaky: bool = False, **options: Any) -> Any:
        if path != "monitor/health" and "Authorization" not in self._session.headers:
            token = self._session.get(f"{self.url}/auth/token", timeout=30).json()["access_token"]
            self._session.headers["Authorization"] = f"Bearer {token}"
        for _ in range(_ATTEMPTS):
            response = self._session.request(method, f"{self.url}/api/v2/{path}", timeout=60, **options)
            # SQLite lets one process write at a time, and refuses another one at once where waiting cannot help.
            if response.status_code != 500 or not (is_flaky or "Database error" in response.text):
                break
            time.sleep(0.5)
        if not response.ok:
            raise requests.HTTPError(f"{method} {path}: {response.status_code} {response.text}", response=response)
        return response.json()
