"""The nightly DAG, several nights, for twenty apps: the journal of the simulated Mendix shows what is built."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack

import pytest

from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import Timeline

from ..airflow_stack.commands import AirflowCommand
from ..conftest import KEY, TOKEN, USER

APPS = [f"app-{number:02}" for number in range(1, 21)]
FAULTS = [
    ("reply_lost", {"on": "start_build", "times": 2}),
    ("bad_gateway", {"on": "repository", "times": 3}),
    ("rate_limited", {"on": "list_packages", "times": 2, "retry_after": 1}),
    ("truncated_json", {"on": "get_repository_branch", "times": 1}),
    ("server_error", {"on": "list_packages", "times": 1, "after": 7}),
    ("reply_lost", {"on": "get_app", "times": 2}),
    ("dropped_description", {"on": "start_build", "times": 1, "after": 5}),
]


@pytest.fixture
def nightly(tmp_path):
    """Run the DAG once, and return the number of builds of each app."""
    platform = Platform(options=Options(team_server="retired"))
    platform.permissions.add_account(USER, KEY)
    platform.permissions.add_personal_access_token(TOKEN)
    platform.packages.timeline = Timeline.of(seconds=0)
    for number, app_id in enumerate(APPS):
        platform.add_app(app_id, repository="svn" if number % 4 == 0 else "git")

    conf = {"apps": APPS, "archive": (tmp_path / "archive").as_uri()}

    def run() -> Counter[str]:
        seen = len(platform.journal)
        ran = airflow.run("dags", "test", "example_mendix_nightly", "--conf", json.dumps(conf))
        assert ran.returncode == 0, ran.stdout
        posts = [entry for entry in platform.journal[seen:] if entry.method == "POST"]
        return Counter(entry.path.split("/")[4] for entry in posts)

    with ExitStack() as connections:
        server = connections.enter_context(Server(platform))
        connection = {
            "conn_type": "mendix",
            "login": USER,
            "password": KEY,
            "host": server.api_url,
            "extra": {"personal_access_token": TOKEN, "repository_url": server.repository_url},
        }
        settings = {"AIRFLOW_CONN_MENDIX_DEFAULT": json.dumps(connection)}
        airflow = connections.enter_context(AirflowCommand(tmp_path, settings))
        migrated = airflow.run("db", "migrate")
        assert migrated.returncode == 0, migrated.stdout
        run.platform = platform
        yield run


@pytest.mark.parametrize("faults", [[], FAULTS], ids=["all-is-well", "faults"])
def test_twenty_apps_are_built_once_and_then_only_what_has_changed(nightly, faults):
    active = [nightly.platform.faults.add(kind, **parameters) for kind, parameters in faults]
    assert nightly() == Counter(APPS)
    assert {package.app_id for package in nightly.platform.packages.values()} == set(APPS)
    assert [fault.call_count for fault in active] == [parameters["times"] for _, parameters in faults]

    assert nightly() == Counter()

    newest = nightly.platform.repositories.push("app-06")
    assert nightly() == Counter({"app-06": 1})
    (built,) = (entry.body for entry in nightly.platform.journal.requests("POST")[-1:])
    assert (built["Revision"], built["Version"]) == (newest, "0.0.2")
