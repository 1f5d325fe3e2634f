"""A whole Airflow: its four processes, on loopback, with a database and log files that nobody else uses."""

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
from collections.abc import Callable, Iterable, Iterator
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
    :param dag_files: files to serve; they are copied, and parsed once.
    """

    def __init__(self, home: Path, dag_files: Iterable[Path]) -> None:
        self.home = home
        self.dag_files = list(dag_files)
        self.port = _free_port()
        self.api = AirflowApi(f"http://{_LOOPBACK}:{self.port}")
        self.seconds_to_start = 0.0
        self._environment = self._settings()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._orphans: list[psutil.Process] = []

    @property
    def task_logs(self) -> Path:
        """Folder of the logs of tasks and triggers."""
        return self.home / "task-logs"

    @property
    def process_logs(self) -> Path:
        """Folder of what the processes print, one file for each."""
        return self.home / "process-logs"

    def start(self) -> None:
        """Make the database, start the processes, and wait until Airflow calls all of them healthy.

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
        """Start one more process, or one that was killed; what follows a space tells those of one kind apart."""
        component = name.partition(" ")[0]
        self._processes[name] = self._spawn(component, *self._arguments(component), log=name)

    def kill(self, name: str) -> list[psutil.Process]:
        """Kill one process, without a warning to it, and give those that it has started and left behind."""
        popen = self._processes.pop(name)
        left = psutil.Process(popen.pid).children(recursive=True)
        self._orphans += left
        popen.kill()
        popen.wait()
        return left

    def kill_task(self, pid: int) -> None:
        """Kill a task's process, without a warning to it."""
        (task,) = (child for child in self.children("scheduler") if child.pid == pid)
        task.kill()

    def children(self, name: str) -> list[psutil.Process]:
        """Give all that one process has started, and what those have started."""
        return psutil.Process(self._processes[name].pid).children(recursive=True)

    def stop(self) -> None:
        """End the processes and everything that they have started."""
        family = list(self._family())
        for process in reversed(self._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        # Tasks have process groups of their own. psutil tells a reused pid from the process that it has seen.
        _, alive = psutil.wait_procs(family, timeout=STOPPED_WITHIN)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for popen in self._processes.values():
            popen.wait(timeout=STOPPED_WITHIN)
        self._processes.clear()
        self._orphans.clear()

    def wait_until(self, true: Callable[[], bool], what: str, *, within: float) -> None:
        """Ask again and again until it is true.

        :raises RuntimeError: if a process has ended, or the time is over.
        """
        deadline = time.monotonic() + within
        while not true():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} has ended with {process.returncode}.\n{self.ends_of_logs()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Waited {within:.0f} s in vain for {what}.")
            time.sleep(0.4)

    def listening(self) -> set[str]:
        """Give the addresses that the processes listen on."""
        addresses = set()
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                for connection in process.net_connections("inet"):
                    if connection.status == psutil.CONN_LISTEN:
                        addresses.add(f"{connection.laddr.ip}:{connection.laddr.port}")
        return addresses

    def ends_of_logs(self, lines: int = 30) -> str:
        """Give the last lines that each process has printed."""
        parts = []
        for file in sorted(self.process_logs.glob("*.log")):
            end = file.read_text(errors="replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {file.stem} ---", *end]))
        return "\n".join(parts)

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
            # Four processes share the file; with a write-ahead log readers and the writer do not lock each other
            # out.
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

    def _settings(self) -> dict[str, str]:
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
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # What is searched for secrets should say as much as it ever will.
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.task_logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            # The nightly DAG would run as well, against the Mendix of whatever test is there.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            # The default of 5 seconds is too short for a machine that is busy with starting all of this.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
