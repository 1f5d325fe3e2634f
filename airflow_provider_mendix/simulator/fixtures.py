"""pytest fixtures for tests of DAGs. No other module of this package imports pytest.

Import them in a ``conftest.py`` or a test, or write there
``pytest_plugins = ["airflow_provider_mendix.simulator.fixtures"]``.

A fixture of yours named ``mendix_apps`` returns the subdomains of the apps; without it there is ``shop``. One
named ``mendix_options`` returns the :class:`~airflow_provider_mendix.simulator.options.Options`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TypeVar, cast

import msgspec
import pytest

from airflow_provider_mendix.clock import Clock, ManualClock, SystemClock, use_clock
from airflow_provider_mendix.simulator.faults.registry import Faults
from airflow_provider_mendix.simulator.inprocess import install
from airflow_provider_mendix.simulator.journal import Journal
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import Timeline

_USER = "tester@example.com"
_KEY = "api-key-of-the-tester"
_TOKEN = "token-of-the-tester"  # noqa: S105
_IN_PROCESS_URL = "https://mendix.simulator.invalid"
_IN_PROCESS_REPOSITORY_URL = "https://repository.simulator.invalid"

T = TypeVar("T")


class MendixSimulator(msgspec.Struct, frozen=True):
    """What the fixtures return.

    :param platform: the simulated Mendix: its apps, its packages, how long builds take and how they end.
    :param api_url: base URL of its APIs, as in the Airflow connection ``mendix_default``.
    :param files_url: base URL of its file host.
    :param repository_url: base URL of the host of its App Repository API, as in the connection.
    """

    platform: Platform
    api_url: str
    files_url: str
    repository_url: str

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.platform.faults

    @property
    def journal(self) -> Journal:
        """Every request so far."""
        return self.platform.journal

    @property
    def clock(self) -> Clock:
        """The clock by which builds proceed."""
        return self.platform.clock


@pytest.fixture
def mendix_simulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MendixSimulator]:
    """A Mendix on loopback in real time, and the Airflow connection ``mendix_default`` to it.

    It works for tasks on a worker and in a triggerer, in this process and in others. Builds and deployments take
    no time, unless the test sets another ``platform.packages.timeline`` or ``platform.environments.timeline``.
    """
    platform = _platform(request, SystemClock())
    platform.packages.timeline = Timeline.of(0)
    platform.environments.timeline = DeploymentTimeline.of(0)
    with Server(platform) as server:
        _set_connection(monkeypatch, server.api_url, server.repository_url)
        yield MendixSimulator(platform, server.api_url, server.files_url, server.repository_url)


@pytest.fixture
def mendix_simulator_in_process(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MendixSimulator]:
    """A Mendix behind `requests-mock`, and the Airflow connection ``mendix_default`` to it.

    Its clock moves only when code of this package sleeps, and then no real time passes. It is for tasks that wait
    on the worker: the triggerer's requests do not go through `requests`.
    """
    import requests_mock

    clock = ManualClock(time.time())
    platform = _platform(request, clock)
    with use_clock(clock), requests_mock.Mocker() as mocker:
        install(platform, mocker, api_url=_IN_PROCESS_URL, repository_url=_IN_PROCESS_REPOSITORY_URL)
        _set_connection(monkeypatch, _IN_PROCESS_URL, _IN_PROCESS_REPOSITORY_URL)
        yield MendixSimulator(platform, _IN_PROCESS_URL, platform.cloud.files_url, _IN_PROCESS_REPOSITORY_URL)


def _platform(request: pytest.FixtureRequest, clock: Clock) -> Platform:
    platform = Platform(clock, options=_fixture(request, "mendix_options", Options()))
    platform.permissions.add_account(_USER, _KEY)
    platform.permissions.add_personal_access_token(_TOKEN)
    for app_id in _fixture(request, "mendix_apps", ("shop",)):
        platform.add_app(app_id)
    return platform


def _fixture(request: pytest.FixtureRequest, name: str, default: T) -> T:
    """Return the value of a user's fixture, looked up by name: an imported fixture cannot request it."""
    try:
        return cast("T", request.getfixturevalue(name))
    except pytest.FixtureLookupError as error:
        if error.argname != name:
            raise
        return default


def _set_connection(monkeypatch: pytest.MonkeyPatch, url: str, repository_url: str) -> None:
    # The time limit is short, so that a request that hangs does not delay a test by a minute.
    urls = {"repository_url": repository_url, "webhooks_url": repository_url}
    extra = {"timeout": 5, "personal_access_token": _TOKEN, **urls}
    connection = {"conn_type": "mendix", "login": _USER, "password": _KEY, "host": url, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MENDIX_DEFAULT", json.dumps(connection))
