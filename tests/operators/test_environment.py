"""Stopping, transporting, starting: each a success if it was already done, and never done twice."""

from __future__ import annotations

import contextlib

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.exceptions import (
    EnvironmentNotFoundError,
    EnvironmentStateError,
    ForbiddenError,
    PackageNotReadyError,
    ProductionRefusedError,
    StartFailedError,
    StopFailedError,
    TransportRefusedError,
    UnauthorizedError,
    UnexpectedEventError,
    WaitTimeoutError,
)
from airflow_provider_mendix.operators.environment import (
    MendixStartEnvironmentOperator,
    MendixStopEnvironmentOperator,
    MendixTransportPackageOperator,
)
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import Reply

from ..conftest import KEY, USER, run_task, set_connection
from ..deploying import MODES, WAITING_MODES, KilledError, die_after, posts, put, retry

pytestmark = pytest.mark.usefixtures("server")
CHANGING = [MendixStopEnvironmentOperator, MendixTransportPackageOperator, MendixStartEnvironmentOperator]


def make(kind, **changes):
    values = {"app_id": "shop", "environment": "Test", **changes}
    if kind is MendixTransportPackageOperator and "from_environment" not in values:
        values.setdefault("package_id", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b")
    return kind(task_id="step", **values)


def stop(**changes):
    return make(MendixStopEnvironmentOperator, **changes)


def transport(package_id=None, **changes):
    return make(MendixTransportPackageOperator, package_id=package_id, **changes)


def start(**changes):
    return make(MendixStartEnvironmentOperator, **changes)


@pytest.fixture
def package(platform):
    """A package that is on no environment yet."""
    return platform.packages.add("shop", version="2.0.0", revision="aaaabbbb")


@pytest.fixture
def logged(caplog, capsys):
    """Return what was logged so far."""
    caplog.set_level("INFO")
    return lambda: caplog.text + capsys.readouterr().out


class TestStop:
    @pytest.mark.parametrize("mode", MODES)
    def test_it_asks_once_and_waits(self, mode, platform, context, clock):
        put(platform, running=True)
        platform.cloud.options = Options(stop="asynchronous")
        platform.environments.timeline = DeploymentTimeline(stopping=60)
        began = clock.now()

        result = run_task(stop(**mode), context)

        waits = mode.get("wait_for_completion", True)
        assert posts(platform) == ["stop"]
        assert result["environment"] == "Test"
        assert result["status"] == ("Stopped" if waits else "Running")
        assert clock.now() - began >= (60 if waits else 0)

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(("version", "status"), [("1.0.0", "Stopped"), (None, "Empty")])
    def test_what_is_stopped_already_is_a_success(self, mode, version, status, platform, context, logged):
        put(platform, version=version)
        assert run_task(stop(**mode), context)["status"] == status
        assert posts(platform) == []
        assert f"Nothing to stop: environment Test of app shop is {status} already." in logged()

    @pytest.mark.parametrize("mode", MODES)
    def test_a_refusal_has_the_state(self, mode, platform, context):
        put(platform, running=True)
        platform.environments.next_stops.append("STOP_FAILED")
        with pytest.raises(
            AirflowFailException, match=r" is Running now, and package .*1\.0\.0.*STOP_FAILED"
        ) as failed:
            run_task(stop(**mode), context)
        assert isinstance(failed.value.__context__, StopFailedError)
        assert failed.value.__context__.code == "STOP_FAILED"

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_it_times_out(self, mode, platform, context, clock):
        put(platform, running=True)
        platform.cloud.options = Options(stop="asynchronous")
        platform.environments.timeline = DeploymentTimeline(stopping=6000)
        with pytest.raises(WaitTimeoutError, match="Environment Test of app shop: timed out. Last state: Running"):
            run_task(stop(timeout=600, **mode), context)

    def test_after_a_lost_response_it_looks_again(self, platform, context, logged):
        put(platform, running=True)
        with platform.faults.add("reply_lost", on="stop_environment"):
            assert run_task(stop(), context)["status"] == "Stopped"
        assert posts(platform) == ["stop"]
        assert "Could not stop environment Test of app shop yet; trying again every 30 s." in logged()

    def test_a_call_that_never_arrived_is_sent_again(self, platform, context):
        put(platform, running=True)
        with platform.faults.add("connection_reset", on="stop_environment", times=2):
            assert run_task(stop(), context)["status"] == "Stopped"
        assert platform.environments["shop", "Test"].status == "Stopped"


class TestTransport:
    @pytest.mark.parametrize("mode", MODES)
    def test_it_transports_the_package_and_waits_until_it_is_there(self, mode, platform, context, clock, package):
        before = put(platform)
        platform.environments.timeline = DeploymentTimeline(transporting=90)
        began = clock.now()

        assert run_task(transport(package, **mode), context) == package

        waits = mode.get("wait_for_completion", True)
        assert platform.journal.requests("POST")[0].body == {"PackageId": package}
        assert len(posts(platform)) == 1
        assert (platform.environments["shop", "Test"].package_id == package) is waits
        assert clock.now() - began >= (90 if waits else 0)
        assert context["ti"].xcoms["mendix_previous_package"]["package_id"] == before
        assert context["ti"].xcoms["mendix_previous_package"]["version"] == "1.0.0.9f3ab2c1"

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_an_empty_environment_has_no_previous_package(self, mode, platform, context, package):
        platform.environments.timeline = DeploymentTimeline(transporting=90)
        assert run_task(transport(package, **mode), context) == package
        assert context["ti"].xcoms["mendix_previous_package"] is None

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("spelled", [str, str.upper])
    def test_what_is_there_already_is_a_success(self, mode, spelled, platform, context, logged):
        there = put(platform, running=True)
        assert run_task(transport(spelled(there), **mode), context) == there
        assert posts(platform) == []
        assert f"Package {there} is on environment Test of app shop already" in logged()
        assert "mendix_previous_package" not in context["ti"].xcoms

    @pytest.mark.parametrize("mode", MODES)
    def test_promotion_takes_what_is_on_another_environment(self, mode, platform, context):
        there = put(platform, "Acceptance", "3.0.0", running=True)
        assert run_task(transport(from_environment="Acceptance", **mode), context) == there
        assert platform.environments["shop", "Test"].package_id == there

    def test_promotion_from_an_empty_environment_is_refused(self, platform, context):
        with pytest.raises(AirflowFailException, match="no package on environment Acceptance") as failed:
            run_task(transport(from_environment="Acceptance"), context)
        assert isinstance(failed.value.__context__, EnvironmentStateError)
        assert posts(platform) == []

    def test_promotion_may_read_production(self, platform, context):
        there = put(platform, "Production", running=True)
        assert run_task(transport(from_environment="Production"), context) == there

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        ("code", "kind", "todo"),
        [
            ("INVALID_RUNTIME_VERSION", TransportRefusedError, "Mendix version that the package was built with"),
            ("NO_ACCESS", ForbiddenError, "API Rights"),
            ("TRANSPORT_NOT_ALLOWED", TransportRefusedError, "Transport Rights"),
            ("APP_IS_RUNNING", TransportRefusedError, "stop it before the transport"),
            ("NOT_ALLOWED", TransportRefusedError, "build or upload it again"),
            ("PACKAGE_PARSE_FAILED", TransportRefusedError, "build or upload it again"),
        ],
    )
    def test_a_refusal_has_cause_state_and_what_to_do(self, mode, code, kind, todo, platform, context, package):
        before = put(platform, running=True)
        platform.environments.next_transports.append(code)
        with pytest.raises(AirflowFailException) as failed:
            run_task(transport(package, **mode), context)
        cause, message = failed.value.__context__, str(failed.value)
        assert type(cause) is kind
        assert cause.code == code
        assert code in message
        assert todo in message
        assert (
            f"environment Test of app shop is Running now, and package {before} (version 1.0.0.9f3ab2c1)"
            in message
        )
        assert len(posts(platform)) == 1

    def test_a_package_that_goes_missing_is_named(self, platform, context, package):
        platform.environments.next_transports.append("PACKAGE_NOT_FOUND")
        with pytest.raises(AirflowFailException, match="Empty now, and no package is on it.*PACKAGE_NOT_FOUND"):
            run_task(transport(package), context)

    def test_a_running_app_is_refused_where_mendix_refuses_it(self, platform, context, package):
        platform.cloud.options = Options(transport_while_running=False)
        put(platform, running=True)
        with pytest.raises(AirflowFailException, match="stop it before the transport.*APP_IS_RUNNING"):
            run_task(transport(package), context)

    def test_without_transport_rights_it_is_refused(self, platform, context, package):
        platform.permissions.revoke("transport", "shop", "Test")
        with pytest.raises(AirflowFailException, match="'Transport Rights'"):
            run_task(transport(package), context)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_package_that_is_still_processed_is_waited_for(
        self, mode, platform, context, clock, package, logged
    ):
        platform.environments.next_transports.extend(["SERVICE UNAVAILABLE"] * 3)
        began = clock.now()
        assert run_task(transport(package, **mode), context) == package
        assert posts(platform) == ["transport"] * 4
        assert clock.now() - began >= 90
        # Airflow 3.0 shows what a task logs twice.
        assert logged().count("SERVICE_UNAVAILABLE") == (1 if airflow.__version__ >= "3.1" else 2)

    def test_it_is_not_waited_for_after_the_timeout(self, platform, context, clock, package):
        platform.environments.next_transports.extend(["SERVICE UNAVAILABLE"] * 99)
        began = clock.now()
        with pytest.raises(WaitTimeoutError, match="transport a package to environment Test.*SERVICE_UNAVAILABLE"):
            run_task(transport(package, timeout=600), context)
        assert clock.now() - began == pytest.approx(600, abs=1)

    @pytest.mark.parametrize("mode", MODES)
    def test_after_a_lost_response_it_looks_again(self, mode, platform, context, package):
        before = put(platform)
        with platform.faults.add("reply_lost", on="transport_package"):
            assert run_task(transport(package, **mode), context) == package
        assert posts(platform) == ["transport"]
        assert context["ti"].xcoms["mendix_previous_package"]["package_id"] == before

    def test_after_a_gateway_timeout_it_looks_again(self, platform, context, package):
        with platform.faults.add("bad_gateway", on="transport_package", status=504, handled=True):
            assert run_task(transport(package), context) == package
        assert posts(platform) == ["transport"]

    @pytest.mark.parametrize(
        ("ending", "kind"),
        [
            (BuildOutcome.STUCK_BUILDING, PackageNotReadyError),
            (BuildOutcome.FAILS_WHILE_QUEUED, AirflowFailException),
        ],
    )
    def test_a_package_that_is_not_done_is_refused_before(self, ending, kind, platform, context, package, clock):
        platform.packages[package].steps = ending.steps(platform.packages.timeline)
        platform.packages[package].created_at = clock.now() - 50
        with pytest.raises(kind, match="only one that is Succeeded.*Nothing was changed"):
            run_task(transport(package), context)
        assert posts(platform) == []

    def test_the_previous_package_survives_a_try_where_airflow_can_keep_it(self, platform, context, package):
        kept = {}

        class Store:
            get, set = staticmethod(kept.get), staticmethod(kept.__setitem__)

        before = put(platform)
        context["task_state_store"] = Store
        run_task(transport(package, wait_for_completion=False), context)
        retry(context)
        run_task(transport(package), context)
        assert context["ti"].xcoms["mendix_previous_package"]["package_id"] == before
        assert posts(platform) == ["transport"]

    @pytest.mark.parametrize("given", [{}, {"package_id": "x", "from_environment": "Acceptance"}])
    def test_the_package_is_named_in_one_way(self, given):
        with pytest.raises(ValueError, match="either package_id, or from_environment"):
            MendixTransportPackageOperator(task_id="step", app_id="shop", environment="Test", **given)

    @pytest.mark.parametrize("given", [{"package_id": "{{ x }}"}, {"from_environment": "{{ x }}"}])
    @pytest.mark.parametrize("rendered", ["", "None"])
    def test_what_renders_to_nothing_is_refused(self, given, rendered, context, platform):
        task = MendixTransportPackageOperator(task_id="step", app_id="shop", environment="Test", **given)
        task.render_template_fields({"x": rendered})
        with pytest.raises(AirflowFailException, match="is empty"):
            task.execute(context)
        assert not platform.journal


