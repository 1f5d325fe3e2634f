from __future__ import annotations

import json
import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_mendix.builds.marker import owner_of
from airflow_provider_mendix.exceptions import (
    BuildFailedError,
    OutageError,
    PackageFailedError,
    UnexpectedEventError,
    WaitTimeoutError,
)
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.waits.event import success_event

from ..conftest import KEY, USER, run_task, set_connection

MODES = [
    pytest.param({"wait_for_completion": False}, id="fire-and-forget"),
    pytest.param({"deferrable": False}, id="on-the-worker"),
    pytest.param({"deferrable": True}, id="deferred"),
]
WAITING_MODES = MODES[1:]
pytestmark = pytest.mark.usefixtures("server")


def start_build(**changes):
    values = {"app_id": "shop", "branch": "main", "revision": "9f3ab2c1d4", "version": "2.5.4", **changes}
    return MendixStartBuildOperator(task_id="build", **values)


def posts(platform):
    return platform.journal.requests("POST")


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_start_one_build_and_return_its_package_id(mode, platform, context):
    result = run_task(start_build(description="Release 2.5.4", **mode), context)

    (package_id,) = platform.packages
    assert result == package_id
    (post,) = posts(platform)
    assert post.path == "/api/1/apps/shop/packages"
    assert post.body == {
        "Branch": "main",
        "Revision": "9f3ab2c1d4",
        "Version": "2.5.4",
        "Description": f"Release 2.5.4 {owner_of(context, start_build()._as_written, retries=0).marker}",
    }


@pytest.mark.parametrize("mode", WAITING_MODES)
def test_it_waits_until_the_package_is_succeeded(mode, platform, clock, context, caplog, capsys):
    caplog.set_level("INFO")
    began = clock.now()
    package_id = run_task(start_build(poll_interval=10, **mode), context)

    assert platform.packages.status(package_id) == "Succeeded"
    assert 90 <= clock.now() - began < 90 + 10 + 1
    states = re.findall(rf"Package {package_id} of app shop: (\w+)", caplog.text + capsys.readouterr().out)
    assert list(dict.fromkeys(states)) == ["Queued", "Building", "Uploading", "Succeeded"]


def test_fire_and_forget_does_not_ask_for_the_package(platform, context):
    run_task(start_build(wait_for_completion=False), context)
    assert not platform.journal.requests("GET", "/packages/")


def test_it_waits_on_the_worker_by_default_and_defers_where_airflow_says_so(monkeypatch):
    assert start_build().wait_for_completion is True
    assert start_build().deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert start_build().deferrable is True
    assert start_build(deferrable=False).deferrable is False


def test_it_polls_once_before_it_defers(platform, context, clock):
    platform.packages.timeline = type(platform.packages.timeline)(0, 0, 0)
    operator = start_build(deferrable=True)
    assert operator.execute(context) in platform.packages


def test_what_is_deferred_holds_no_secret_and_ends_before_airflows_own_timeout(context, clock):
    with pytest.raises(TaskDeferred) as deferred:
        start_build(deferrable=True, timeout=timedelta(minutes=30)).execute(context)
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_provider_mendix.triggers.wait.MendixWaitTrigger"
    assert KEY not in repr(arguments)
    assert USER not in repr(arguments)
    assert arguments["poll_state"]["deadline"] == clock.now() + 1800
    assert deferred.value.timeout == timedelta(minutes=35)
    assert deferred.value.method_name == "execute_complete"


@pytest.mark.parametrize("mode", WAITING_MODES)
def test_it_reports_how_long_each_phase_took(mode, context, monkeypatch):
    told = []
    timing = lambda name, spent, tags: told.append((name, spent.total_seconds(), tags))  # noqa: E731
    monkeypatch.setattr("airflow.providers.common.compat.sdk.Stats", SimpleNamespace(timing=timing), raising=False)
    run_task(start_build(poll_interval=5, **mode), context)
    assert context["ti"].xcoms["mendix_phases"] == {"queued": 20.0, "building": 60.0, "uploading": 10.0}
    assert told == [
        ("mendix.package.queued", 20.0, {"app_id": "shop"}),
        ("mendix.package.building", 60.0, {"app_id": "shop"}),
        ("mendix.package.uploading", 10.0, {"app_id": "shop"}),
    ]


