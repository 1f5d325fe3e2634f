"""A push starts DAGs on a real Airflow of its own: by polling, by webhook, and whatever dies in between."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from airflow.sdk.timezone import parse

from airflow_provider_mendix.assets.uris import uri_of
from airflow_provider_mendix.simulator.deliveries import deliver
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import Timeline

from ..airflow_stack.reports import add_table
from ..airflow_stack.stack import AirflowStack
from ..conftest import KEY, TOKEN, USER
from .conftest import HERE, ON_PUSH

SECRET = "PMJhiGo1nTL6wlNyZVFh5v9rLZdcLsG2O"
SETTINGS = {
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    "AIRFLOW__MENDIX__REQUESTS_PER_MINUTE": "0",
    "AIRFLOW__MENDIX__WEBHOOKS": json.dumps(dict.fromkeys(("woken", "both", "shop"), "mendix_webhook")),
    "AIRFLOW_CONN_MENDIX_WEBHOOK": json.dumps({"conn_type": "generic", "password": SECRET}),
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
}
APPS = ("polled", "woken", "both", "each")


class Events:
    """A simulated Mendix, and what Airflow makes of the pushes to it."""

    def __init__(self, airflow: AirflowStack, platform: Platform) -> None:
        self.airflow = airflow
        self.platform = platform
        self.measured: list[str] = []

    def push(self, app_id: str) -> str:
        return self.platform.repositories.push(app_id, message="Change something")

    def send_webhook(self, app_id: str) -> float:
        """Send the webhook of the newest push, and return when that began."""
        at = time.time()
        (sent,) = deliver(self.platform, app_id)
        assert sent.status == 202
        return at

    def payloads(self, app_id: str) -> list[dict[str, object]]:
        found = self.airflow.api.asset_events(uri_of("revisions", app_id, "main"))
        return [event["extra"]["payload"] for event in found]

    def wait_for_event(self, app_id: str, revision: str, *, within: float = 60) -> float:
        """Wait for the event with a revision, and return when Airflow has stored it."""
        at: list[float] = []

        def is_there() -> bool:
            for event in self.airflow.api.asset_events(uri_of("revisions", app_id, "main")):
                if revision in str(event["extra"]["payload"]["revisions"]):
                    at.append(parse(event["timestamp"]).timestamp())
            return bool(at)

        self.airflow.wait_until(is_there, f"an event of app {app_id}", within=within)
        return at[0]

    def processed(self, app_id: str) -> list[str]:
        """Return what the runs of an app's DAG have processed so far."""
        api, dag_id = self.airflow.api, f"system_{app_id}"
        return [
            revision
            for run in api.runs(dag_id)
            if run["state"] == "success"
            for revision in api.return_value(dag_id, run["dag_run_id"], "process")
        ]

    def wait_until_processed(self, app_id: str, *revisions: str) -> None:
        """Wait until these revisions have been processed, and check that no other was, and none twice."""
        self.airflow.wait_until(
            lambda: set(revisions) <= set(self.processed(app_id)), f"{app_id} to be processed", within=90
        )
        assert self.processed(app_id) == list(revisions)

    def polls(self, app_id: str) -> int:
        project_id = self.platform.apps[app_id].project_id
        return sum(str(project_id) in entry.path for entry in self.platform.journal.requests("GET"))

    def wait_for_polls(self, app_id: str, count: int, *, since: int | None = None) -> None:
        before = self.polls(app_id) if since is None else since
        self.airflow.wait_until(lambda: self.polls(app_id) >= before + count, f"polls of {app_id}", within=90)

    def report_sections(self) -> list[tuple[str, str]]:
        return self.airflow.report_sections()


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Events]:
    """An Airflow whose watchers have all polled once."""
    platform = Platform(options=Options(team_server="retired"))
    platform.permissions.add_account(USER, KEY)
    platform.permissions.add_personal_access_token(TOKEN)
    for app_id in (*APPS, "shop"):
        platform.add_app(app_id)
    platform.packages.timeline = Timeline.of(seconds=5)
    platform.environments.timeline = DeploymentTimeline(stopping=1, starting=1, backing_up=0, restoring=0)
    with Server(platform) as server:
        fields = {"conn_type": "mendix", "login": USER, "password": KEY, "host": server.api_url}
        extra = {"personal_access_token": TOKEN, "repository_url": server.repository_url}
        connection = json.dumps({**fields, "extra": extra})
        # What an earlier run has archived would be in the way.
        archive = tmp_path_factory.mktemp("archive")
        example = archive / ON_PUSH.name
        example.write_text(ON_PUSH.read_text().replace("file:///tmp/mendix-archive", archive.as_uri()))
        airflow = AirflowStack(
            tmp_path_factory.mktemp("events") / "home",
            [example, *(HERE / "event_dags").glob("*.py")],
            {**SETTINGS, "AIRFLOW_CONN_MENDIX_DEFAULT": connection},
        )
        events = Events(airflow, platform)
        try:
            airflow.start()
            for app_id in ("woken", "both", "shop"):
                url = f"{airflow.api.url}/mendix/hooks/{app_id}"
                platform.webhooks.add(app_id, url, validation_secret=SECRET)
            # The first request loads the receiver.
            events.send_webhook("both")
            for app_id in (*APPS, "shop"):
                events.wait_for_polls(app_id, 1, since=0)
            yield events
        finally:
            airflow.stop()
    add_table(pytestconfig, ["| Events | |", "| --- | --- |", *events.measured])


