"""No trigger blocks the event loop of the triggerer: it would block all other triggers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline
from airflow_provider_mendix.simulator.wire import Reply
from airflow_provider_mendix.triggers.wait import MendixWaitTrigger
from airflow_provider_mendix.waits.package import PackageWait
from airflow_provider_mendix.waits.poll_state import PollState

from ..conftest import KEY, USER

pytestmark = pytest.mark.slow

PROBE = Path(__file__).with_name("loop_probe.py")
TRIES = 5


@pytest.fixture
def live():
    """A Mendix in real time."""
    platform = Platform()
    platform.permissions.add_account(USER, KEY)
    for app_id in ("shop", "html", "truncated"):
        platform.add_app(app_id)
    platform.packages.timeline = Timeline.of(seconds=0.5)
    with Server(platform) as server:
        yield platform, server


def row(package_id, conn_id="mendix_default", app_id="shop", timeout=60.0, outage_tolerance=900.0):
    """Return the row of a trigger that polls often enough for a test."""
    state = PollState.begin(time.time(), poll_interval=0.1, timeout=timeout, outage_tolerance=outage_tolerance)
    wait = PackageWait(app_id, package_id)
    return MendixWaitTrigger(mendix_conn_id=conn_id, wait=wait.to_json(), poll_state=state.to_json()).serialize()


def probe(rows, server, **connections):
    """Run rows in a new process; by default the connection leads to the server."""
    environment = {**os.environ, "PYTHONPATH": str(PROBE.parent.parent.parent)}
    for conn_id, password in {"mendix_default": KEY, **connections}.items():
        values = {"conn_type": "mendix", "login": USER, "password": password, "host": server.api_url}
        environment[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(values)
    ran = subprocess.run(
        [sys.executable, str(PROBE)],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def probe_until_quiet(make_rows, server, **connections):
    """Probe several times: a busy machine may delay one run, a blocking call delays every run."""
    for _ in range(TRIES):
        report = probe(make_rows(), server, **connections)
        if not report["slow"]:
            break
    return report


def test_no_path_of_the_trigger_blocks_the_loop(live):
    platform, server = live

    def start(ending, app_id="shop"):
        return platform.packages.add(
            app_id, version="2.5.4", revision="9f3ab2c1", steps=ending.steps(platform.packages.timeline)
        )

    answer = platform.handle
    broken = {}

    def handle(request):
        for package_id, reply in broken.items():
            if package_id in request.path:
                return reply
        return answer(request)

    platform.handle = handle

    def rows():
        broken.clear()
        # Each is the only one of its app: a list of packages would show it, too.
        html, truncated = (start(BuildOutcome.SUCCEEDS, app_id) for app_id in ("html", "truncated"))
        broken[html] = Reply(502, {"Content-Type": "text/html"}, b"<html>" + b"x" * 1_000_000)
        broken[truncated] = Reply(200, {"Content-Type": "application/json"}, b'[{"PackageId": "' * 10_000)
        return [
            row(start(BuildOutcome.SUCCEEDS)),
            row(start(BuildOutcome.UNKNOWN_STATUS)),
            row(start(BuildOutcome.FAILS_WHILE_BUILDING)),
            row("00000000-0000-4000-8000-000000000000"),
            row(start(BuildOutcome.STUCK_BUILDING), timeout=1.0),
            row(html, app_id="html", outage_tolerance=0.5),
            row(truncated, app_id="truncated", outage_tolerance=0.5),
            row(start(BuildOutcome.SUCCEEDS), conn_id="wrong_key"),
            row(start(BuildOutcome.SUCCEEDS), conn_id="nowhere", outage_tolerance=0.5),
        ]

    report = probe_until_quiet(rows, server, wrong_key="another-key")

    ends = [event["error"]["type"] if "error" in event else event["ended"] for (event,) in report["events"]]
    assert ends == [
        "success",
        "success",
        "PackageFailedError",
        "PackageNotFoundError",
        "WaitTimeoutError",
        "OutageError",
        "OutageError",
        "UnauthorizedError",
        "OutageError",
    ]
    assert report["lookups"] == []
    assert report["slow"] == []


class BlockingTrigger(BaseTrigger):
    """Blocks the loop with a sleep and a synchronous lookup."""

    def serialize(self):
        return "tests.triggers.test_event_loop.BlockingTrigger", {}

    async def run(self):
        time.sleep(0.06)  # noqa: ASYNC251
        MendixHook().get_conn()
        yield TriggerEvent({})


def test_the_probe_finds_what_blocks(live):
    _, server = live
    report = probe([BlockingTrigger().serialize()], server)
    assert report["slow"]
    assert any("BaseHook.get_connection" in lookup for lookup in report["lookups"])
    assert any("Connection.extra_dejson" in lookup for lookup in report["lookups"])