@pytest.mark.parametrize("mode", WAITING_MODES)
def test_it_does_not_fail_without_metrics(mode, platform, context, monkeypatch):
    monkeypatch.setattr("airflow.providers.common.compat.sdk.Stats", None, raising=False)
    assert run_task(start_build(**mode), context) in platform.packages


def test_the_row_of_a_trigger_is_small(context):
    with pytest.raises(TaskDeferred) as deferred:
        start_build(app_id="shop", deferrable=True).execute(context)
    row = json.dumps(deferred.value.trigger.serialize())
    print(len(row), row)
    assert len(row) < 500


@pytest.mark.parametrize("mode", WAITING_MODES)
@pytest.mark.parametrize(
    "ending",
    [BuildOutcome.FAILS_WHILE_QUEUED, BuildOutcome.FAILS_WHILE_BUILDING, BuildOutcome.FAILS_WHILE_UPLOADING],
)
def test_a_failed_build_fails_the_task_and_names_the_package(mode, ending, platform, context):
    platform.packages.outcome = ending
    with pytest.raises(AirflowFailException) as failed:
        run_task(start_build(**mode), context)
    assert isinstance(failed.value.__context__, PackageFailedError)
    (package_id,) = platform.packages
    assert package_id in str(failed.value)
    assert "2.5.4.9f3ab2c1" in str(failed.value)
    assert "portal" in str(failed.value)


@pytest.mark.parametrize("mode", WAITING_MODES)
def test_a_failed_build_is_left_to_the_retries_if_told_to(mode, platform, context):
    platform.packages.outcome = BuildOutcome.FAILS_WHILE_BUILDING
    with pytest.raises(PackageFailedError):
        run_task(start_build(retry_failed_build=True, **mode), context)


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_build_fails_at_once_and_is_not_sent_again(mode, platform, context):
    platform.packages.outcome = BuildOutcome.REFUSED
    with pytest.raises(AirflowFailException, match="BUILD_FAILED") as failed:
        run_task(start_build(**mode), context)
    assert isinstance(failed.value.__context__, BuildFailedError)
    with pytest.raises(BuildFailedError):
        run_task(start_build(retry_failed_build=True, **mode), context)
    assert len(posts(platform)) == 2


@pytest.mark.parametrize("mode", WAITING_MODES)
@pytest.mark.parametrize(
    ("ending", "state"), [(BuildOutcome.STUCK_QUEUED, "Queued"), (BuildOutcome.STUCK_BUILDING, "Building")]
)
def test_a_stuck_build_times_out_with_its_last_state(mode, ending, state, platform, clock, context):
    platform.packages.outcome = ending
    began = clock.now()
    lasted = {"Queued": 600, "Building": 570}[state]
    with pytest.raises(WaitTimeoutError, match=f"timed out. Last state: {state}, for {lasted} s."):
        run_task(start_build(timeout=600, **mode), context)
    assert clock.now() - began == pytest.approx(600, abs=1)


@pytest.mark.parametrize("mode", WAITING_MODES)
def test_an_unknown_status_means_not_yet(mode, platform, context):
    platform.packages.outcome = BuildOutcome.UNKNOWN_STATUS
    package_id = run_task(start_build(**mode), context)
    assert platform.packages.status(package_id) == "Succeeded"


@pytest.mark.parametrize("mode", WAITING_MODES)
def test_a_package_that_is_deleted_fails_the_task(mode, platform, context, clock):
    platform.packages.outcome = BuildOutcome.STUCK_QUEUED
    operator = start_build(**mode)
    began, handle = clock.now(), platform.handle

    def without_packages_later(request):
        if clock.now() > began + 100:
            platform.packages.clear()
        return handle(request)

    platform.handle = without_packages_later
    with pytest.raises(AirflowFailException, match="PACKAGE_NOT_FOUND"):
        run_task(operator, context)


@pytest.mark.parametrize("mode", WAITING_MODES)
def test_an_outage_is_tolerated_for_a_time_and_then_raised(mode, platform, server, clock, context):
    platform.packages.outcome = BuildOutcome.STUCK_BUILDING
    hang_up_after = clock.now() + 200
    answer = platform.handle

    def handle(request):
        if clock.now() > hang_up_after:
            raise ConnectionAbortedError
        return answer(request)

    platform.handle = handle
    with pytest.raises(OutageError, match=r"polling has failed for .* Last state: Building"):
        run_task(start_build(outage_tolerance=300, **mode), context)
    assert 300 <= clock.now() - platform.journal[-1].at <= 300 + 30


