"""Waits for environments."""

from __future__ import annotations

import json

import pytest

from airflow_provider_mendix.api.build import DownloadUrl, Package
from airflow_provider_mendix.api.deploy import Environment, StartJob
from airflow_provider_mendix.exceptions import EnvironmentNotFoundError, InvalidInputError
from airflow_provider_mendix.waits.base import Outcome
from airflow_provider_mendix.waits.environment import EnvironmentWait, StartJobWait, TransportWait

from .test_revision import drive

PACKAGE = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
RUNNING = EnvironmentWait("calc", "Test", "Running")
THERE = TransportWait("calc", "Test", PACKAGE)
STARTED = StartJobWait("calc", "Test", "j-1")
TEST = Environment("Test", "Stopped")


@pytest.mark.parametrize(
    ("wait", "target"),
    [
        (RUNNING, "/api/1/apps/calc/environments/Test"),
        (THERE, "/api/1/apps/calc/environments/Test/package"),
        (STARTED, "/api/1/apps/calc/environments/Test/start/j-1"),
    ],
)
def test_what_they_poll(wait, target):
    assert wait.call().target == target
    assert wait.batch_key == wait.shared_call().identity == wait.call().identity
    assert wait.extract("the response") == "the response"


def test_waits_that_poll_the_same_share_the_response():
    assert RUNNING.batch_key == EnvironmentWait("calc", "Test", "Stopped", model_version="2.5.4.63").batch_key
    assert RUNNING.batch_key != EnvironmentWait("calc", "test", "Running").batch_key


class TestCheckFirst:
    def test_the_name_and_the_version_are_looked_up(self):
        wait = EnvironmentWait("calc", "Test", "Running", PACKAGE, check_first=True)
        targets, found = drive(wait.resolve(), [TEST], Package(PACKAGE, "Succeeded", version="2.5.4.63"))
        assert targets == ["/api/1/apps/calc/environments", f"/api/1/apps/calc/packages/{PACKAGE}"]
        assert found == EnvironmentWait("calc", "Test", "Running", PACKAGE, model_version="2.5.4.63")
        assert drive(found.resolve()) == ([], found)

    @pytest.mark.parametrize("wait", [EnvironmentWait("calc", "TEST", "Running", check_first=True)])
    def test_a_wrong_name_lists_the_right_ones(self, wait):
        with pytest.raises(EnvironmentNotFoundError, match="'Test'"):
            drive(wait.resolve(), [TEST])

    def test_a_transport_needs_the_name_only(self):
        wait = TransportWait("calc", "Test", PACKAGE, check_first=True)
        assert drive(wait.resolve(), [TEST]) == (["/api/1/apps/calc/environments"], THERE)

    def test_a_package_without_a_version_cannot_be_seen_to_run(self):
        wait = EnvironmentWait("calc", "Test", "Running", PACKAGE, check_first=True)
        with pytest.raises(InvalidInputError, match="has no version"):
            drive(wait.resolve(), [TEST], Package(PACKAGE, "Succeeded"))

    @pytest.mark.parametrize("wait", [RUNNING, THERE, STARTED])
    def test_an_operator_has_checked_already(self, wait):
        assert drive(wait.resolve()) == ([], wait)


@pytest.mark.parametrize("status", ["Stopped", "Empty", "running", "Starting", ""])
def test_another_status_means_not_yet(status):
    assert RUNNING.judge(Environment("Test", status)) == Outcome(status)


def test_the_status_and_the_version():
    wait = EnvironmentWait("calc", "Test", "Running", model_version="2.5.4.63")
    older = wait.judge(Environment("Test", "Running", model_version="2.5.3.62"))
    assert older == Outcome("Running, with version 2.5.3.62")
    assert wait.judge(Environment("Test", "Running")) == Outcome("Running, with version unknown")
    done = wait.judge(Environment("Test", "Running", url="https://calc", model_version="2.5.4.63"))
    assert done.done
    assert done.result == {
        "environment": "Test",
        "status": "Running",
        "url": "https://calc",
        "model_version": "2.5.4.63",
    }


def test_the_package_on_an_environment():
    assert not THERE.judge(Package(package_id="another", status="Succeeded")).done
    link = DownloadUrl(location="https://canary", ttl=900)
    done = THERE.judge(Package(PACKAGE, "Succeeded", url=link))
    assert done.done
    assert (done.result["package_id"], done.result["environment"]) == (PACKAGE, "Test")
    assert "canary" not in json.dumps(done.result)


@pytest.mark.parametrize(("status", "done"), [("Starting", False), ("Started", True), ("Warming", False)])
def test_a_start_job(status, done):
    assert STARTED.judge(StartJob(status)) == Outcome(status, done=done)
