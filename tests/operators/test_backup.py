"""Backing up and restoring: one task run makes one snapshot, and only a stopped environment is restored."""

from __future__ import annotations

import contextlib

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_mendix.builds.marker import Marker, owner_of
from airflow_provider_mendix.exceptions import (
    BackupFailedError,
    EnvironmentNotFoundError,
    EnvironmentStateError,
    ForbiddenError,
    InvalidInputError,
    ProductionRefusedError,
    RestoreFailedError,
    RestoreRefusedError,
    UnexpectedEventError,
    WaitTimeoutError,
)
from airflow_provider_mendix.operators.backup import MendixCreateBackupOperator, MendixRestoreBackupOperator
from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline

from ..conftest import KEY, USER, run_task
from ..deploying import MODES, WAITING_MODES, KilledError, die_after, posts, put, retry

pytestmark = pytest.mark.usefixtures("server")
NOWHERE = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"


def back_up(retries=0, **changes):
    values = {"app_id": "shop", "environment": "Test", **changes}
    return MendixCreateBackupOperator(task_id="step", retries=retries, **values)


def restore(snapshot_id, **changes):
    values = {"app_id": "shop", "environment": "Test", **changes}
    return MendixRestoreBackupOperator(task_id="step", snapshot_id=snapshot_id, **values)


@pytest.fixture(autouse=True)
def package(platform):
    """Put a package on an environment."""
    return put(platform, running=True)


@pytest.fixture
def snapshot(platform, context, package):
    """A snapshot of an environment that is stopped since, and whose data has changed."""
    found = run_task(back_up(), context)
    platform.environments.add("shop", "Test", package_id=package).data = "changed since"
    return found


def restores(platform):
    return platform.journal.requests("POST", "/restores")