def test_a_refused_key_says_what_to_check(monkeypatch, server, context):
    set_connection(monkeypatch, host=server.api_url, password="another-key")
    with pytest.raises(AirflowFailException, match="API Rights"):
        run_task(start_build(), context)


def test_an_unknown_app_is_named(platform, context):
    with pytest.raises(AirflowFailException, match="subdomain"):
        run_task(start_build(app_id="shopp"), context)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "2.5.4.63"}, "four parts"),
        ({"version": "2.5"}, r"major\.minor\.patch"),
        ({"version": ""}, "version is empty"),
        ({"app_id": ""}, "app_id is empty"),
        ({"app_id": "None"}, "app_id is empty"),
        ({"app_id": "My Web Shop"}, "not its display name"),
        ({"app_id": "543857rfds-dfsfsd12c5e24-3224d32eg"}, None),
        ({"app_id": "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"}, "is a UUID"),
        ({"revision": 0}, "neither an SVN revision number"),
        ({"revision": "HEAD"}, "HEAD are not accepted"),
        ({"branch": "branches/"}, "is not a branch"),
        ({"branch": ""}, "branch is empty"),
    ],
)
def test_bad_values_are_refused_before_any_request(changes, said, platform, context):
    if said is None:
        with pytest.raises(AirflowFailException):
            run_task(start_build(**changes), context)
        return
    with pytest.raises(AirflowFailException, match=said):
        run_task(start_build(**changes), context)
    assert not platform.journal


def test_values_are_checked_after_rendering(platform, context):
    operator = start_build(app_id="{{ app }}", version="{{ v }}", revision=63, mendix_conn_id="{{ conn }}")
    operator.render_template_fields({"app": "shop", "v": "2.5.4", "conn": "mendix_default"})
    run_task(operator, context)
    (post,) = posts(platform)
    assert post.body.pop("Description").startswith("[airflow ")
    assert post.body == {"Branch": "main", "Revision": "63", "Version": "2.5.4"}


def test_an_omitted_branch_is_not_sent(platform, context):
    run_task(start_build(branch=None, wait_for_completion=False), context)
    (post,) = posts(platform)
    assert "Branch" not in post.body


def test_the_portal_link_gets_its_project_id_and_a_build_does_not_fail_without_it(platform, context):
    run_task(start_build(wait_for_completion=False), context)
    assert context["ti"].xcoms["mendix_project_id"] == platform.apps["shop"].project_id

    answer = platform.handle

    def handle(request):
        if request.path.endswith("/apps/shop"):
            raise ConnectionAbortedError
        return answer(request)

    platform.handle = handle
    context["ti"].xcoms.clear()
    assert run_task(start_build(wait_for_completion=False), context) in platform.packages
    assert "mendix_project_id" not in context["ti"].xcoms


@pytest.mark.parametrize(
    "event", [None, {}, "success", {"ended": "success"}, {"ended": "perhaps", "result": {}}, {"ended": "failure"}]
)
def test_a_missing_or_unknown_event_fails_the_task(event, context):
    with pytest.raises(UnexpectedEventError):
        start_build().execute_complete(context, event)


def test_a_known_event_returns_the_package_id(context):
    event = success_event({"package_id": "p-1", "status": "Succeeded"})
    assert start_build().execute_complete(context, event) == "p-1"


@pytest.mark.parametrize(("setting", "value"), [("poll_interval", 4), ("timeout", 0), ("outage_tolerance", -1)])
def test_invalid_durations_are_refused(setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be at least"):
        start_build(**{setting: value})


def test_execution_timeout_holds_while_deferred(platform, clock, context):
    platform.packages.outcome = BuildOutcome.STUCK_QUEUED
    began = clock.now()
    with pytest.raises(WaitTimeoutError):
        run_task(start_build(deferrable=True, execution_timeout=timedelta(seconds=90)), context)
    assert clock.now() - began == pytest.approx(90, abs=1)


def test_killing_changes_nothing_and_logs_that_the_build_goes_on(platform, context, caplog, capsys):
    task = start_build(wait_for_completion=False)
    package_id = task.execute(context)
    before = len(platform.journal)
    task.on_kill()
    assert len(platform.journal) == before
    logged = caplog.text + capsys.readouterr().out
    assert f"Package {package_id} of app shop is still being built. A retry of this task finds it" in logged


def test_killing_before_the_start_logs_nothing(capsys):
    start_build().on_kill()
    assert "Killed" not in capsys.readouterr().out
