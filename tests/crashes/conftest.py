"""Real crashes of real Airflow processes, on PostgreSQL. Collected only if asked for: `make crashes`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .postgres import Postgres
from .runner import Result, run, table
from .stack import SCHEDULER_THRESHOLD, TASK_HEARTBEAT_TIMEOUT, TRIGGERER_THRESHOLD, CrashStack

HERE = Path(__file__).parent

_TABLE = pytest.StashKey[list[str]]()


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """They take minutes, so that a run of all tests leaves them out."""
    named = (config.invocation_params.dir / argument.partition("::")[0] for argument in config.args)
    return None if any(path.resolve().is_relative_to(HERE) for path in named) else True


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """A PostgreSQL."""
    postgres = Postgres()
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def airflow(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashStack]:
    """All of Airflow, with two triggerers."""
    stack = CrashStack(tmp_path_factory.mktemp("airflow") / "home", (HERE / "dags").glob("*.py"), database)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def results(airflow: CrashStack, request: pytest.FixtureRequest) -> dict[str, Result]:
    """What became of the cases whose tests were asked for."""
    calls = (getattr(item, "callspec", None) for item in request.session.items)
    names = list(dict.fromkeys(call.params["name"] for call in calls if call and "name" in call.params))
    results = run(airflow, names)
    request.config.stash[_TABLE] = [
        f"Airflow {airflow.api.version()}, PostgreSQL {airflow.database.version()}, {os.cpu_count()} cores;"
        f" healthy after {airflow.seconds_to_start:.0f} s. A task counts as lost after {TASK_HEARTBEAT_TIMEOUT} s,"
        f" a triggerer after {TRIGGERER_THRESHOLD} s, a scheduler after {SCHEDULER_THRESHOLD} s.",
        "",
        *table(airflow, results),
    ]
    return results


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
    if report.failed and (results := fixtures.get("results")) and (name := fixtures.get("name")):
        scene = results[name].scene
        calls = [f"{entry.at:.1f} {entry.method} {entry.path} {entry.status}" for entry in scene.platform.journal]
        report.sections.append((f"Mendix of {name}", "\n".join(calls[-60:])))
        report.sections.append((f"{name}: {scene.states()}", scene.log()[-12000:]))
    return report
