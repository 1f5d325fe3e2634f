"""The `airflow` command. Importing Airflow takes seconds, so one process does it, and each command is its fork.

The process reads one line of JSON for each command from standard input, and writes one with the result. Our code
waits a fiftieth of the time in these commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from airflow_provider_mendix.clock import SystemClock, use_clock

ROOT = Path(__file__).parent.parent.parent
_STOPPED_WITHIN = 60
_SPEED = 50
_PRELOADED = (
    "a2wsgi",
    "airflow.__main__",
    "airflow.api_fastapi.execution_api.app",
    "airflow.api_fastapi.execution_api.routes",
    "airflow.cli.commands.dag_command",
    "airflow.providers.standard.operators.python",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow_provider_mendix.polling.poller",
    "airflow_provider_mendix.transfers.mendix_to_object_storage",
    "alembic.runtime.migration",
    "requests",
)


class AirflowCommand:
    """The `airflow` command in an environment of its own. Use it as a context manager.

    :param home: folder for Airflow's files.
    :param settings: further environment variables; later changes of ``environment`` apply to the next command.
    """

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        self.home = home
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.environment = {
            **inherited,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            **settings,
        }

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=_STOPPED_WITHIN)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command and return its result, with standard output and errors in one."""
        command = {"arguments": arguments, "environment": {**self.environment, **environment}}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        result = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, result["code"], result["output"])


class FastClock(SystemClock):
    """Waits a fiftieth of the time."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / _SPEED)

    def ticks(self) -> float:
        return super().ticks() * _SPEED

    async def pause(self, seconds: float, wakeup: asyncio.Event | None = None) -> None:
        await super().pause(seconds / _SPEED, wakeup)


def main() -> None:
    """Run the commands that come in."""
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the imports print
    for module in _PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    for line in sys.stdin:
        results.write(json.dumps(_run(**json.loads(line))) + "\n")
        results.flush()


def _run(arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            _become_airflow(arguments, environment, output.fileno())
        _, status = os.waitpid(pid, 0)
        output.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "output": output.read().decode(errors="replace")}


def _become_airflow(arguments: list[str], environment: dict[str, str], output: int) -> None:
    code = 1
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["airflow", *arguments]
        from airflow.__main__ import main as airflow

        with use_clock(FastClock()):
            airflow()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001  # a command that fails must not go on in this loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
