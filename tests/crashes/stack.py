"""Airflow on PostgreSQL with two triggerers, and ways to kill its processes: one by one, by their ids."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from ..system.rest import AirflowApi
from ..system.stack import HEALTHY_WITHIN, AirflowStack
from .postgres import Postgres

TRIGGERERS = ("triggerer", "triggerer 2")
TASK_HEARTBEAT_TIMEOUT = 20
TRIGGERER_THRESHOLD = 8
SCHEDULER_THRESHOLD = 10


class CrashApi(AirflowApi):
    """What these tests use of it beside."""

    def triggerer_jobs(self) -> list[int]:
        """Give the ids of the triggerers' jobs, oldest first."""
        jobs = self._call("GET", "jobs", params={"job_type": "TriggererJob", "order_by": "id"})["jobs"]
        return [job["id"] for job in jobs]

    def mark_failed(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Do what the button "Mark as failed" does."""
        self._call(
            "PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", json={"new_state": "failed"}
        )


class CrashStack(AirflowStack):
    """Airflow that notices soon who is gone.

    :param database: a PostgreSQL that is ready.
    """

    api: CrashApi

    def __init__(self, home: Path, dag_files: Iterable[Path], database: Postgres) -> None:
        self.database = database
        super().__init__(home, dag_files)
        self.api = CrashApi(self.api.url)
        self.triggerer_of_job: dict[int, str] = {}

    def start(self) -> None:
        """Start everything; the second triggerer last, so that it is known whose job is whose."""
        super().start()
        self._learn_job("triggerer")
        self.launch("triggerer 2")
        self._learn_job("triggerer 2")

    def launch_triggerer(self, name: str) -> None:
        """Start one that was killed."""
        self.launch(name)
        self._learn_job(name)

    def kill_task(self, pid: int) -> None:
        """Kill a task's process."""
        self._of_scheduler(pid).kill()

    def kill_worker(self, pid: int, *, and_task: bool) -> psutil.Process:
        """Kill the executor's worker that watches a task, and give the task's process."""
        task = self._of_scheduler(pid)
        worker = task.parent()
        assert worker
        assert self._of_scheduler(worker.pid)
        self._orphans.append(task)
        worker.kill()
        if and_task:
            task.kill()
        return task

    @contextlib.contextmanager
    def paused_workers(self) -> Iterator[None]:
        """Let what the executor is given stay in its queue. No task may be running."""
        workers = [
            child
            for child in self.children("scheduler")
            if is_there(child) and "LocalExecutor" in " ".join(child.cmdline())
        ]
        assert workers
        try:
            for worker in workers:
                worker.send_signal(signal.SIGSTOP)
            yield
        finally:
            for worker in filter(is_there, workers):
                worker.send_signal(signal.SIGCONT)

    def _of_scheduler(self, pid: int) -> psutil.Process:
        (found,) = (child for child in self.children("scheduler") if child.pid == pid)
        return found

    def _learn_job(self, name: str) -> None:
        self.wait_until(
            lambda: set(self.api.triggerer_jobs()) - self.triggerer_of_job.keys(),
            f"the job of {name}",
            within=HEALTHY_WITHIN,
        )
        (job,) = set(self.api.triggerer_jobs()) - self.triggerer_of_job.keys()
        self.triggerer_of_job[job] = name

    def _settings(self) -> dict[str, str]:
        return {
            **super()._settings(),
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database.url,
            "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": str(SCHEDULER_THRESHOLD),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(TASK_HEARTBEAT_TIMEOUT),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(TRIGGERER_THRESHOLD),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        }


def is_there(process: psutil.Process) -> bool:
    """Tell whether a process is more than a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