START_CODES = {
    "NO_PACKAGE": "transport one first",
    "ALREADY_LOCKED": "wait until it has ended",
    "DB_SYNC_FAILED": "restore the snapshot",
    "INVALID_DB_STRUCTURE": "auto_sync_db=True",
    "MISSING_CONSTANT": "A constant of the model has no value",
    "INSECURE_ADMIN_PASSWORD": "password of the app is too weak",
    "STARTUP_ACTION_FAILED": "after-startup microflow",
    "START_FAILED": "log in the portal",
}


class TestStart:
    @pytest.mark.parametrize("mode", MODES)
    def test_it_asks_once_and_waits(self, mode, platform, context, clock):
        package = put(platform)
        platform.environments.timeline = DeploymentTimeline(starting=90)

        result = run_task(start(**mode), context)

        waits = mode.get("wait_for_completion", True)
        (post,) = platform.journal.requests("POST")
        assert post.body == {"AutoSyncDb": True}
        assert result["status"] == ("Running" if waits else "Stopped")
        assert result["package_id"] == package
        assert result["environment"] == "Test"
        assert set(result) == {"environment", "status", "url", "model_version", "package_id"}
        assert context["ti"].xcoms["mendix_start_job"] in platform.environments.start_jobs
        if waits:
            assert result["model_version"] == "1.0.0.9f3ab2c1"
            assert result["url"].startswith("http")

    def test_auto_sync_db_is_sent_as_it_is(self, platform, context):
        put(platform)
        run_task(start(auto_sync_db=False), context)
        assert platform.journal.requests("POST")[0].body == {"AutoSyncDb": False}

    @pytest.mark.parametrize("mode", MODES)
    def test_what_runs_already_is_a_success(self, mode, platform, context, logged):
        package = put(platform, running=True)
        result = run_task(start(**mode), context)
        assert (result["status"], result["package_id"]) == ("Running", package)
        assert posts(platform) == []
        said = logged()
        assert "Nothing to start: environment Test of app shop is Running already." in said
        assert "takes a stop and a start" not in said

    def test_it_warns_of_an_older_package_that_runs_on(self, platform, context, package, logged):
        put(platform, running=True)
        run_task(transport(package), context)
        run_task(start(), context)
        assert "Version 1.0.0.9f3ab2c1 runs on environment Test" in logged()

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("status", [200, 500])
    def test_already_started_is_confirmed(self, mode, status, platform, context):
        platform.cloud.options = Options(already_started=status)
        put(platform, running=True)
        answer = platform.handle
        seen = []

        def stopped_at_first(request):
            reply = answer(request)
            if request.path.endswith("/environments") and not seen:
                seen.append(request)
                return type(reply)(reply.status, reply.headers, reply.body.replace(b"Running", b"Stopped"))
            return reply

        platform.handle = stopped_at_first
        assert run_task(start(**mode), context)["status"] == "Running"
        assert posts(platform) == ["start"]

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_start_that_names_no_job_is_waited_for(self, mode, platform, context):
        put(platform)
        platform.environments.timeline = DeploymentTimeline(starting=900)
        answer = platform.handle

        def without_words(request):
            reply = answer(request)
            return Reply(200) if request.path.endswith("/start") else reply

        platform.handle = without_words
        assert run_task(start(**mode), context)["status"] == "Running"
        assert posts(platform) == ["start"]

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_missing_constant_is_named(self, mode, platform, context):
        put(platform)
        platform.environments["shop", "Test"].constants |= {"Shop.Url": None, "Shop.Days": "14", "Shop.Key": None}
        with pytest.raises(AirflowFailException, match="MISSING_CONSTANT") as failed:
            run_task(start(**mode), context)
        assert "set it with MendixUpdateSettingsOperator, and start again" in str(failed.value)
        assert "Constants without a value: Shop.Url, Shop.Key. The environment Test" in str(failed.value)

    def test_constants_that_cannot_be_read_hide_nothing(self, platform, context):
        put(platform)
        platform.environments.next_starts.append("MISSING_CONSTANT")
        platform.faults.add("bad_gateway", on="get_settings", times=None)
        with pytest.raises(AirflowFailException, match="Test of app shop is Stopped now.*MISSING_CONSTANT"):
            run_task(start(), context)

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_job_that_says_already_started_is_confirmed(self, mode, platform, context):
        put(platform)
        platform.environments.next_starts.append("ALREADY_STARTED")
        assert run_task(start(**mode), context)["status"] == "Running"

    @pytest.mark.parametrize("mode", WAITING_MODES)
    @pytest.mark.parametrize("code", START_CODES)
    def test_a_failure_has_cause_state_and_what_to_do(self, mode, code, platform, context):
        package = put(platform)
        platform.environments.next_starts.append(code)
        with pytest.raises(AirflowFailException) as failed:
            run_task(start(**mode), context)
        cause, message = failed.value.__context__, str(failed.value)
        assert type(cause) is StartFailedError
        assert cause.code == code
        assert f"500 {code}" in message
        assert START_CODES[code] in message
        assert (
            f"environment Test of app shop is Stopped now, and package {package} (version 1.0.0.9f3ab2c1)"
            in message
        )
        assert posts(platform) == ["start"]

    @pytest.mark.parametrize("mode", MODES)
    def test_an_empty_environment_says_what_to_do(self, mode, platform, context):
        with pytest.raises(AirflowFailException, match="transport one.*Empty now.*NO_MDA_HAS_BEEN_DEPLOYED"):
            run_task(start(**mode), context)

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_another_start_is_waited_for(self, mode, platform, context, clock):
        put(platform)
        platform.environments.timeline = DeploymentTimeline(starting=100)
        run_task(start(wait_for_completion=False), context)
        assert run_task(start(**mode), context)["status"] == "Running"
        # The job of the first one is over: the app was not started twice.
        assert len(platform.environments.start_jobs) == 1

    def test_after_another_start_that_failed_its_own_shows_the_cause(self, platform, context):
        put(platform)
        platform.environments.next_starts.extend(["START_FAILED", "MISSING_CONSTANT"])
        run_task(start(wait_for_completion=False), context)
        with pytest.raises(AirflowFailException, match="MISSING_CONSTANT"):
            run_task(start(), context)

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_job_that_is_forgotten_is_decided_by_the_environment(self, mode, platform, context):
        platform.cloud.options = Options(start_job_lifetime=0)
        put(platform)
        assert run_task(start(**mode), context)["status"] == "Running"

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_forgotten_job_whose_app_does_not_run_is_a_failure(self, mode, platform, context):
        platform.cloud.options = Options(start_job_lifetime=0)
        put(platform)
        platform.environments.next_starts.append("START_FAILED")
        with pytest.raises(AirflowFailException, match="NO_SUCH_STARTJOB.*does not run.*is Stopped now") as failed:
            run_task(start(**mode), context)
        assert isinstance(failed.value.__context__, EnvironmentStateError)

    @pytest.mark.parametrize(("status", "code"), [(401, None), (500, "ALREADY_STARTED")])
    def test_other_errors_do_not_look_up_the_state(self, status, code, platform, context):
        put(platform)
        with (
            platform.faults.add("server_error", on="start_environment", status=status, code=code),
            pytest.raises(AirflowFailException),
        ):
            run_task(start(), context)
        after = platform.journal.requests("GET")[1:]
        assert (len([one for one in after if one.path.endswith("/package")])) == (code is not None)

    @pytest.mark.parametrize("fault", ["reply_lost", "connection_reset"])
    def test_after_a_lost_response_it_looks_again(self, fault, platform, context):
        put(platform)
        with platform.faults.add(fault, on="start_environment"):
            assert run_task(start(), context)["status"] == "Running"
        assert len(platform.environments.start_jobs) == 1

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_stuck_start_times_out(self, mode, platform, context):
        put(platform)
        platform.environments.timeline = DeploymentTimeline(starting=9000)
        with pytest.raises(WaitTimeoutError, match="timed out. Last state: Starting"):
            run_task(start(timeout=600, **mode), context)

    @pytest.mark.parametrize("event", [None, {}, {"ended": "success"}])
    def test_a_missing_or_unknown_event_fails_the_task(self, event, platform, context):
        put(platform, running=True)
        with pytest.raises(UnexpectedEventError):
            start().execute_complete(context, event)


