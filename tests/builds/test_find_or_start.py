"""One intent, one build: what a task does after it, its worker or its trigger has died."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_mendix.exceptions import (
    MendixError,
    OutageError,
    PackageFailedError,
    WaitTimeoutError,
)
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.simulator.state.packages import BuildOutcome

from ..conftest import TaskInstance, run_task, run_trigger, set_connection

pytestmark = pytest.mark.usefixtures("server")
HAS_RETRY_POLICIES = find_spec("airflow.sdk.definitions.retry_policy") is not None
REVISION = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"


class KilledError(BaseException):
    """The process of the task is gone."""


@pytest.fixture
def airflow(clock, platform):
    """A task as Airflow keeps it: it counts tries, and knows Retry from Clear."""

    class Airflow:
        def __init__(self):
            self.retries = 3
            self.ti = TaskInstance(max_tries=self.retries)
            self.dag_run = SimpleNamespace(start_date=pendulum.from_timestamp(clock.now()))
            self.arguments = {
                "app_id": "shop",
                "branch": "main",
                "revision": REVISION,
                "version": "2.5.4",
                "wait_for_completion": False,
            }

        @property
        def context(self):
            return {"ti": self.ti, "dag_run": self.dag_run}

        def task(self, **changes):
            return MendixStartBuildOperator(task_id="build", retries=self.retries, **{**self.arguments, **changes})

        def run(self, **changes):
            return run_task(self.task(**changes), self.context)

        def retry(self, **changes):
            self.ti.try_number += 1
            return self.run(**changes)

        def clear(self, **changes):
            """As `clear_task_instances` does."""
            self.ti.max_tries = self.ti.try_number + self.retries
            self.ti.try_number += 1
            return self.run(**changes)

    return Airflow()


def posts(platform):
    return len(platform.journal.requests("POST"))


def kill_before_the_reply(platform, monkeypatch):
    """Process the start call, and kill its sender before the response."""
    from airflow_provider_mendix.hooks.mendix import MendixHook

    start = MendixHook.start_build

    def killed(*arguments, **keywords):
        start(*arguments, **keywords)
        monkeypatch.undo()
        raise KilledError

    monkeypatch.setattr(MendixHook, "start_build", killed)


class TestRetry:
    def test_finds_the_build_whose_worker_died_before_the_reply(self, airflow, platform, clock, server):
        with pytest.MonkeyPatch.context() as patch:
            kill_before_the_reply(platform, patch)
            with pytest.raises(KilledError):
                airflow.run()
        (package_id,) = platform.packages
        assert airflow.retry() == package_id
        assert posts(platform) == 1

    def test_finds_the_build_that_it_waited_for(self, airflow, platform):
        with pytest.raises(TaskDeferred):
            airflow.task(wait_for_completion=True, deferrable=True).execute(airflow.context)
        (package_id,) = platform.packages
        assert airflow.retry(wait_for_completion=True, deferrable=True) == package_id
        assert posts(platform) == 1

    def test_finds_the_build_after_a_time_out(self, airflow, platform):
        platform.packages.outcome = BuildOutcome.STUCK_QUEUED
        with pytest.raises(WaitTimeoutError):
            airflow.run(wait_for_completion=True, timeout=60)
        with pytest.raises(WaitTimeoutError):
            airflow.retry(wait_for_completion=True, timeout=60)
        assert posts(platform) == 1

    def test_starts_a_new_build_after_one_that_failed_if_told_to(self, airflow, platform):
        airflow.arguments["retry_failed_build"] = True
        platform.packages.next_outcomes.append(BuildOutcome.FAILS_WHILE_BUILDING)
        with pytest.raises(PackageFailedError):
            airflow.run(wait_for_completion=True)
        package_id = airflow.retry(wait_for_completion=True)
        assert platform.packages.status(package_id) == "Succeeded"
        assert posts(platform) == 2

    @pytest.mark.parametrize("wait_for_completion", [True, False])
    def test_fails_for_good_if_the_build_of_an_earlier_try_has_failed(
        self, wait_for_completion, airflow, platform, clock
    ):
        platform.packages.next_outcomes.append(BuildOutcome.FAILS_WHILE_BUILDING)
        package_id = airflow.run()  # and then its worker dies
        clock.sleep(100)
        with pytest.raises(AirflowFailException, match=f"{package_id}.*earlier try.*retry_failed_build=True"):
            airflow.retry(wait_for_completion=wait_for_completion)
        assert posts(platform) == 1

    def test_of_a_retry_does_not_start_a_third_build(self, airflow, platform):
        airflow.arguments["retry_failed_build"] = True
        platform.packages.next_outcomes.append(BuildOutcome.FAILS_WHILE_BUILDING)
        with pytest.raises(PackageFailedError):
            airflow.run(wait_for_completion=True)
        second = airflow.retry()
        assert airflow.retry() == second
        assert posts(platform) == 2

    def test_whose_template_renders_to_a_newer_revision_still_finds_its_build(self, airflow, platform):
        def run(revision):
            task = airflow.task(revision="{{ newest }}")
            task.render_template_fields({"newest": revision})
            return task.execute(airflow.context)

        first = run(REVISION)
        airflow.ti.try_number += 1
        assert run("a" * 40) == first
        assert posts(platform) == 1

    def test_with_other_arguments_is_another_intent(self, airflow, platform):
        first = airflow.run()
        assert airflow.retry(version="2.5.5") != first

    @pytest.mark.parametrize("retries", [0, 1, 9])
    def test_finds_its_build_when_retries_was_edited_between_tries(self, airflow, platform, retries):
        first = airflow.run()
        airflow.retries = retries
        assert airflow.retry() == first

    def test_searches_for_a_build_that_is_not_in_the_list_yet(self, airflow, platform, clock):
        with platform.faults.add("hidden_from_list", seconds=40, times=None):
            first = airflow.run()
            assert airflow.retry() == first
        assert posts(platform) == 1

    def test_is_told_apart_between_tasks_runs_and_mapped_tasks(self, airflow, platform):
        airflow.run()
        for name, value in {"task_id": "other", "run_id": "other", "dag_id": "other", "map_index": 3}.items():
            before = getattr(airflow.ti, name)
            setattr(airflow.ti, name, value)
            airflow.run()
            setattr(airflow.ti, name, before)
        assert posts(platform) == 5

    def test_is_told_apart_between_installations(self, airflow, platform, monkeypatch):
        first = airflow.run()
        monkeypatch.setenv("AIRFLOW__MENDIX__INSTANCE_NAME", "staging")
        assert airflow.run() != first
        monkeypatch.delenv("AIRFLOW__MENDIX__INSTANCE_NAME")
        monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://staging.example.com")
        airflow.run()
        assert posts(platform) == 3

    def test_of_a_dag_run_that_was_deleted_and_made_again_builds_again(self, airflow, platform, clock):
        first = airflow.run()
        clock.sleep(3600)
        airflow.dag_run.start_date = pendulum.from_timestamp(clock.now())
        assert airflow.run() != first


class TestClear:
    @pytest.mark.parametrize(
        "first_ends", [BuildOutcome.SUCCEEDS, BuildOutcome.STUCK_QUEUED, BuildOutcome.FAILS_WHILE_BUILDING]
    )
    def test_builds_again(self, airflow, platform, clock, first_ends, caplog):
        caplog.set_level("INFO")
        platform.packages.next_outcomes.append(first_ends)
        first = airflow.run()
        clock.sleep(100)
        second = airflow.clear()
        assert second != first
        assert f"cleared since it started package {first}" in caplog.text
        assert airflow.retry() == second

    def test_builds_again_each_time(self, airflow, platform):
        assert len({airflow.run(), airflow.clear(), airflow.clear(), airflow.clear()}) == 4

    def test_after_retries_builds_again(self, airflow, platform):
        first = airflow.run()
        assert airflow.retry() == first
        assert airflow.clear() != first

    def test_without_retries_builds_again(self, airflow, platform):
        airflow.retries = airflow.ti.max_tries = 0
        assert airflow.run() != airflow.clear()

    def test_reattaches_if_told_to(self, airflow, platform):
        first = airflow.run(on_clear="reattach")
        assert airflow.clear(on_clear="reattach") == first
        assert posts(platform) == 1

    def test_does_not_reattach_to_a_failed_build(self, airflow, platform, clock):
        platform.packages.next_outcomes.append(BuildOutcome.FAILS_WHILE_BUILDING)
        first = airflow.run(on_clear="reattach")
        clock.sleep(100)
        assert airflow.clear(on_clear="reattach") != first

    def test_of_another_task_changes_nothing(self, airflow, platform):
        first = airflow.run()
        airflow.dag_run.clear_number = 1
        assert airflow.retry() == first

    def test_of_a_running_task_looks_like_a_retry_where_airflow_does_not_say_so(self, airflow, platform):
        """It is terminated and runs again, and until the executor has reported, `max_tries` stays as it was."""
        first = airflow.run()
        assert airflow.retry() == first

    def test_of_a_running_task_builds_again_where_airflow_says_so(self, airflow, platform):
        """From 3.1 on the scheduler moves `max_tries` once the executor has reported that the old one ended."""
        first = airflow.run()
        airflow.ti.max_tries = airflow.ti.try_number + airflow.retries
        assert airflow.retry() != first

    def test_an_unknown_choice_is_refused(self, airflow):
        with pytest.raises(ValueError, match="on_clear must be"):
            airflow.task(on_clear="continue")


class TestUnconfirmedStart:
    @pytest.mark.parametrize(
        ("fault", "parameters"),
        [
            ("reply_lost", {}),
            ("hang", {"handled": True, "seconds": 5}),
            ("server_error", {"handled": True, "status": 500}),
            ("bad_gateway", {"handled": True}),
            ("truncated_json", {}),
            ("empty_body", {}),
        ],
    )
    def test_a_build_whose_reply_is_lost_is_found(self, fault, parameters, airflow, platform, server, monkeypatch):
        set_connection(monkeypatch, host=server.api_url, extra={"timeout": 1})
        platform.faults.add(fault, on="start_build", **parameters)
        package_id = airflow.run()
        assert list(platform.packages) == [package_id]
        assert posts(platform) == 1

    def test_it_is_found_even_if_it_is_listed_late(self, airflow, platform):
        platform.faults.add("hidden_from_list", seconds=50, times=None)
        platform.faults.add("reply_lost", on="start_build")
        package_id = airflow.run()
        assert list(platform.packages) == [package_id]

    @pytest.mark.parametrize("fault", ["truncated_description", "dropped_description"])
    def test_it_is_found_even_if_mendix_lost_the_marker(self, fault, airflow, platform):
        parameters = {"length": 12} if fault == "truncated_description" else {}
        platform.faults.add(fault, times=None, **parameters)
        platform.faults.add("reply_lost", on="start_build")
        assert airflow.run(description="Nightly build") in platform.packages
        assert airflow.retry(description="Nightly build") in platform.packages
        assert posts(platform) == 1

    @pytest.mark.parametrize("times", [1, 3])
    @pytest.mark.parametrize(
        ("fault", "parameters"),
        [
            ("connection_reset", {}),
            ("rate_limited", {}),
            ("rate_limited", {"retry_after": 200}),
            ("server_error", {"status": 503}),
            ("server_error", {"status": 503, "code": "SERVICE UNAVAILABLE"}),
            ("bad_gateway", {}),
            ("hang", {"handled": False, "seconds": 5}),
        ],
    )
    def test_a_start_that_did_not_arrive_is_sent_again_by_the_same_try(
        self, fault, parameters, times, airflow, platform, server, clock, monkeypatch
    ):
        set_connection(monkeypatch, host=server.api_url, extra={"timeout": 1})
        airflow.retries = airflow.ti.max_tries = 0
        platform.faults.add(fault, on="start_build", times=times, **parameters)
        began = clock.now()
        package_id = airflow.run(outage_tolerance=900)
        assert list(platform.packages) == [package_id]
        assert posts(platform) == times + 1
        assert clock.now() - began >= times * max(30, parameters.get("retry_after", 0))

    @pytest.mark.parametrize("fault", ["connection_reset", "rate_limited"])
    def test_a_start_that_never_arrives_is_an_outage_after_the_tolerance(self, fault, airflow, platform, clock):
        platform.faults.add(fault, on="start_build", times=None)
        began = clock.now()
        with pytest.raises(OutageError, match=r"start a build of app shop within 300 s.*searches again before it"):
            airflow.run(outage_tolerance=300)
        assert 300 <= clock.now() - began <= 300 + 2 * 60
        assert not platform.packages
        platform.faults.clear()
        assert airflow.retry() in platform.packages

    def test_without_a_tolerance_a_start_is_sent_once(self, airflow, platform):
        platform.faults.add("rate_limited", on="start_build")
        with pytest.raises(OutageError):
            airflow.run(outage_tolerance=0)
        assert posts(platform) == 1

    @pytest.mark.parametrize("visible_after", [0, 40])
    @pytest.mark.parametrize("list_fails", [0, 4, 8])
    def test_a_start_is_not_sent_again_if_the_first_one_was_processed(
        self, list_fails, visible_after, airflow, platform
    ):
        """Neither while the package is not listed yet, nor while the list cannot be read."""
        platform.faults.add("hidden_from_list", seconds=visible_after, times=None)
        platform.faults.add("reply_lost", on="start_build")
        if list_fails:
            platform.faults.add("server_error", on="list_packages", after=1, times=list_fails, status=503)
        package_id = airflow.run()
        assert list(platform.packages) == [package_id]
        assert posts(platform) == 1

    def test_a_start_that_is_sent_again_follows_the_rules_anew(self, airflow, platform, clock):
        """Another task has built the revision meanwhile."""
        platform.faults.add("rate_limited", on="start_build", times=None)
        answer, built = platform.handle, []

        def handle(request):
            reply = answer(request)
            if request.method == "POST" and not built:
                platform.faults.clear()
                built.append(platform.packages.add("shop", version="2.5.4", revision=REVISION))
            return reply

        platform.handle = handle
        assert airflow.run(if_exists="reuse") == built[0]
        assert posts(platform) == 1

    def test_a_refused_build_is_not_searched_for(self, airflow, platform, clock):
        platform.packages.next_outcomes.append(BuildOutcome.REFUSED)
        began = clock.now()
        with pytest.raises(AirflowFailException, match="BuildFailedError"):
            airflow.run()
        assert clock.now() == began

    def test_nothing_is_started_while_the_list_cannot_be_read(self, airflow, platform):
        platform.faults.add("server_error", on="list_packages", times=None, status=503)
        with pytest.raises(MendixError):
            airflow.run()
        assert posts(platform) == 0

    def test_an_unknown_error_leaves_the_outcome_unknown_too(self, airflow, platform):
        platform.faults.add("server_error", on="start_build", handled=True, code="NEW_CODE")
        package_id = airflow.run()
        assert list(platform.packages) == [package_id]

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_a_package_that_is_visible_late_is_waited_for(self, deferrable, airflow, platform):
        platform.faults.add("hidden_from_list", seconds=40, times=None)
        package_id = airflow.run(wait_for_completion=True, deferrable=deferrable)
        assert platform.packages.status(package_id) == "Succeeded"

    def test_a_package_that_is_gone_later_is_gone(self, airflow, platform, clock):
        platform.packages.outcome = BuildOutcome.STUCK_QUEUED
        with pytest.raises(TaskDeferred) as deferred:
            airflow.task(wait_for_completion=True, deferrable=True).execute(airflow.context)
        clock.sleep(61)
        platform.packages.clear()
        assert run_trigger(deferred.value.trigger)["error"]["type"] == "PackageNotFoundError"

    def test_a_foreign_build_of_the_same_revision_is_not_taken(self, airflow, platform):
        foreign = platform.packages.add("shop", version="2.5.4", revision=REVISION, description="By hand")
        assert airflow.run() != foreign
        airflow.ti.run_id = "another"
        assert airflow.retry() != foreign


class TestTwoWorkers:
    def test_two_workers_at_the_same_moment_end_at_the_same_package(self, airflow, platform, caplog):
        """Both search, both find nothing, both start: Mendix has no lock."""
        answer = platform.handle
        results = []

        def handle(request):
            if request.method == "POST" and not results:
                results.append(None)
                results[0] = airflow.run()
            return answer(request)

        platform.handle = handle
        late = airflow.run()

        assert posts(platform) == 2
        first, second = sorted(platform.packages, key=lambda each: (platform.packages[each].created_at, each))
        assert late == first
        assert airflow.ti.xcoms["mendix_extra_packages"] == [second]
        assert f"using {first}; no task waits for {second}" in caplog.text
        assert airflow.retry() == first
