"""Real Airflow commands, with a database of their own and a simulated Mendix in real time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import Timeline

from ..conftest import KEY, TOKEN, USER

ROOT = Path(__file__).parent.parent.parent


@dataclass
class AirflowCommand:
    """The `airflow` command, in an environment of its own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it and give what it printed, errors included."""
        return subprocess.run(
            [Path(sys.executable).with_name("airflow"), *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )


@pytest.fixture(scope="session")
def airflow(tmp_path_factory) -> AirflowCommand:
    """Airflow with a fresh database and the example DAGs."""
    home = tmp_path_factory.mktemp("airflow")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    command = AirflowCommand(
        home,
        {
            **inherited,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        },
    )
    migrated = command.run("db", "migrate")
    assert migrated.returncode == 0, migrated.stdout
    return command


@pytest.fixture
def live() -> Platform:
    """A Mendix in real time, whose builds take a few seconds."""
    platform = Platform()
    platform.permissions.add_account(USER, KEY)
    platform.permissions.add_personal_access_token(TOKEN)
    platform.add_app("shop")
    platform.packages.timeline = Timeline.of(seconds=5)
    return platform


@pytest.fixture
def mendix(live, airflow):
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
        del airflow.environment["AIRFLOW_CONN_MENDIX_DEFAULT"]
