from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_mendix.exceptions import UnauthorizedError
from airflow_provider_mendix.sensors.package import MendixPackageSensor
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import Reply

from ..conftest import SENSOR_MODES, USER


@pytest.fixture
def run_sensor(run_sensor, server):
    """Run a package sensor to its end in any mode."""
    return partial(run_sensor, MendixPackageSensor, app_id="shop")


@pytest.fixture
def build(platform):
    """Start a build with a given outcome, and return its package id."""

    def start(ending=BuildOutcome.SUCCEEDS):
        return platform.packages.add(
            "shop", version="2.5.4", revision="9f3ab2c1", steps=ending.steps(platform.packages.timeline)
        )

    return start


@pytest.mark.parametrize("mode", SENSOR_MODES)
class TestAllModesAlike:
    def test_success_returns_the_package(self, mode, run_sensor, build, platform):
        package_id = build()
        assert run_sensor(mode, package_id=package_id) == {
            "package_id": package_id,
            "name": "main-2.5.4.9f3ab2c1.mda",
            "version": "2.5.4.9f3ab2c1",
            "status": "Succeeded",
            "size": len(platform.packages.content(package_id)),
            "creation_date": "2023-11-14T22:13:20+00:00",
            "expiry_date": None,
            # In this mode each poll is a process of its own.
            "phases": {} if mode == "reschedule" else {"building": 60.0},
        }

    def test_it_tells_when_mendix_deletes_the_package(self, mode, run_sensor, build, platform, caplog, capsys):
        caplog.set_level("INFO")
        platform.cloud.options = Options(package_lifetime=15 * 24 * 3600.0)
        assert run_sensor(mode, package_id=build())["expiry_date"] == "2023-11-29T22:13:20+00:00"
        assert (
            "unless it is deployed, Mendix deletes it on 2023-11-29 22:13:20 UTC"
            in caplog.text + capsys.readouterr().out
        )

    def test_an_id_in_upper_case_is_the_same(self, mode, run_sensor, build):
        package_id = build()
        assert run_sensor(mode, package_id=package_id.upper())["package_id"] == package_id

    @pytest.mark.parametrize("interval", [5, 30])
    def test_it_polls_at_its_interval(self, mode, interval, run_sensor, build, platform):
        run_sensor(mode, package_id=build(), poke_interval=interval)
        times = [entry.at for entry in platform.journal.requests("GET")]
        assert [round(later - sooner) for sooner, later in pairwise(times)] == [interval] * (90 // interval)

    def test_a_failed_package_fails_the_task(self, mode, run_sensor, build):
        package_id = build(BuildOutcome.FAILS_WHILE_BUILDING)
        with pytest.raises(AirflowFailException, match=package_id):
            run_sensor(mode, package_id=package_id)

    def test_a_failed_package_skips_the_task_with_soft_fail(self, mode, run_sensor, build, capsys):
        package_id = build(BuildOutcome.FAILS_WHILE_BUILDING)
        with pytest.raises(AirflowSkipException):
            run_sensor(mode, package_id=package_id, soft_fail=True)
        assert "Skipped, because soft_fail is set: Package" in capsys.readouterr().out

    def test_a_stuck_package_times_out(self, mode, run_sensor, build, clock):
        began = clock.now()
        with pytest.raises(AirflowSensorTimeout):
            run_sensor(mode, package_id=build(BuildOutcome.STUCK_QUEUED), timeout=600)
        assert 600 <= clock.now() - began <= 630

    def test_a_stuck_package_skips_the_task_with_soft_fail(self, mode, run_sensor, build):
        with pytest.raises(AirflowSkipException):
            run_sensor(mode, package_id=build(BuildOutcome.STUCK_QUEUED), timeout=600, soft_fail=True)

    def test_an_unknown_status_means_not_yet(self, mode, run_sensor, build):
        assert run_sensor(mode, package_id=build(BuildOutcome.UNKNOWN_STATUS))["status"] == "Succeeded"

    def test_an_unknown_package_fails_the_task_after_a_minute(self, mode, run_sensor, platform, clock):
        began = clock.now()
        with pytest.raises(AirflowFailException, match="PACKAGE_NOT_FOUND"):
            run_sensor(mode, package_id="0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b")
        assert [round(entry.at - began) for entry in platform.journal] == [0, 30, 60]

    @pytest.mark.parametrize("seconds", [1, 29, 59])
    def test_a_package_may_not_be_visible_yet(self, mode, seconds, run_sensor, build, platform, clock):
        package_id, answer, began = build(), platform.handle, clock.now()
        missing = Reply(404, {"Content-Type": "application/json"}, b'{"errorCode": "PACKAGE_NOT_FOUND"}')
        platform.handle = lambda request: missing if clock.now() < began + seconds else answer(request)
        assert run_sensor(mode, package_id=package_id, poke_interval=5)["status"] == "Succeeded"

    def test_a_package_that_is_deleted_later_fails_the_task_at_once(
        self, mode, run_sensor, build, platform, clock
    ):
        package_id, answer, began = build(BuildOutcome.STUCK_BUILDING), platform.handle, clock.now()

        def handle(request):
            if clock.now() >= began + 120:
                platform.packages.pop(package_id, None)
            return answer(request)

        platform.handle = handle
        with pytest.raises(AirflowFailException, match="PACKAGE_NOT_FOUND"):
            run_sensor(mode, package_id=package_id)
        assert clock.now() == began + 120

    def test_an_unknown_package_skips_the_task_with_soft_fail(self, mode, run_sensor):
        with pytest.raises(AirflowSkipException):
            run_sensor(mode, package_id="0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b", soft_fail=True)

    @pytest.mark.parametrize(
        "broken",
        [
            Reply(200, {"Content-Type": "text/html"}, b"<html>Please sign in</html>"),
            Reply(200, {"Content-Type": "application/json"}, b'{"PackageId": "p-1", "Sta'),
            Reply(502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>"),
        ],
        ids=["html", "truncated", "bad-gateway"],
    )
    def test_an_unreadable_response_means_not_yet(self, mode, broken, run_sensor, build, platform, clock):
        package_id = build()
        broken_until = clock.now() + 1200
        answer = platform.handle
        platform.handle = lambda request: broken if clock.now() < broken_until else answer(request)
        assert run_sensor(mode, package_id=package_id)["status"] == "Succeeded"

    def test_responses_that_stay_unreadable_time_out(self, mode, run_sensor, build, platform):
        platform.handle = lambda request: Reply(200, {}, b"[]")
        with pytest.raises(AirflowSensorTimeout):
            run_sensor(mode, package_id=build(), timeout=1800)

    def test_a_refused_key_fails_the_task_even_with_soft_fail(self, mode, run_sensor, build, platform):
        platform.permissions.set_api_key(USER, "another-key")
        with pytest.raises(UnauthorizedError, match="API Rights"):
            run_sensor(mode, package_id=build(), soft_fail=True)

    @pytest.mark.parametrize("package_id", ["", "None", None, "../p", "main-2.5.4.mda"])
    def test_a_bad_package_id_is_refused_before_any_request(self, mode, package_id, run_sensor, platform):
        with pytest.raises(AirflowFailException, match="package_id (is empty|.*the build task returned)"):
            run_sensor(mode, package_id=package_id)
        assert not platform.journal


def test_it_polls_once_before_it_defers(server, build, clock, context):
    package_id = build()
    clock.sleep(91)
    sensor = MendixPackageSensor(task_id="wait", app_id="shop", package_id=package_id, deferrable=True)
    assert sensor.execute(context)["package_id"] == package_id


def test_it_times_out_with_the_last_state_when_deferred(run_sensor, build):
    with pytest.raises(AirflowSensorTimeout, match="timed out. Last state: Building"):
        run_sensor("deferrable", package_id=build(BuildOutcome.STUCK_BUILDING), timeout=600)


def test_everything_a_user_would_template_is_templated(server, build, context, clock):
    package_id = build()
    sensor = MendixPackageSensor(
        task_id="wait",
        app_id="{{ app }}",
        package_id="{{ package }}",
        mendix_conn_id="{{ conn }}",
        deferrable=True,
    )
    sensor.render_template_fields({"app": "shop", "package": package_id, "conn": "mendix_default"})
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["wait"] == {
        "type": "PackageWait",
        "app_id": "shop",
        "package_id": package_id,
        "visible_by": clock.now() + 60,
    }


def test_the_defaults_are_the_documented_ones():
    sensor = MendixPackageSensor(task_id="wait", app_id="shop", package_id="p")
    assert (sensor.poke_interval, sensor.timeout, sensor.deferrable) == (30, 7200, False)


def test_a_shorter_interval_than_five_seconds_is_refused():
    with pytest.raises(ValueError, match="poke_interval must be at least 5 seconds"):
        MendixPackageSensor(task_id="wait", app_id="shop", package_id="p", poke_interval=1)