@pytest.mark.parametrize("kind", CHANGING)
class TestGuard:
    @pytest.mark.parametrize(
        ("mode", "flag", "why"),
        [
            ("Production", False, "name"),
            ("Test", True, "flag"),
            ("prod", False, "name"),
            ("Production", True, "flag"),
        ],
    )
    def test_production_is_refused_by_flag_and_by_name(self, kind, mode, flag, why, platform, context, package):
        platform.environments.add("shop", mode, production=flag, package_id=package)
        task = make(kind, environment=mode, **({"package_id": package} if kind is CHANGING[1] else {}))
        with pytest.raises(AirflowFailException, match=rf"its {why}|{why} says so") as failed:
            run_task(task, context)
        assert isinstance(failed.value.__context__, ProductionRefusedError)
        assert "write allow_production=True in the DAG. Nothing was changed." in str(failed.value)
        assert posts(platform) == []

    def test_it_is_let_pass_if_the_dag_says_so(self, kind, platform, context, package):
        put(platform, "Production", running=kind is CHANGING[0])
        more = {"package_id": package} if kind is CHANGING[1] else {}
        run_task(make(kind, environment="Production", allow_production=True, **more), context)
        assert len(posts(platform)) == 1

    @pytest.mark.parametrize("value", ["True", 1, None, "{{ params.go }}"])
    def test_it_is_said_by_a_bool_only(self, kind, value):
        with pytest.raises(ValueError, match="allow_production must be True or False"):
            make(kind, allow_production=value)

    def test_it_is_not_templated(self, kind):
        assert "allow_production" not in kind.template_fields

    @pytest.mark.parametrize("wrong", ["test", "TEST", "Test ", "Tset"])
    def test_a_wrong_name_lists_the_right_ones(self, kind, wrong, platform, context):
        with pytest.raises(AirflowFailException, match="'Test', 'Acceptance', 'Production'") as failed:
            run_task(make(kind, environment=wrong), context)
        assert isinstance(failed.value.__context__, EnvironmentNotFoundError)
        assert ("Write 'Test'" in str(failed.value)) is (wrong != "Tset")
        assert posts(platform) == []

    @pytest.mark.parametrize("wrong", ["", "None", None, "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"])
    def test_a_name_that_cannot_be_is_refused_before_any_request(self, kind, wrong, platform, context):
        with pytest.raises(AirflowFailException, match="environment"):
            run_task(make(kind, environment=wrong), context)
        assert not platform.journal

    def test_a_refused_key_says_what_to_check(self, kind, context, server, monkeypatch):
        set_connection(monkeypatch, host=server.api_url, password="another-key")
        with pytest.raises(AirflowFailException, match="API Rights") as failed:
            run_task(make(kind), context)
        assert isinstance(failed.value.__context__, UnauthorizedError)
        assert "another-key" not in str(failed.value)

    def test_killing_it_changes_nothing(self, kind, platform, logged):
        make(kind).on_kill()
        assert "it goes on with that" in logged()
        assert not platform.journal

    def test_everything_a_user_would_template_is_templated(self, kind):
        task = make(kind, app_id="{{ a }}", environment="{{ e }}", mendix_conn_id="{{ c }}")
        task.render_template_fields({"a": "shop", "e": "Test", "c": "other"})
        assert (task.app_id, task.environment, task.mendix_conn_id) == ("shop", "Test", "other")