class TestCreate:
    @pytest.mark.parametrize("mode", MODES)
    def test_it_makes_one_snapshot_and_waits(self, mode, platform, context, clock):
        platform.environments.timeline = DeploymentTimeline(backing_up=90)
        began = clock.now()

        snapshot_id = run_task(back_up(comment="Before 2.0.0", **mode), context)

        assert list(platform.backups.snapshots) == [snapshot_id]
        waits = mode.get("wait_for_completion", True)
        assert clock.now() - began >= (90 if waits else 0)
        told = context["ti"].xcoms["mendix_backup"]
        assert told["snapshot_id"] == snapshot_id
        assert told["state"] == ("completed" if waits else "queued")
        assert told["model_version"] == ("1.0.0.9f3ab2c1" if waits else None)
        assert (told["finished_at"] is not None) is waits
        (post,) = platform.journal.requests("POST")
        owner = owner_of(context, back_up(comment="Before 2.0.0")._as_written, retries=0)
        assert post.body == {"comment": f"Before 2.0.0 {owner.marker}"}

    def test_a_long_comment_leaves_room_for_the_marker(self, platform, context):
        run_task(back_up(comment="x" * 500), context)
        comment = platform.journal.requests("POST")[0].body["comment"]
        assert len(comment) <= 200
        assert Marker.of(comment)

    def test_production_needs_no_permission(self, platform, context):
        put(platform, "Production", running=True)
        assert run_task(back_up(environment="Production"), context) in platform.backups.snapshots

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_failed_one_fails_the_task_with_mendix_message_and_a_retry_makes_another(
        self, mode, platform, context
    ):
        platform.backups.next_snapshots.append("failed")
        with pytest.raises(BackupFailedError, match="environment Test of app shop ended as failed: The simulator"):
            run_task(back_up(retries=1, **mode), context)
        retry(context)
        context["ti"].max_tries = 1
        assert (
            platform.backups.snapshots[run_task(back_up(retries=1, **mode), context)].steps[-1][0] == "completed"
        )

    def test_a_retry_after_a_failed_one_makes_another_once(self, platform, context):
        context["ti"].max_tries = 2
        platform.backups.next_snapshots.append("failed")
        with pytest.raises(BackupFailedError):
            run_task(back_up(retries=2), context)
        retry(context)
        second = run_task(back_up(retries=2, wait_for_completion=False), context)
        retry(context)
        assert run_task(back_up(retries=2), context) == second
        assert len(platform.backups.snapshots) == 2

    @pytest.mark.parametrize("code", ["ENVIRONMENT_BUSY", "INVALID_STATE", "SERVICE_UNAVAILABLE"])
    @pytest.mark.parametrize("mode", MODES)
    def test_a_transient_error_is_waited_for(self, mode, code, platform, context):
        platform.backups.next_snapshots.extend([code] * 2)
        run_task(back_up(**mode), context)
        assert posts(platform) == ["snapshots"] * 3
        assert len(platform.backups.snapshots) == 1

    def test_an_error_that_stays_times_out(self, platform, context):
        platform.backups.next_snapshots.extend(["ENVIRONMENT_BUSY"] * 99)
        with pytest.raises(WaitTimeoutError, match="back up environment Test.*ENVIRONMENT_BUSY"):
            run_task(back_up(timeout=600), context)

    def test_another_backup_is_waited_for(self, platform, context):
        first = run_task(back_up(comment="another", wait_for_completion=False), context)
        assert run_task(back_up(), context) != first

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("fault", ["reply_lost", "connection_reset"])
    def test_after_a_lost_response_the_snapshot_is_searched(self, fault, mode, platform, context):
        with platform.faults.add(fault, on="create_snapshot"):
            assert run_task(back_up(**mode), context) in platform.backups.snapshots
        assert len(platform.backups.snapshots) == 1

    def test_a_retry_finds_its_snapshot_among_many(self, platform, context):
        context["ti"].max_tries = 1
        platform.environments.timeline = DeploymentTimeline(backing_up=0)
        found = run_task(back_up(retries=1), context)
        for number in range(150):
            run_task(back_up(comment=str(number), wait_for_completion=False), context)
        retry(context)
        assert run_task(back_up(retries=1), context) == found
        assert len(platform.backups.snapshots) == 151

    def test_a_clear_makes_a_new_one(self, platform, context):
        first = run_task(back_up(), context)
        context["ti"].max_tries = context["ti"].try_number
        retry(context)
        assert run_task(back_up(), context) != first

    def test_the_same_run_made_again_makes_a_new_one(self, platform, context, clock):
        first = run_task(back_up(), context)
        clock.sleep(3600)
        context["dag_run"].start_date = context["dag_run"].start_date.add(seconds=3600)
        assert run_task(back_up(), context) != first

    def test_without_access_it_is_told(self, platform, context):
        platform.permissions.revoke("backups", "shop", "Test")
        with pytest.raises(AirflowFailException, match="Access to Backups") as failed:
            run_task(back_up(), context)
        assert isinstance(failed.value.__context__, ForbiddenError)

    def test_a_wrong_name_lists_the_right_ones(self, platform, context):
        with pytest.raises(
            AirflowFailException, match="'Test', 'Acceptance', 'Production'.*Write 'Test'"
        ) as failed:
            run_task(back_up(environment="test"), context)
        assert isinstance(failed.value.__context__, EnvironmentNotFoundError)

    def test_a_missing_event_fails_the_task(self, context):
        with pytest.raises(UnexpectedEventError):
            back_up().execute_complete(context, None)

    def test_what_is_deferred_holds_no_secret(self, context):
        with pytest.raises(TaskDeferred) as deferred:
            back_up(deferrable=True).execute(context)
        row = repr(deferred.value.trigger.serialize())
        assert KEY not in row
        assert USER not in row

    @pytest.mark.parametrize("pause", [0, 120])
    @pytest.mark.parametrize("deferrable", [False, True])
    @pytest.mark.parametrize("requests", range(1, 9))
    def test_a_try_that_dies_after_any_request_is_completed_by_the_next(
        self, requests, deferrable, pause, platform, context, clock
    ):
        context["ti"].max_tries = 1
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, requests)
            with contextlib.suppress(KilledError):
                run_task(back_up(retries=1, deferrable=deferrable), context)
        retry(context)
        clock.sleep(pause)
        found = run_task(back_up(retries=1, deferrable=deferrable), context)
        assert list(platform.backups.snapshots) == [found]
        assert posts(platform) == ["snapshots"]


