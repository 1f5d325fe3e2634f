"""Waiting for a status, for a package on an environment, or for a package to run there."""

from __future__ import annotations

from functools import partial

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_mendix.exceptions import EnvironmentNotFoundError, PackageNotFoundError
from airflow_provider_mendix.sensors.environment import MendixEnvironmentSensor

from ..conftest import SENSOR_MODES
from ..deploying import put

NOWHERE = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"


@pytest.fixture
def wait(run_sensor, server):
    """Run an environment sensor to its end in any mode."""
    return partial(run_sensor, MendixEnvironmentSensor, app_id="shop", environment="Test")


@pytest.fixture
def later(platform, clock):
    """Return a function that changes the environment after some seconds."""

    def change(seconds, **fields):
        platform.environments["shop", "Test"].change_at(clock.now() + seconds, **fields)

    return change


@pytest.mark.parametrize("mode", SENSOR_MODES)
class TestAllModesAlike:
    def test_a_status(self, mode, wait, later, platform, clock):
        package = put(platform)
        later(100, running_package_id=package, model_version="1.0.0.9f3ab2c1")
        began = clock.now()
        result = wait(mode, status="Running")
        assert (result["environment"], result["status"]) == ("Test", "Running")
        assert result["model_version"] == "1.0.0.9f3ab2c1"
        assert set(result) == {"environment", "status", "url", "model_version"}
        assert 100 <= clock.now() - began <= 130

    def test_a_package(self, mode, wait, later, platform, clock):
        package = put(platform, version="2.0.0")
        put(platform, version=None)
        later(100, package_id=package)
        began = clock.now()
        result = wait(mode, package_id=package)
        assert (result["environment"], result["package_id"]) == ("Test", package)
        assert result["version"] == "2.0.0.9f3ab2c1"
        assert 100 <= clock.now() - began <= 130

    def test_a_package_that_runs(self, mode, wait, later, platform, clock):
        package = put(platform, version="2.0.0")
        put(platform, running=True)
        later(50, package_id=package)
        later(100, running_package_id=None, model_version=None)
        later(200, running_package_id=package, model_version="2.0.0.9f3ab2c1")
        began = clock.now()
        result = wait(mode, status="Running", package_id=package)
        assert (result["status"], result["package_id"]) == ("Running", package)
        assert 200 <= clock.now() - began <= 230

    @pytest.mark.parametrize("wanted", [{"status": "Stopped"}, {"package_id": NOWHERE}])
    def test_it_times_out(self, mode, wanted, wait, platform):
        put(platform, running=True)
        with pytest.raises(AirflowSensorTimeout):
            wait(mode, timeout=300, **wanted)

    def test_it_times_out_while_another_version_runs(self, mode, wait, platform):
        package = put(platform, version="2.0.0")
        put(platform, running=True)
        with pytest.raises(AirflowSensorTimeout):
            wait(mode, status="Running", package_id=package, timeout=300)

    def test_with_soft_fail_a_time_out_skips(self, mode, wait, platform):
        put(platform)
        with pytest.raises(AirflowSkipException):
            wait(mode, status="Running", timeout=300, soft_fail=True)

    def test_a_wrong_name_lists_the_right_ones(self, mode, wait, platform):
        with pytest.raises(AirflowFailException, match="'Test', 'Acceptance'.*Write 'Test'") as failed:
            wait(mode, environment="TEST", status="Running")
        assert isinstance(failed.value.__context__, EnvironmentNotFoundError)

    def test_a_missing_package_ends_it(self, mode, wait, platform):
        with pytest.raises(AirflowFailException) as failed:
            wait(mode, status="Running", package_id=NOWHERE)
        assert isinstance(failed.value.__context__, PackageNotFoundError)

    def test_a_transient_error_means_not_yet(self, mode, wait, platform):
        put(platform, running=True)
        with platform.faults.add("bad_gateway", on="GET", times=20):
            assert wait(mode, status="Running", timeout=3600)["status"] == "Running"

    @pytest.mark.parametrize(
        ("wanted", "said"),
        [
            ({"status": "running"}, "none of Empty, Stopped, Running"),
            ({"status": "None"}, "status is empty"),
            ({"package_id": ""}, "package_id is empty"),
            ({"status": "Stopped", "package_id": NOWHERE}, "one after the other"),
            ({"environment": "", "status": "Running"}, "environment is empty"),
        ],
    )
    def test_a_wrong_value_is_refused_before_any_request(self, mode, wanted, said, wait, platform):
        with pytest.raises(AirflowFailException, match=said):
            wait(mode, **wanted)
        assert not platform.journal


def test_it_says_which_version_runs_instead(wait, platform):
    package = put(platform, version="2.0.0")
    put(platform, running=True)
    with pytest.raises(AirflowSensorTimeout, match=r"Last state: Running, with version 1\.0\.0\.9f3ab2c1"):
        wait("deferrable", status="Running", package_id=package, timeout=300)


def test_it_needs_something_to_wait_for():
    with pytest.raises(ValueError, match="Give status"):
        MendixEnvironmentSensor(task_id="wait", app_id="shop", environment="Test")


def test_everything_a_user_would_template_is_templated():
    names = ("app_id", "environment", "status", "package_id", "mendix_conn_id")
    sensor = MendixEnvironmentSensor(task_id="wait", **{name: f"{{{{ {name} }}}}" for name in names})
    sensor.render_template_fields({name: f"the {name}" for name in names})
    assert [getattr(sensor, name) for name in names] == [f"the {name}" for name in names]
