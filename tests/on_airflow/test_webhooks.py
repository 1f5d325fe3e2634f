"""The receiver of webhooks in real API servers: two processes, behind a proxy with a path, restarted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from airflow_provider_mendix.simulator import Platform, deliver

from ..airflow_stack.commands import AirflowCommand

SECRET = "PMJhiGo1nTL6wlNyZVFh5v9rLZdcLsG2O"
HEALTHY_WITHIN = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def api_server(airflow: AirflowCommand, port: int) -> Iterator[None]:
    """Run an API server with two processes, below the path `/airflow`."""
    environment = {
        **airflow.environment,
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}/airflow",
        "AIRFLOW__MENDIX__WEBHOOKS": '{"shop": "mendix_webhook_shop"}',
        "AIRFLOW_CONN_MENDIX_WEBHOOK_SHOP": json.dumps({"conn_type": "generic", "password": SECRET}),
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    }
    command = ["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    log = airflow.home / f"api-server-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("airflow"), *command],
            env=environment,
            cwd=airflow.home,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + HEALTHY_WITHIN
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{port}/airflow/api/v2/version", timeout=30).ok:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def variables(airflow: AirflowCommand) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        return dict(database.execute("SELECT key, val FROM variable WHERE key LIKE 'mendix%'"))


def test_real_api_servers_accept_each_webhook_once(airflow, live: Platform):
    parallel = 6  # few enough for the limit of an address
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    live.webhooks.add("shop", f"{url}/airflow/mendix/hooks/shop", validation_secret=SECRET)

    def send(message_id: str | None = None, **how) -> int:
        (sent,) = deliver(live, "shop", message_id=message_id, **how)
        return sent.status

    with api_server(airflow, port):
        assert send("msg_first") == 202
        woken = variables(airflow)
        assert woken.keys() == {"mendix_wakeup", "mendix_wakeup_shop", "mendix_webhooks_received_shop"}
        assert send("msg_first") == 409
        assert send(forged=True) == 401
        assert send(age=600) == 401
        assert send(body="[]") == 400
        assert variables(airflow) == woken
        with ThreadPoolExecutor(parallel) as pool:
            assert sorted(pool.map(send, ["msg_second"] * parallel)) == [202] + [409] * (parallel - 1)
            assert list(pool.map(send, [f"msg_{number}" for number in range(parallel)])) == [202] * parallel
        unknown = requests.post(f"{url}/airflow/mendix/hooks/nope", b"{}", timeout=30)
        assert (unknown.status_code, unknown.text) == (400, "Bad Request")
        stripped = requests.post(f"{url}/mendix/hooks/shop", b"{}", timeout=30)
        assert (stripped.status_code, stripped.text) == (400, "Bad Request")
    with api_server(airflow, port):
        assert [send("msg_first"), send("msg_second"), send("msg_0"), send()] == [409, 409, 409, 202]
    received = json.loads(variables(airflow)["mendix_webhooks_received_shop"])
    assert len(received) == parallel + 3