class TestRestore:
    @pytest.mark.parametrize("mode", MODES)
    def test_it_restores_the_data_and_waits(self, mode, snapshot, platform, context, clock):
        platform.environments.timeline = DeploymentTimeline(restoring=90)
        began = clock.now()

        restore_id = run_task(restore(snapshot, **mode), context)

        assert list(platform.backups.restores) == [restore_id]
        clock.sleep(0 if mode.get("wait_for_completion", True) else 90)
        assert clock.now() - began >= 90
        assert platform.environments["shop", "Test"].data == "as it was at first"
        (post,) = restores(platform)
        assert post.query == {"source_snapshot_id": snapshot}

    def test_the_database_alone(self, snapshot, platform, context):
        run_task(restore(snapshot, db_only=True), context)
        assert restores(platform)[0].query["db_only"] == "true"

    def test_to_another_environment_of_the_app(self, snapshot, platform, context):
        put(platform, "Acceptance")
        run_task(restore(snapshot, environment="Acceptance"), context)
        assert platform.environments["shop", "Acceptance"].data == "as it was at first"

    @pytest.mark.parametrize(("version", "status"), [("1.0.0", "Running"), (None, "Empty")])
    def test_only_what_is_stopped_is_restored(self, version, status, snapshot, platform, context):
        put(platform, version=version, running=status == "Running")
        with pytest.raises(AirflowFailException, match=f"is {status}.*Stop it first") as failed:
            run_task(restore(snapshot), context)
        assert isinstance(failed.value.__context__, EnvironmentStateError)
        assert restores(platform) == []

    @pytest.mark.parametrize("mode", WAITING_MODES)
    def test_a_failed_one_fails_the_task_with_mendix_message(self, mode, snapshot, platform, context):
        platform.backups.next_restores.append("failed")
        with pytest.raises(
            RestoreFailedError, match="environment Test of app shop ended as failed: The simulator"
        ):
            run_task(restore(snapshot, **mode), context)

    def test_a_refusal_tells_the_state(self, snapshot, platform, context):
        platform.backups.next_restores.append("ERROR_NOT_ALLOWED")
        with pytest.raises(AirflowFailException, match="is Stopped now, and .*ERROR_NOT_ALLOWED") as failed:
            run_task(restore(snapshot), context)
        assert isinstance(failed.value.__context__, RestoreRefusedError)

    def test_a_snapshot_that_is_not_there_is_told(self, snapshot, platform, context):
        with pytest.raises(Exception, match="NOT_FOUND"):
            run_task(restore(NOWHERE), context)

    @pytest.mark.parametrize("code", ["ENVIRONMENT_BUSY", "INVALID_STATE", "SERVICE_UNAVAILABLE"])
    @pytest.mark.parametrize("mode", MODES)
    def test_a_transient_error_is_waited_for(self, mode, code, snapshot, platform, context):
        platform.backups.next_restores.extend([code] * 2)
        run_task(restore(snapshot, **mode), context)
        assert len(restores(platform)) == 3
        assert len(platform.backups.restores) == 1

    def test_after_a_lost_response_it_restores_again_when_the_first_is_over(self, snapshot, platform, context):
        platform.environments.timeline = DeploymentTimeline(restoring=100)
        with platform.faults.add("reply_lost", on="create_restore"):
            last = run_task(restore(snapshot), context)
        first, second = platform.backups.restores.values()
        assert second.restore_id == last
        assert second.created_at >= first.created_at + 100
        assert platform.environments["shop", "Test"].data == "as it was at first"

    @pytest.mark.parametrize("requests", range(1, 8))
    def test_a_try_that_dies_after_any_request_is_completed_by_the_next(
        self, requests, snapshot, platform, context
    ):
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, requests)
            with contextlib.suppress(KilledError):
                run_task(restore(snapshot), context)
        retry(context)
        assert run_task(restore(snapshot), context) in platform.backups.restores
        assert len(platform.backups.restores) <= 2
        assert platform.environments["shop", "Test"].data == "as it was at first"

    def test_production_is_refused_unless_the_dag_says_so(self, snapshot, platform, context):
        put(platform, "Production")
        with pytest.raises(AirflowFailException, match="allow_production=True") as failed:
            run_task(restore(snapshot, environment="Production"), context)
        assert isinstance(failed.value.__context__, ProductionRefusedError)
        assert restores(platform) == []
        run_task(restore(snapshot, environment="Production", allow_production=True), context)
        assert len(restores(platform)) == 1

    @pytest.mark.parametrize("wrong", ["", "None", "newest", None])
    def test_an_id_that_cannot_be_is_refused_before_any_request(self, wrong, platform, context):
        with pytest.raises(AirflowFailException, match="snapshot_id") as failed:
            run_task(restore(wrong), context)
        assert isinstance(failed.value.__context__, InvalidInputError)
        assert not platform.journal

    @pytest.mark.parametrize("name", ["allow_production", "db_only"])
    def test_flags_are_bools(self, name):
        with pytest.raises(ValueError, match=f"{name} must be True or False"):
            restore(NOWHERE, **{name: "True"})