def test_a_push_is_seen_by_polling_within_the_interval_and_processed_once(events):
    pushed, at = events.push("polled"), time.time()
    seconds = events.wait_for_event("polled", pushed) - at
    events.measured.append(f"| a push, polling every 5 s | event after {seconds:.1f} s |")
    events.wait_for_polls("polled", 3)
    assert len(events.payloads("polled")) == 1
    events.wait_until_processed("polled", pushed)
    assert seconds < 5 + 5


def test_a_webhook_makes_the_event_within_five_seconds(events):
    pushed = events.push("woken")
    sent_at = events.send_webhook("woken")
    seconds = events.wait_for_event("woken", pushed) - sent_at
    events.measured.append(f"| a webhook, polling every hour | event after {seconds:.1f} s |")
    events.wait_until_processed("woken", pushed)
    assert len(events.payloads("woken")) == 1
    assert seconds < 5


def test_with_both_it_is_processed_once(events):
    pushed = events.push("both")
    events.send_webhook("both")
    events.wait_for_event("both", pushed)
    events.wait_for_polls("both", 3)
    assert len(events.payloads("both")) == 1
    events.wait_until_processed("both", pushed)


def test_three_pushes_in_one_second_are_all_processed(events):
    before = events.processed("both")
    pushed = [events.push("both") for _ in range(3)]
    events.send_webhook("both")
    events.wait_for_event("both", pushed[-1])
    events.wait_until_processed("both", *before, *pushed)


def test_a_partitioned_dag_has_one_run_for_each_revision(events):
    pushed = {events.push("each") for _ in range(3)}
    events.airflow.wait_until(lambda: pushed <= set(events.processed("each")), "a run for each", within=90)
    assert len(events.processed("each")) == 3


def test_a_push_while_the_dag_is_paused_is_not_lost(events):
    events.airflow.api.pause("system_polled", is_paused=True)
    idle_since = [events.polls("polled"), time.monotonic()]

    def is_idle() -> bool:
        if events.polls("polled") != idle_since[0]:
            idle_since[:] = events.polls("polled"), time.monotonic()
        return time.monotonic() - idle_since[1] > 15

    events.airflow.wait_until(is_idle, "the watcher to stop", within=90)
    before = events.processed("polled")
    pushed = events.push("polled")
    events.airflow.api.pause("system_polled", is_paused=False)
    events.wait_for_event("polled", pushed, within=90)
    events.wait_until_processed("polled", *before, pushed)


def test_a_triggerer_that_dies_between_event_and_cursor_repeats_the_event_with_its_id(events):
    """A second triggerer takes the watcher over."""
    events.airflow.launch("triggerer 2")
    before = events.processed("polled")
    known = len(events.payloads("polled"))
    pushed = events.push("polled")
    events.wait_for_event("polled", pushed)
    for process in events.airflow.kill("triggerer"):
        process.kill()
    died = time.monotonic()
    events.airflow.wait_until(lambda: len(events.payloads("polled")) > known + 1, "the event again", within=120)
    seconds = time.monotonic() - died
    events.measured.append(f"| a triggerer killed before its cursor was saved | again after {seconds:.0f} s |")
    first, again = events.payloads("polled")[known:]
    assert again == first
    later = events.push("polled")
    events.wait_for_event("polled", later)
    assert len(events.payloads("polled")) == known + 3
    # A consumer that asks what is pending does nothing twice.
    events.wait_until_processed("polled", *before, pushed, later)


def test_the_example_builds_archives_and_deploys_what_is_pushed(events):
    api, platform = events.airflow.api, events.platform
    pushed = events.push("shop")
    events.send_webhook("shop")

    def has_run(dag_id: str) -> bool:
        return [run["state"] for run in api.runs(dag_id)] == ["success"]

    events.airflow.wait_until(lambda: has_run("example_mendix_on_push"), "the build", within=240)
    events.send_webhook("shop")
    events.airflow.wait_until(lambda: has_run("example_mendix_on_package"), "the deployment", within=240)
    (package,) = platform.packages.values()
    assert package.version.endswith(pushed[:8])
    assert platform.environments["shop", "Test"].package_id == package.package_id
