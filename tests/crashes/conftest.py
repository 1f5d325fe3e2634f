"""Crashes of real Airflow processes, on PostgreSQL: `make crashes`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..airflow_stack.reports import add_table, pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401
from ..airflow_stack.stack import AirflowStack
from .postgres import Postgres
from .runner import Result, run, table
from .secrets_folder import FOLDER, SecretsFolder
from .triggerers import Triggerers

HERE = Path(__file__).parent
TASK_HEARTBEAT_TIMEOUT = 20
TRIGGERER_THRESHOLD = 8
SCHEDULER_THRESHOLD = 10

SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": str(SCHEDULER_THRESHOLD),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(TASK_HEARTBEAT_TIMEOUT),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(TRIGGERER_THRESHOLD),
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}
"""They let Airflow notice a dead process soon."""


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    postgres = Postgres()
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def airflow(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """All of Airflow, with one triggerer."""
    home = tmp_path_factory.mktemp("airflow") / "home"
    secrets = home / "secrets"
    secrets.mkdir(parents=True)
    settings = {
        **SETTINGS,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
        "AIRFLOW__SECRETS__BACKEND": f"{SecretsFolder.__module__}.{SecretsFolder.__name__}",
        FOLDER: str(secrets),
        "PYTHONPATH": str(HERE.parent.parent),
    }
    stack = AirflowStack(home, (HERE / "dags").glob("*.py"), settings)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def triggerers(airflow: AirflowStack) -> Triggerers:
    """Two triggerers."""
    return Triggerers(airflow)


@pytest.fixture(scope="session")
def results(
    airflow: AirflowStack, database: Postgres, triggerers: Triggerers, request: pytest.FixtureRequest
) -> dict[str, Result]:
    """The results of all cases that were selected, by name."""
    calls = (getattr(item, "callspec", None) for item in request.session.items)
    names = list(dict.fromkeys(call.params["name"] for call in calls if call and "name" in call.params))
    results = run(airflow, triggerers, names)
    heading = (
        f"Airflow {airflow.api.version()}, PostgreSQL {database.version()}, {os.cpu_count()} cores;"
        f" healthy after {airflow.seconds_to_start:.0f} s. A task counts as lost after {TASK_HEARTBEAT_TIMEOUT} s,"
        f" a triggerer after {TRIGGERER_THRESHOLD} s, a scheduler after {SCHEDULER_THRESHOLD} s."
    )
    add_table(request.config, [heading, "", *table(results)])
    return results


@pytest.fixture
def result(results: dict[str, Result], name: str) -> Result:
    """The result of the case of this test."""
    return results[name]
