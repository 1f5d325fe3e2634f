"""Real Airflow processes and simulated Mendixes in real time: `make system`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import BuildOutcome

from ..airflow_stack.reports import add_table, pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401
from ..airflow_stack.scenario import Scenario, Scenarios
from ..airflow_stack.stack import AirflowStack
from ..secrets_search import Secret
from .release_scenario import ReleaseScenario

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "example_dags"
ON_PUSH = EXAMPLES / "example_mendix_on_push.py"
RELEASE_WITHIN = 420.0


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """All of Airflow, with the example DAGs and our own."""
    stack = AirflowStack(
        tmp_path_factory.mktemp("airflow") / "home",
        # The watchers of that one would poll the Mendix of other tests; `test_events` runs it.
        [*({*EXAMPLES.glob("*.py")} - {ON_PUSH}), *(HERE / "dags").glob("*.py")],
    )
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that releases archive to."""
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="session")
def scenarios(airflow: AirflowStack, archive: Path, pytestconfig: pytest.Config) -> Iterator[Scenarios]:
    """Runs of single tasks, started at the same time; a test waits for its own."""
    scenarios = Scenarios(airflow)
    with ExitStack() as connections:

        def scenario(*arguments: str, **options: object) -> Scenario:
            made = connections.enter_context(Scenario(airflow, *arguments, **options).connected())
            scenarios[made.name] = made
            return made

        release = scenario("release", "example_mendix_archive", "wait_until_succeeded", conn_id="mendix_default")
        old = release.platform.packages.add("shop", version="2.5.3", revision="0badc0de")
        release.start(revision=release.revision, version="2.5.4", archive=archive.as_uri(), old_package_id=old)

        for name, ending in (
            ("build", BuildOutcome.STUCK_BUILDING),
            ("failed_build", BuildOutcome.FAILS_WHILE_BUILDING),
        ):
            build = scenario(name, "system_build", "build", ending=ending)
            build.start(connection=build.conn_id, revision=build.revision)

        for name, dag_id in (
            ("time_out", "system_wait_briefly"),
            ("soft_fail", "system_wait_briefly_or_skip"),
            ("cleared", "system_wait"),
            ("new_key", "system_wait"),
        ):
            wait = scenario(name, dag_id, "wait")
            wait.start(connection=wait.conn_id, package_id=wait.add_unfinished_package())

        yield scenarios
        add_table(pytestconfig, table(airflow, scenarios))


@pytest.fixture(scope="session")
def earlier_secrets() -> list[Secret]:
    """The secrets of runs that ended in an earlier module."""
    return []


@pytest.fixture(scope="module")
def releases(
    airflow: AirflowStack, archive: Path, earlier_secrets: list[Secret], pytestconfig: pytest.Config
) -> Iterator[Scenarios]:
    """Releases, started at the same time."""
    releases = Scenarios(airflow)
    yes = {"approve_acceptance": "Approve", "approve_production": "Approve"}
    no = {**yes, "approve_production": "Reject"}
    with ExitStack() as connections:

        def scenario(name: str, answers: Mapping[str, str]) -> ReleaseScenario:
            made = connections.enter_context(ReleaseScenario(airflow, name, answers).connected())
            releases[name] = made
            return made

        killed = scenario("killed", no)
        # Long enough for the next try to begin while the first start goes on.
        killed.platform.environments.timeline = DeploymentTimeline(
            stopping=0, starting=30, backing_up=0, restoring=0
        )
        killed.kill_after(
            "create_snapshot", "stop_environment", "transport_package", "set_settings", "start_environment"
        )
        scenario("approved", yes)
        scenario("probe_fails", yes).platform.faults.add("bad_gateway", on="/apps/shop/Acceptance/", times=None)
        scenario("start_fails", yes).platform.environments.next_starts.append("DB_SYNC_FAILED")
        scenario("rejected", {"approve_acceptance": "Reject"})
        for made in releases.values():
            made.start(archive=(archive / made.name).as_uri())
        yield releases
        add_table(pytestconfig, table(airflow, releases))
        earlier_secrets += [secret for made in releases.values() for secret in made.secrets]


def table(airflow: AirflowStack, scenarios: Scenarios) -> list[str]:
    """Return the observations as lines of Markdown."""
    return [
        f"Airflow {airflow.api.version()}, SQLite, {os.cpu_count()} cores; healthy after"
        f" {airflow.seconds_to_start:.0f} s. All runs were started at the same time.",
        "",
        "| Case | Task | States seen | Run | Seconds |",
        "| --- | --- | --- | --- | ---: |",
        *(
            f"| {one.name} | `{one.task_id}` | {one.states()} | {one.run_state} | {one.seconds:.0f} |"
            for one in scenarios.values()
        ),
    ]
