"""A whole Airflow: its processes on loopback, with a database and log files of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import psutil
from cryptography.fernet import Fernet

from .rest import AirflowApi

HEALTHY_WITHIN = 180.0
STOPPED_WITHIN = 15.0
_LOOPBACK = "127.0.0.1"
_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


class AirflowStack:
    """API server, scheduler with the LocalExecutor, DAG processor and triggerer, as separate processes.

    :param home: an empty folder for everything that they write.
    :param dag_files: DAG files; they are copied, and parsed once.
    :param settings: environment variables that change or complete the default settings.
    """

    def __init__(self, home: Path, dag_files: Iterable[Path], settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.dag_files = list(dag_files)
        self.port = _free_port()
        self.api = AirflowApi(f"http://{_LOOPBACK}:{self.port}")
        self.seconds_to_start = 0.0
        self.fernet_key = Fernet.generate_key().decode()
        self._environment = {**self._defaults(), **(settings or {})}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._orphans: list[psutil.Process] = []

    @property
    def task_logs(self) -> Path:
        """Folder of the logs of tasks and triggers."""
        return self.home / "task-logs"

    @property
    def process_logs(self) -> Path:
        """Folder of the output of the processes, one file for each."""
        return self.home / "process-logs"

    def start(self) -> None:
        """Create the database, start the processes, and wait until all of them are healthy.

        :raises RuntimeError: if a process ends, or Airflow is not healthy in time; with the ends of the logs.
        """
        began = time.monotonic()
        self.process_logs.mkdir(parents=True)
        (self.home / "dags").mkdir()
        for file in self.dag_files:
            shutil.copy(file, self.home / "dags")
        self._migrate()
        for name in _COMPONENTS:
            self.launch(name)
        self.wait_until(self._healthy, "Airflow to be healthy, with all DAGs", within=HEALTHY_WITHIN)
        self.seconds_to_start = time.monotonic() - began

    def launch(self, name: str) -> None:
        """Start one more process, or one that was killed.

        :param name: the component; a number after a space tells several of one component apart.
        """
        component = name.partition(" ")[0]
        self._processes[name] = self._spawn(component, *self._arguments(component), log=name)

    def kill(self, name: str) -> list[psutil.Process]:
        """Kill one process with SIGKILL, and return the processes that it had started, which live on."""
        popen = self._processes.pop(name)
        left = psutil.Process(popen.pid).children(recursive=True)
        self._orphans += left
        popen.kill()
        popen.wait()
        return left

    def kill_task(self, pid: int) -> None:
        """Kill a task's process with SIGKILL."""
        self._child_of_scheduler(pid).kill()

    def kill_worker(self, pid: int, *, and_task: bool) -> psutil.Process:
        """Kill the executor's worker that runs a task, and return the task's process.

        :param pid: of the task's process.
        """
        task = self._child_of_scheduler(pid)
        worker = task.parent()
        assert worker
        assert self._child_of_scheduler(worker.pid)
        self._orphans.append(task)
        worker.kill()
        if and_task:
            task.kill()
        return task

    @contextlib.contextmanager
    def paused_workers(self) -> Iterator[None]:
        """Pause the executor's workers, so that tasks stay queued. No task may be running."""
        workers = [
            child
            for child in self.children("scheduler")
            if is_alive(child) and "LocalExecutor" in " ".join(child.cmdline())
        ]
        assert workers
        try:
            for worker in workers:
                worker.send_signal(signal.SIGSTOP)
            yield
        finally:
            for worker in filter(is_alive, workers):
                worker.send_signal(signal.SIGCONT)

    def children(self, name: str) -> list[psutil.Process]:
        """Return the descendants of a process."""
        return psutil.Process(self._processes[name].pid).children(recursive=True)

    def stop(self) -> None:
        """End the processes and their descendants."""
        family = list(self._family())
        for process in reversed(self._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        # Tasks have their own process groups. psutil does not kill another process that has reused a pid.
        _, alive = psutil.wait_procs(family, timeout=STOPPED_WITHIN)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for popen in self._processes.values():
            popen.wait(timeout=STOPPED_WITHIN)
        self._processes.clear()
        self._orphans.clear()

    def wait_until(self, true: Callable[[], bool], what: str, *, within: float) -> None:
        """Wait until a condition is true.

        :param what: the condition in words.
        :raises RuntimeError: if a process has ended, or after ``within`` seconds.
        """
        deadline = time.monotonic() + within
        while not true():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} has ended with {process.returncode}.\n{self.ends_of_logs()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Waited {within:.0f} s for {what}.")
            time.sleep(0.4)

    def listening(self) -> set[str]:
        """Return the addresses that the processes listen on."""
        addresses = set()
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                for connection in process.net_connections("inet"):
                    if connection.status == psutil.CONN_LISTEN:
                        addresses.add(f"{connection.laddr.ip}:{connection.laddr.port}")
        return addresses

    def ends_of_logs(self, lines: int = 30) -> str:
        """Return the last lines of the output of each process."""
        parts = []
        for file in sorted(self.process_logs.glob("*.log")):
            end = file.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {file.stem} ---", *end]))
        return "\n".join(parts)

    def report_sections(self) -> list[tuple[str, str]]:
        """Return what a failed test shows."""
        return [("Airflow's processes", self.ends_of_logs())]

    def _child_of_scheduler(self, pid: int) -> psutil.Process:
        (found,) = (child for child in self.children("scheduler") if child.pid == pid)
        return found

    def _family(self) -> Iterator[psutil.Process]:
        for popen in self._processes.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(popen.pid)
                yield from [process, *process.children(recursive=True)]
        for orphan in self._orphans:
            if orphan.is_running():
                yield orphan

    def _migrate(self) -> None:
        migration = self._spawn("db", "migrate", log="db")
        try:
            code = migration.wait(timeout=HEALTHY_WITHIN)
        finally:
            migration.kill()
        if code:
            raise RuntimeError(f"airflow db migrate has ended with {code}.\n{self.ends_of_logs()}")
        if (self.home / "airflow.db").exists():
            # Four processes share the file. With a write-ahead log, reading and writing do not block each other.
            with contextlib.closing(sqlite3.connect(self.home / "airflow.db")) as database:
                database.execute("PRAGMA journal_mode=WAL")

    def _spawn(self, component: str, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        with (self.process_logs / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                [Path(sys.executable).with_name("airflow"), component, *arguments],
                env=self._environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _arguments(self, component: str) -> tuple[str, ...]:
        match component:
            case "api-server":
                return "--host", _LOOPBACK, "--port", str(self.port), "--workers", "1"
            case "scheduler" | "triggerer":
                # Their log servers would listen on all interfaces.
                return ("--skip-serve-logs",)
        return ()

    def _healthy(self) -> bool:
        names = {file.stem for file in self.dag_files}
        return self.api.is_healthy() and names <= self.api.dag_files()

    def _defaults(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        url = f"http://{_LOOPBACK}:{self.port}"
        return {
            **inherited,
            "NO_PROXY": _LOOPBACK,
            "no_proxy": _LOOPBACK,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # Logs are searched for secrets, so they should be as detailed as possible.
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.task_logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            # Otherwise the nightly DAG would run as well, against the Mendix of another test.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            # The default of 5 seconds is too short for a machine that is busy with starting all of this.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        }


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process is running and not a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
