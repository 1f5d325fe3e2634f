"""What all sensors share: the options of Airflow's base class mean the same in all modes."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred

from airflow_provider_mendix.sensors.environment import MendixEnvironmentSensor
from airflow_provider_mendix.sensors.package import MendixPackageSensor
from airflow_provider_mendix.sensors.revision import MendixRevisionSensor
from airflow_provider_mendix.simulator.wire import Reply

from ..conftest import SENSOR_MODES, USER

PACKAGE = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
SENSORS = {
    MendixPackageSensor: {"app_id": "shop", "package_id": PACKAGE},
    MendixRevisionSensor: {"app_id": "shop", "branch": "main", "newer_than": "63"},
    MendixEnvironmentSensor: {"app_id": "shop", "environment": "Test", "status": "Running"},
}
each_sensor = pytest.mark.parametrize("kind", SENSORS, ids=lambda kind: kind.__name__)


@pytest.fixture
def wait(run_sensor, token):
    """Return a function that runs a sensor to its end in any mode."""

    def run(kind, mode, **changes):
        return run_sensor(kind, mode, **{**SENSORS[kind], **changes})

    return run


@each_sensor
@pytest.mark.parametrize("mode", SENSOR_MODES)
class TestNeverFail:
    def test_a_refused_key_skips_the_task(self, kind, mode, wait, platform):
        platform.permissions.set_api_key(USER, "another-key")
        with pytest.raises(AirflowSkipException):
            wait(kind, mode, never_fail=True)

    def test_a_key_that_is_refused_later_skips_the_task(self, kind, mode, wait, platform, clock):
        began, answer = clock.now(), platform.handle
        platform.handle = lambda request: Reply(503 if clock.now() < began + 100 else 401)
        assert answer
        with pytest.raises(AirflowSkipException):
            wait(kind, mode, never_fail=True)

    def test_a_time_out_skips_the_task(self, kind, mode, wait, platform):
        platform.handle = lambda request: Reply(503)
        with pytest.raises(AirflowSkipException):
            wait(kind, mode, never_fail=True, timeout=300)

    def test_a_wrong_value_skips_the_task(self, kind, mode, wait):
        with pytest.raises(AirflowSkipException):
            wait(kind, mode, never_fail=True, app_id="Web Shop")

    def test_a_missing_connection_skips_the_task(self, kind, mode, wait):
        with pytest.raises(AirflowSkipException):
            wait(kind, mode, never_fail=True, mendix_conn_id="nowhere")

    def test_without_it_the_task_fails(self, kind, mode, wait, platform):
        platform.permissions.set_api_key(USER, "another-key")
        with pytest.raises(AirflowFailException):
            wait(kind, mode)


def test_the_log_says_why_the_task_is_skipped(wait, platform, capsys):
    platform.permissions.set_api_key(USER, "another-key")
    with pytest.raises(AirflowSkipException, match="never_fail is set.*401"):
        wait(MendixPackageSensor, "deferrable", never_fail=True)
    assert "Skipped, because never_fail is set" in capsys.readouterr().out


@each_sensor
class TestOptions:
    @pytest.fixture
    def sensor(self, kind):
        return partial(kind, task_id="wait", **SENSORS[kind])

    @pytest.mark.parametrize("option", ["silent_fail", "exponential_backoff"])
    def test_one_that_differs_between_the_modes_is_refused(self, option, sensor):
        with pytest.raises(ValueError, match=f"{option} is not supported"):
            sensor(**{option: True})
        sensor(**{option: False})

    @pytest.mark.parametrize(
        "option", ["soft_fail", "never_fail", "silent_fail", "exponential_backoff", "deferrable"]
    )
    @pytest.mark.parametrize("value", ["False", "true", 1, 0], ids=repr)
    def test_a_switch_that_is_no_bool_is_refused(self, option, value, sensor):
        with pytest.raises(ValueError, match=f"{option} must be True or False"):
            sensor(**{option: value})

    @pytest.mark.parametrize("option", ["poke_interval", "timeout"])
    @pytest.mark.parametrize("value", ["30", float("nan"), float("inf"), True, -1, 0, None], ids=repr)
    def test_a_duration_that_is_none_is_refused(self, option, value, sensor):
        with pytest.raises(ValueError, match=f"{option} must be"):
            sensor(**{option: value})

    def test_durations_may_be_timedeltas(self, sensor):
        given = sensor(poke_interval=timedelta(minutes=1), timeout=timedelta(hours=1))
        assert (given.poke_interval, given.timeout) == (60, 3600)

    def test_an_interval_below_five_seconds_is_refused(self, sensor):
        with pytest.raises(ValueError, match="poke_interval must be at least 5 seconds"):
            sensor(poke_interval=4.9)


@pytest.mark.parametrize("mode", SENSOR_MODES)
@pytest.mark.parametrize("empty", ["", "None", None], ids=repr)
@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (MendixRevisionSensor, "newer_than"),
        (MendixRevisionSensor, "branch"),
        (MendixEnvironmentSensor, "status"),
        (MendixPackageSensor, "package_id"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_argument_that_renders_to_nothing_is_refused_before_any_request(
    kind, argument, empty, mode, token, context, platform
):
    arguments = {**SENSORS[kind], argument: "{{ given }}"}
    airflows_mode = "poke" if mode == "deferrable" else mode
    sensor = kind(task_id="wait", deferrable=mode == "deferrable", mode=airflows_mode, **arguments)
    sensor.render_template_fields({"given": "63"})
    setattr(sensor, argument, empty)
    context["ti"].get_first_reschedule_date = lambda _: None
    with pytest.raises(AirflowFailException, match=f"{argument} ('None' is none of|is empty)"):
        sensor.execute(context)
    assert not platform.journal


@each_sensor
def test_a_task_that_defers_logs_its_next_poll_and_its_deadline(kind, token, context, platform, capsys):
    platform.handle = lambda request: Reply(503)
    with pytest.raises(TaskDeferred):
        kind(task_id="wait", deferrable=True, timeout=3600, **SENSORS[kind]).execute(context)
    logged = capsys.readouterr().out
    assert re.search(
        r"next poll at 2023-11-14 22:1\d:\d\d UTC, until 2023-11-14 23:13:20 UTC at the latest\.", logged
    )
