"""The pytest fixtures that users import, and the example in the documentation as they would copy it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pendulum
import pytest
import requests_mock

from airflow_provider_mendix.api import app_repository, build
from airflow_provider_mendix.client.aiohttp_client import AsyncMendixClient
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import MendixConnectionError, RetiredApiError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.simulator import Timeline
from airflow_provider_mendix.simulator.options import Options

from ..conftest import TaskInstance

pytest_plugins = ["airflow_provider_mendix.simulator.fixtures"]

PAGE = Path(__file__).parents[2] / "docs" / "testing-your-dags.md"
BUILD = {"app_id": "shop", "revision": "9f3ab2c1", "version": "2.5.4"}


@pytest.fixture
def run_context():
    """What Airflow hands to a task."""
    return {"ti": TaskInstance(), "dag_run": SimpleNamespace(start_date=pendulum.from_timestamp(0))}


@pytest.mark.slow
def test_the_example_of_the_documentation_works(tmp_path):
    files = re.findall(r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [name for name, _ in files] == [
        "dags/shop_release.py",
        "tests/conftest.py",
        "tests/test_shop_release.py",
    ]
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["TMPDIR"] = str(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "tests"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert f"{files[2][1].count('def test_')} passed" in ran.stdout


def test_without_mendix_apps_there_is_one(mendix_simulator):
    assert [app.app_id for app in MendixHook().list_apps()] == ["shop"]


class TestApps:
    @pytest.fixture
    def mendix_apps(self):
        return ["plan", "stock"]

    def test_over_loopback(self, mendix_simulator):
        assert [app.app_id for app in MendixHook().list_apps()] == ["plan", "stock"]

    def test_in_process(self, mendix_simulator_in_process):
        assert [app.app_id for app in MendixHook().list_apps()] == ["plan", "stock"]


class TestOptions:
    @pytest.fixture
    def mendix_options(self):
        return Options(team_server="retired")

    @pytest.mark.parametrize("fixture", ["mendix_simulator", "mendix_simulator_in_process"])
    def test_are_those_of_the_simulator(self, fixture, request):
        request.getfixturevalue(fixture)
        with pytest.raises(RetiredApiError):
            MendixHook().list_branches("shop")


class TestBrokenApps:
    @pytest.fixture
    def mendix_apps(self, request):
        return request.getfixturevalue("not_there")

    def test_are_not_taken_for_none(self, request):
        with pytest.raises(pytest.FixtureLookupError, match="not_there"):
            request.getfixturevalue("mendix_simulator")


def test_both_senders_reach_the_loopback_one(mendix_simulator, run_context):
    package_id = MendixStartBuildOperator(task_id="build", **BUILD).execute(run_context)

    async def ask():
        async with AsyncMendixClient(await MendixHook().aget_account()) as client:
            return await client.send(build.get_package("shop", package_id))

    assert asyncio.run(ask()).status == "Succeeded"
    assert len(mendix_simulator.platform.packages) == 1


def test_in_process_a_long_wait_takes_no_time(mendix_simulator_in_process, run_context):
    mendix = mendix_simulator_in_process
    mendix.platform.packages.timeline = Timeline.of(seconds=3600)
    mendix.faults.add("rate_limited", on="get_package", retry_after=600)
    began, really_began = mendix.clock.now(), time.monotonic()
    assert MendixStartBuildOperator(task_id="build", **BUILD).execute(run_context)
    assert mendix.clock.now() - began >= 3600
    assert time.monotonic() - really_began < 60


def test_in_process_hangs_take_no_time_either(mendix_simulator_in_process):
    mendix = mendix_simulator_in_process
    fault = mendix.faults.add("hang", on="list_apps", times=None)
    began = mendix.clock.now()
    with pytest.raises(MendixConnectionError, match="timed out"):
        MendixHook().list_apps()
    assert mendix.clock.now() - began >= 5 * fault.call_count


def test_in_process_only_the_simulator_can_be_reached(mendix_simulator_in_process, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", '{"conn_type": "mendix", "login": "a", "password": "b", "host": "c"}')
    with pytest.raises(requests_mock.NoMockAddress):
        MendixHook("other").list_apps()
    # A sender that goes around `requests` must not reach the real Mendix by this connection.
    assert mendix_simulator_in_process.api_url.endswith(".invalid")


@pytest.mark.parametrize("name", ["mendix_simulator", "mendix_simulator_in_process"])
def test_the_connection_reads_repositories(name, request):
    mendix = request.getfixturevalue(name)
    pushed = mendix.platform.repositories.push("shop", branch="hotfix")
    project_id = mendix.platform.apps["shop"].project_id
    account = MendixHook().get_conn().account
    assert account.base_url(app_repository.APP_REPOSITORY_API) == mendix.repository_url
    with MendixClient(account) as client:
        branch = client.send(app_repository.get_branch(project_id, "branches/hotfix"))
    assert branch.latest_commit.id == pushed
    assert [entry.host for entry in mendix.journal] == ["repository"]


def test_a_test_gets_what_the_fixtures_promise(mendix_simulator):
    assert mendix_simulator.api_url in os.environ["AIRFLOW_CONN_MENDIX_DEFAULT"]
    assert mendix_simulator.repository_url in os.environ["AIRFLOW_CONN_MENDIX_DEFAULT"]
    assert mendix_simulator.files_url == mendix_simulator.platform.cloud.files_url
    assert mendix_simulator.faults is mendix_simulator.platform.faults
    assert mendix_simulator.journal is mendix_simulator.platform.journal


IMPORTS = """
import importlib, pkgutil, sys
import airflow_provider_mendix.simulator as simulator
for module in pkgutil.iter_modules(simulator.__path__):
    if module.name not in ("__main__", "fixtures"):
        importlib.import_module(f"{simulator.__name__}.{module.name}")
assert "pytest" not in sys.modules
import airflow_provider_mendix.simulator.fixtures
assert "airflow" not in sys.modules
assert "requests_mock" not in sys.modules
"""


def test_only_the_fixtures_import_pytest_and_nothing_imports_airflow():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
