"""A process that runs transfers in children, which die by SIGKILL wherever they are told to.

Importing Airflow takes seconds, so it is done once, and each child is a fork of this process. It is asked on
standard input, a line of JSON for each transfer, and answers on the file descriptor that is its argument: the id
of the child, and when that is gone, how far it came.

A step of a transfer is what it does to the file system: a file that is made, renamed or removed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
from typing import Any

from .service_models import cache_service_models

STEPS = ("os.rename", "os.remove")
PRELOADED = (
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow_provider_mendix.archive.writer",
    "airflow_provider_mendix.archive.stores.selection",
    "airflow_provider_mendix.archive.stores.s3",
    "boto3.s3.transfer",
    "obstore.auth.boto3",
    "airflow_provider_mendix.transfers.mendix_to_object_storage",
    "obstore.store",
    "requests",
)


class Children:
    """Starts transfers in children of a process of their own. Use it as a context manager."""

    def __enter__(self) -> Children:
        self._answers, answers = os.pipe()
        command = [sys.executable, "-m", "tests.archive.kills", str(answers)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[answers], text=True)
        os.close(answers)
        self._lines = os.fdopen(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._lines.close()

    def start(self, operator: dict[str, Any], environment: dict[str, str], kill_before: int = 0) -> int:
        """Start one, and return the id of its process."""
        order = {"operator": operator, "environment": environment, "kill_before": kill_before}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._lines.readline())["pid"]

    def wait(self) -> dict[str, Any]:
        """Wait for its end: ``killed``, and the number of ``steps`` if it was not."""
        return json.loads(self._lines.readline())


def load_service_models() -> None:
    """Make a client, so that the children find in memory what it has read."""
    import boto3

    cache_service_models()
    boto3.session.Session(region_name="us-east-1").client(
        "s3", aws_access_key_id="key", aws_secret_access_key="key"
    )


def main(answers: int) -> None:
    for module in PRELOADED:
        with contextlib.suppress(ImportError):  # the environments of `make matrix` have no object stores
            importlib.import_module(module)
    with contextlib.suppress(ImportError):
        load_service_models()
    for line in sys.stdin:
        steps, its_steps = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(steps)
            with contextlib.suppress(BaseException):
                transfer(json.loads(line), its_steps)
            os._exit(1)
        os.close(its_steps)
        tell(answers, pid=pid)
        _, status = os.waitpid(pid, 0)
        with os.fdopen(steps, "rb") as read:
            done = read.read()
        tell(answers, killed=os.WIFSIGNALED(status), steps=int(done or 0))


def tell(file: int, **answer: object) -> None:
    os.write(file, json.dumps(answer).encode() + b"\n")


def transfer(order: dict[str, Any], steps: int) -> None:
    from types import SimpleNamespace

    from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

    os.environ.update(order["environment"])
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == order["kill_before"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event in STEPS or (event == "open" and str(args[0]).endswith(".part")):
            step()

    sys.addaudithook(audit)
    ti = SimpleNamespace(dag_id="release", run_id="run", task_id="archive", map_index=-1, try_number=1)
    MendixToObjectStorageOperator(task_id="archive", **order["operator"]).execute({"ti": ti})
    os.write(steps, str(count).encode())
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
