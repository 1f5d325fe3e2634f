"""Two triggerers, each known by its name and by the id of its job."""

from __future__ import annotations

from typing import Any

from ..airflow_stack.stack import HEALTHY_WITHIN, AirflowStack

NAMES = ("triggerer", "triggerer 2")


class Triggerers:
    """The triggerers of an Airflow that has started with one.

    Starts the second one. They start one after the other, because a job does not say which process it belongs to.
    """

    def __init__(self, airflow: AirflowStack) -> None:
        self._airflow = airflow
        self._name_of_job: dict[int, str] = {}
        self._learn_job(NAMES[0])
        self.launch(NAMES[1])

    def launch(self, name: str) -> None:
        """Start one, or start it again after it was killed."""
        self._airflow.launch(name)
        self._learn_job(name)

    def owner(self, task_instance: dict[str, Any]) -> str | None:
        """Return the name of the triggerer that runs the task's trigger."""
        job = task_instance.get("triggerer_job")
        return self._name_of_job.get(job["id"]) if job else None

    def _learn_job(self, name: str) -> None:
        jobs: set[int] = set()

        def has_started() -> bool:
            jobs.update(self._airflow.api.triggerer_jobs() - self._name_of_job.keys())
            return bool(jobs)

        self._airflow.wait_until(has_started, f"the job of {name}", within=HEALTHY_WITHIN)
        (job,) = jobs
        self._name_of_job[job] = name
