"""Real Airflow processes and simulated Mendixes in real time. Collected only if asked for: `make system`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import Ending

from ..secrets_search import Secret
from .deploying import DeployScene
from .scene import Scene, Scenes
from .stack import AirflowStack

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "example_dags"
RELEASE_WITHIN = 420.0

_TABLE = pytest.StashKey[list[str]]()


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """They take minutes, so that a run of all tests leaves them out."""
    named = (config.invocation_params.dir / argument.partition("::")[0] for argument in config.args)
    return None if any(path.resolve().is_relative_to(HERE) for path in named) else True


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """All of Airflow, with the example DAGs and our own."""
    stack = AirflowStack(
        tmp_path_factory.mktemp("airflow") / "home",
        [*EXAMPLES.glob("*.py"), *(HERE / "dags").glob("*.py")],
    )
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the release goes."""
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="session")
def scenes(airflow: AirflowStack, archive: Path, pytestconfig: pytest.Config) -> Iterator[Scenes]:
    """All runs, started at once; a test waits for its own."""
    scenes = Scenes(airflow)
    with ExitStack() as open_scenes:

        def scene(*arguments: str, **options: object) -> Scene:
            made = open_scenes.enter_context(Scene(airflow, *arguments, **options).connected())
            scenes[made.name] = made
            return made

        release = scene("release", "example_mendix_archive", "wait_until_succeeded", conn_id="mendix_default")
        old = release.platform.add_package("shop", version="2.5.3", revision="0badc0de")
        release.start(revision=release.revision, version="2.5.4", archive=archive.as_uri(), old_package_id=old)

        for name, ending in (
            ("build", Ending.STUCK_BUILDING),
            ("failed_build", Ending.FAILS_WHILE_BUILDING),
        ):
            build = scene(name, "system_build", "build", ending=ending)
            build.start(connection=build.conn_id, revision=build.revision)

        for name, dag_id in (
            ("time_out", "system_wait_briefly"),
            ("soft_fail", "system_wait_briefly_or_skip"),
            ("cleared", "system_wait"),
            ("new_key", "system_wait"),
        ):
            wait = scene(name, dag_id, "wait")
            wait.start(connection=wait.conn_id, package_id=wait.add_unfinished_package())

        yield scenes
        pytestconfig.stash.setdefault(_TABLE, []).extend(["", *table(airflow, scenes)])


@pytest.fixture(scope="session")
def more_secrets() -> list[Secret]:
    """What the runs that were over before have known."""
    return []


@pytest.fixture(scope="module")
def releases(
    airflow: AirflowStack, archive: Path, more_secrets: list[Secret], pytestconfig: pytest.Config
) -> Iterator[Scenes]:
    """Releases, all started at once."""
    releases = Scenes(airflow)
    yes = {"approve_acceptance": "Approve", "approve_production": "Approve"}
    no = {**yes, "approve_production": "Reject"}
    with ExitStack() as open_scenes:

        def scene(name: str, answers: dict[str, str]) -> DeployScene:
            made = open_scenes.enter_context(DeployScene(airflow, name, answers).connected())
            releases[name] = made
            return made

        killed = scene("killed", no)
        # So long that the next try comes while the first start goes on.
        killed.platform.deployment = DeploymentTimeline(stopping=0, starting=30, backing_up=0, restoring=0)
        killed.kill_after("create_snapshot", "stop_environment", "transport_package", "start_environment")
        scene("approved", yes)
        scene("probe_fails", yes).platform.faults.add("bad_gateway", on="/apps/shop/Acceptance/", times=None)
        scene("start_fails", yes).platform.next_starts.append("DB_SYNC_FAILED")
        scene("rejected", {"approve_acceptance": "Reject"})
        for made in releases.values():
            made.start(archive=(archive / made.name).as_uri())
        yield releases
        pytestconfig.stash.setdefault(_TABLE, []).extend(["", *table(airflow, releases)])
        more_secrets += [secret for made in releases.values() for secret in made.secrets]


def table(airflow: AirflowStack, scenes: Scenes) -> list[str]:
    """Say what was seen, in Markdown."""
    return [
        f"Airflow {airflow.api.version()}, SQLite, {os.cpu_count()} cores; healthy after"
        f" {airflow.seconds_to_start:.0f} s. All runs were started at the same time.",
        "",
        "| Case | Task | States seen | Run | Seconds |",
        "| --- | --- | --- | --- | ---: |",
        *(
            f"| {scene.name} | `{scene.task_id}` | {scene.states()} | {scene.run_state} | {scene.seconds:.0f} |"
            for scene in scenes.values()
        ),
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    if lines := config.stash.get(_TABLE, None):
        terminalreporter.section("what was seen")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs beside a failure."""
    report = yield
    fixtures = getattr(item, "funcargs", {})
    if report.failed and (airflow := fixtures.get("airflow")):
        report.sections.append(("Airflow's processes", airflow.ends_of_logs()))
    if report.failed and (scenes := fixtures.get("scenes") or fixtures.get("releases")):
        for scene in scenes.values():
            report.sections.append((f"{scene.name}: {scene.states()}", scene.log()[-4000:]))
    return report
