from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from typing import get_args

import msgspec
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_mendix.exceptions import AppNotFoundError, ForbiddenError, RetiredApiError, UnauthorizedError
from airflow_provider_mendix.sensors.base import MendixSensor
from airflow_provider_mendix.sensors.revision import MendixRevisionSensor
from airflow_provider_mendix.simulator.options import Options, TeamServerResponse
from airflow_provider_mendix.simulator.wire import Reply

from ..conftest import KEY, SENSOR_MODES, TOKEN, USER, run_task, use_token

BAD_GATEWAY = Reply(502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>")


@pytest.fixture
def run_sensor(run_sensor, server):
    """Run a revision sensor to its end in any mode."""
    return partial(run_sensor, MendixRevisionSensor, app_id="shop")


@pytest.fixture
def later(platform, clock):
    """Return a function that calls another one at the first request after some seconds."""

    def plan(seconds, act):
        at, answer, done = clock.now() + seconds, platform.handle, []

        def handle(request):
            if clock.now() >= at and not done:
                done.append(act())
            return answer(request)

        platform.handle = handle
        return done

    return plan


@pytest.fixture(params=["git", "svn", "svn without token"])
def known(request, platform, server, monkeypatch):
    """Return the newest revision of an app, for each kind of repository and each API that knows it."""
    platform.add_app("shop", repository=request.param.split()[0])
    if "without" not in request.param:
        use_token(monkeypatch, server)
    return platform.repositories.push("shop", message="Known")


@pytest.fixture
def on_git(platform, token):
    """Return the newest revision of a Git app."""
    return platform.repositories.push("shop", message="Known")


@pytest.mark.parametrize("mode", SENSOR_MODES)
class TestAllModesAlike:
    def test_it_waits_for_the_next_revision_and_returns_it(self, mode, run_sensor, known, later, platform, clock):
        began = clock.now()
        author = "eva@example.com"
        pushed = later(
            100, lambda: platform.repositories.push("shop", message="Fix", author=author, mendix_version="10.6.1")
        )
        found = run_sensor(mode, newer_than=known)
        assert found == {
            "app_id": "shop",
            "branch": found["branch"],
            "revision": pushed[0],
            "author": author,
            "date": "2023-11-14T22:15:20+00:00",
            "message": "Fix",
            "mendix_version": "10.6.1",
        }
        assert found["branch"] == ("main" if len(known) == 40 else "trunk")
        assert 100 <= clock.now() - began <= 130

    def test_any_revision_ends_it_if_none_is_known(self, mode, run_sensor, known):
        assert run_sensor(mode)["revision"] == known

    def test_it_polls_at_its_interval(self, mode, run_sensor, on_git, later, platform):
        later(200, lambda: platform.repositories.push("shop"))
        run_sensor(mode, newer_than=on_git, poke_interval=60)
        times = sorted({entry.at for entry in platform.journal.requests("GET")})
        assert [round(later - sooner) for sooner, later in pairwise(times)] == [60] * 4

    def test_another_branch_does_not_matter(self, mode, run_sensor, on_git, platform, later):
        later(60, lambda: platform.repositories.push("shop", branch="next"))
        with pytest.raises(AirflowSensorTimeout):
            run_sensor(mode, newer_than=on_git, timeout=600)

    def test_it_times_out(self, mode, run_sensor, on_git, clock):
        began = clock.now()
        with pytest.raises(AirflowSensorTimeout):
            run_sensor(mode, newer_than=on_git, timeout=600)
        assert 600 <= clock.now() - began <= 630

    def test_a_time_out_skips_the_task_with_soft_fail(self, mode, run_sensor, on_git):
        with pytest.raises(AirflowSkipException):
            run_sensor(mode, newer_than=on_git, timeout=600, soft_fail=True)

    def test_a_missing_branch_fails_the_task_at_once(self, mode, run_sensor, known, platform, clock):
        platform.repositories.push("shop", branch="next")
        began = clock.now()
        with pytest.raises(
            AirflowFailException, match=r"no branch 'branches/nxt'.*(main|trunk), (branches/)?next\."
        ):
            run_sensor(mode, branch="nxt")
        assert clock.now() == began

    def test_a_missing_branch_skips_the_task_with_soft_fail(self, mode, run_sensor, on_git):
        with pytest.raises(AirflowSkipException):
            run_sensor(mode, branch="next", soft_fail=True)

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_branch_that_is_deleted_ends_the_task(self, mode, soft_fail, run_sensor, known, later, platform):
        newest = platform.repositories.push("shop", branch="next")

        def delete():
            repository = platform.repositories["shop"]
            left = {name: commits for name, commits in repository.branches.items() if name != "next"}
            platform.repositories["shop"] = msgspec.structs.replace(repository, branches=left)
            return True

        later(60, delete)
        with pytest.raises(AirflowSkipException if soft_fail else AirflowFailException):
            run_sensor(mode, branch="next", newer_than=newest, soft_fail=soft_fail)

    def test_a_missing_app_fails_the_task_at_once(self, mode, run_sensor, known, clock):
        began = clock.now()
        with pytest.raises(AirflowFailException):
            run_sensor(mode, app_id="shoq")
        assert clock.now() == began

    def test_a_missing_app_fails_the_task_even_with_soft_fail(self, mode, run_sensor, on_git):
        with pytest.raises(AppNotFoundError):
            run_sensor(mode, app_id="shoq", soft_fail=True)

    @pytest.mark.parametrize("path", ["/", "/apps/shop", "branches/"], ids=["everything", "the-app", "the-branch"])
    def test_a_transient_error_means_not_yet(self, mode, path, run_sensor, on_git, platform, clock):
        """This includes errors of the lookup before the first poll."""
        began, answer = clock.now(), platform.handle

        def handle(request):
            return BAD_GATEWAY if path in request.path and clock.now() < began + 1200 else answer(request)

        platform.handle = handle
        assert run_sensor(mode)["revision"] == on_git

    def test_an_error_that_stays_times_out(self, mode, run_sensor, on_git, platform, clock):
        platform.handle = lambda request: BAD_GATEWAY
        began = clock.now()
        with pytest.raises(AirflowSensorTimeout):
            run_sensor(mode, timeout=1800)
        assert 1800 <= clock.now() - began <= 1980

    def test_an_error_that_stays_skips_the_task_with_soft_fail(self, mode, run_sensor, on_git, platform):
        platform.handle = lambda request: BAD_GATEWAY
        with pytest.raises(AirflowSkipException):
            run_sensor(mode, timeout=1800, soft_fail=True)

    def test_a_refused_key_fails_the_task_even_with_soft_fail(self, mode, run_sensor, on_git, platform):
        platform.permissions.set_api_key(USER, "another-key")
        with pytest.raises(UnauthorizedError, match="API Rights"):
            run_sensor(mode, soft_fail=True)

    @pytest.mark.parametrize("revision", ["None", "HEAD", "2.5.4", True])
    def test_a_bad_revision_is_refused_before_any_request(self, mode, revision, run_sensor, platform):
        with pytest.raises(AirflowFailException, match="newer_than (is empty|.*SVN revision number)"):
            run_sensor(mode, newer_than=revision)
        assert not platform.journal

    @pytest.mark.parametrize(
        "bad", [{"app_id": "Web Shop"}, {"app_id": ""}, {"branch": ""}, {"branch": "refs/heads/x"}]
    )
    def test_a_bad_app_or_branch_is_refused_before_any_request(self, mode, bad, run_sensor, platform):
        with pytest.raises(AirflowFailException):
            run_sensor(mode, **bad)
        assert not platform.journal


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("mode", SENSOR_MODES)
class TestPersonalAccessToken:
    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_a_revoked_one_fails_the_task(self, mode, soft_fail, run_sensor, platform):
        platform.permissions.revoke_personal_access_token(TOKEN)
        with pytest.raises(
            UnauthorizedError if soft_fail else AirflowFailException, match="was revoked"
        ) as failed:
            run_sensor(mode, soft_fail=soft_fail)
        assert TOKEN not in str(failed.value)

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_one_without_scope_fails_the_task(self, mode, soft_fail, run_sensor, platform):
        platform.permissions.add_personal_access_token(TOKEN, scopes=["mx:app:read"])
        said = "has the scope mx:modelrepository:repo:read"
        with pytest.raises(ForbiddenError if soft_fail else AirflowFailException, match=said):
            run_sensor(mode, soft_fail=soft_fail)

    def test_one_of_a_user_outside_the_team_fails_the_task(self, mode, run_sensor, platform):
        platform.permissions.revoke("team", "shop")
        with pytest.raises(AirflowFailException, match="member of the app's team"):
            run_sensor(mode)

    def test_one_that_is_revoked_meanwhile_fails_the_task(self, mode, run_sensor, platform, later):
        known = platform.repositories.push("shop")
        later(60, lambda: platform.permissions.revoke_personal_access_token(TOKEN))
        with pytest.raises(AirflowFailException, match="was revoked"):
            run_sensor(mode, newer_than=known)


@pytest.mark.parametrize("mode", SENSOR_MODES)
class TestRetiredTeamServer:
    def test_a_git_app_without_token_fails_the_task(self, mode, run_sensor):
        with pytest.raises(AirflowFailException, match="mx:modelrepository:repo:read") as failed:
            run_sensor(mode)
        assert isinstance(failed.value.__context__, RetiredApiError)

    @pytest.mark.parametrize("form", get_args(TeamServerResponse))
    def test_fails_the_task_without_a_token_whenever_it_is_retired(self, mode, form, run_sensor, platform, later):
        platform.add_app("shop", repository="svn")
        known = platform.repositories.push("shop")
        retired = Options(team_server="retired", team_server_retired_response=form)
        later(60, lambda: setattr(platform.cloud, "options", retired))
        with pytest.raises(AirflowFailException, match="mx:modelrepository:repo:read"):
            run_sensor(mode, newer_than=known)

    @pytest.mark.parametrize("repository", ["git", "svn"])
    def test_is_never_asked_with_a_token(self, mode, repository, run_sensor, platform, token, later):
        platform.add_app("shop", repository=repository)
        known = platform.repositories.push("shop")
        pushed = later(60, lambda: platform.repositories.push("shop"))
        assert run_sensor(mode, newer_than=known)["revision"] == pushed[0]
        assert not [entry for entry in platform.journal if entry.host == "api" and "/branches" in entry.path]


@pytest.mark.usefixtures("token")
class TestWhatIsNewer:
    def test_a_git_hash_may_be_short(self, platform, run_sensor, later):
        known = platform.repositories.push("shop")
        pushed = later(60, lambda: platform.repositories.push("shop"))
        assert run_sensor("deferrable", newer_than=known[:8].upper())["revision"] == pushed[0]

    def test_a_git_branch_that_was_reset_counts(self, platform, run_sensor):
        older, newer = platform.repositories.push("shop"), platform.repositories.push("shop")
        repository = platform.repositories["shop"]
        reset = {"main": repository.branches["main"][:-1]}
        platform.repositories["shop"] = msgspec.structs.replace(repository, branches=reset)
        assert run_sensor("deferrable", newer_than=newer)["revision"] == older

    @pytest.mark.parametrize("as_type", [int, str])
    def test_an_svn_number_is_compared_as_a_number(self, as_type, platform, run_sensor, later):
        platform.add_app("shop", repository="svn")
        for _ in range(8):
            known = platform.repositories.push("shop")
        assert known == "9"
        pushed = later(60, lambda: platform.repositories.push("shop"))
        assert run_sensor("deferrable", newer_than=as_type(known))["revision"] == pushed[0] == "10"

    def test_an_older_svn_number_does_not_count(self, platform, run_sensor):
        platform.add_app("shop", repository="svn")
        with pytest.raises(AirflowSensorTimeout, match="timed out. Last state: at revision 1,"):
            run_sensor("deferrable", newer_than=5, timeout=600)


def test_it_defers_with_the_located_branch_and_no_secret(platform, token, context, clock):
    known = platform.repositories.push("shop", branch="next")
    sensor = MendixRevisionSensor(
        task_id="wait",
        app_id="{{ app }}",
        branch="{{ branch }}",
        newer_than="{{ known }}",
        mendix_conn_id="{{ conn }}",
        deferrable=True,
    )
    given = {"app": "shop", "branch": "next", "known": known, "conn": "mendix_default"}
    sensor.render_template_fields(given)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["wait"] == {
        "type": "RevisionWait",
        "app_id": "shop",
        "branch": "branches/next",
        "has_token": True,
        "source": {
            "type": "RepositoryBranch",
            "app_id": "shop",
            "project_id": platform.apps["shop"].project_id,
            "name": "branches/next",
        },
        "newer_than": known,
    }
    assert arguments["poll_state"]["deadline"] == clock.now() + 7200
    assert TOKEN not in json.dumps(arguments)
    assert KEY not in json.dumps(arguments)


def test_it_defers_before_the_branch_was_located(token, platform, context, clock):
    platform.faults.add("rate_limited", retry_after=3600, times=None)
    sensor = MendixRevisionSensor(task_id="wait", app_id="shop", branch="next", deferrable=True, timeout=1000)
    began = clock.now()
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(context)
    assert clock.now() == began
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["wait"] == {
        "type": "RevisionWait",
        "app_id": "shop",
        "branch": "branches/next",
        "has_token": True,
    }
    assert arguments["poll_state"]["next_poll_at"] == began + 900


def test_the_triggerer_locates_the_branch(token, platform, context, clock):
    known = platform.repositories.push("shop", branch="next")
    with platform.faults.add("bad_gateway", on="GET", times=20):
        sensor = MendixRevisionSensor(task_id="wait", app_id="shop", branch="next", deferrable=True)
        assert run_task(sensor, context)["revision"] == known


def test_a_missing_branch_fails_the_task_in_the_triggerer_too(token, platform, context):
    platform.repositories.push("shop", branch="next")
    with platform.faults.add("bad_gateway", on="GET", times=8):
        sensor = MendixRevisionSensor(task_id="wait", app_id="shop", branch="nxt", deferrable=True)
        with pytest.raises(AirflowFailException, match="no branch 'branches/nxt'.*branches/next"):
            run_task(sensor, context)


def test_nothing_located_in_time_times_out_with_the_reason(token, platform, context, clock):
    platform.faults.add("rate_limited", retry_after=3600, times=None)
    sensor = MendixRevisionSensor(task_id="wait", app_id="shop", deferrable=True, timeout=1000)
    began = clock.now()
    with pytest.raises(AirflowSensorTimeout, match="timed out. Last state: unknown.*429"):
        run_task(sensor, context)
    assert [round(entry.at - began) for entry in platform.journal] == [0, 900]


def test_the_defaults_are_the_documented_ones():
    sensor = MendixRevisionSensor(task_id="wait", app_id="shop")
    assert (sensor.branch, sensor.newer_than) == ("main", None)
    assert (sensor.poke_interval, sensor.timeout, sensor.deferrable) == (30, 7200, False)


def test_a_subclass_must_say_what_it_waits_for(context):
    with pytest.raises(NotImplementedError):
        MendixSensor(task_id="wait").poke(context)