def test_what_is_deferred_holds_no_secret(platform, context, package):
    put(platform, running=True)
    platform.cloud.options = Options(stop="asynchronous")
    platform.environments.timeline = DeploymentTimeline(transporting=90)
    for task in (stop(deferrable=True), transport(package, deferrable=True)):
        with pytest.raises(TaskDeferred) as deferred:
            task.execute(context)
        row = repr(deferred.value.trigger.serialize())
        assert KEY not in row
        assert USER not in row


def test_settings_do_not_show_their_values():
    shown = repr(deploy.Settings(constants=({"Name": "Shop.Password", "Value": "canary"},)))
    assert "Shop.Password" in shown
    assert "canary" not in shown


@pytest.mark.parametrize("pause", [0, 60])
@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("requests", range(1, 9))
@pytest.mark.parametrize("step", ["stop", "transport", "promote", "start"])
def test_a_try_that_dies_after_any_request_is_completed_by_the_next(
    step, requests, deferrable, pause, platform, context, package, clock
):
    """The end is the same, and nothing is requested twice unless Mendix does not show it yet."""
    platform.cloud.options = Options(stop="asynchronous")
    platform.environments.timeline = DeploymentTimeline(stopping=40, transporting=40, starting=40)
    put(platform, "Acceptance", "3.0.0", running=True)
    put(platform, running=step == "stop")
    tasks = {
        "stop": lambda: stop(deferrable=deferrable),
        "transport": lambda: transport(package, deferrable=deferrable),
        "promote": lambda: transport(from_environment="Acceptance", deferrable=deferrable),
        "start": lambda: start(deferrable=deferrable),
    }
    with pytest.MonkeyPatch.context() as patch:
        die_after(patch, requests)
        with contextlib.suppress(KilledError):
            run_task(tasks[step](), context)
    retry(context)
    clock.sleep(pause)
    result = run_task(tasks[step](), context)

    site = platform.environments["shop", "Test"]
    if step == "stop":
        assert result["status"] == site.status == "Stopped"
    elif step == "start":
        assert result["status"] == site.status == "Running"
        assert len(platform.environments.start_jobs) == 1
    else:
        assert result == site.package_id
    # At once, Mendix does not show yet that it is stopping or transporting; a second start it refuses.
    if pause:
        assert len(posts(platform)) == 1
    elif step != "start":
        assert len(posts(platform)) <= 2
