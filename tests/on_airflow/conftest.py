"""The `airflow` command with a database of its own, and a simulated Mendix in real time."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import Timeline

from ..airflow_stack.commands import AirflowCommand
from ..conftest import KEY, TOKEN, USER


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowCommand]:
    """Airflow with a new database and the example DAGs."""
    settings = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
    with AirflowCommand(tmp_path_factory.mktemp("airflow"), settings) as command:
        migrated = command.run("db", "migrate")
        assert migrated.returncode == 0, migrated.stdout
        yield command


@pytest.fixture
def live() -> Platform:
    """A Mendix in real time, whose builds take a second; its Team Server API is retired."""
    platform = Platform(options=Options(team_server="retired"))
    platform.permissions.add_account(USER, KEY)
    platform.permissions.add_personal_access_token(TOKEN)
    platform.add_app("shop")
    platform.packages.timeline = Timeline.of(seconds=1)
    return platform


def team_server_requests(platform: Platform) -> list[str]:
    """Return the paths of the requests to the Team Server API."""
    return [entry.path for entry in platform.journal if entry.host == "api" and "/branches" in entry.path]


@pytest.fixture
def mendix(live: Platform, airflow: AirflowCommand) -> Iterator[Server]:
    """That Mendix on loopback; Airflow's connection `mendix_default` leads to it."""
    with Server(live) as server:
        extra = {"personal_access_token": TOKEN, "repository_url": server.repository_url}
        connection = {
            "conn_type": "mendix",
            "login": USER,
            "password": KEY,
            "host": server.api_url,
            "extra": extra,
        }
        airflow.environment["AIRFLOW_CONN_MENDIX_DEFAULT"] = json.dumps(connection)
        yield server
        assert not team_server_requests(live), "With a token, nothing asks the Team Server API."
        del airflow.environment["AIRFLOW_CONN_MENDIX_DEFAULT"]
