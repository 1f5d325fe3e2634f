"""Waiting for a package: what each answer means, when to look again, and when to give up."""

from __future__ import annotations

import asyncio
import json

import pendulum
import pytest

from airflow_provider_mendix.api.backups import Restore, Snapshot
from airflow_provider_mendix.api.build import DownloadUrl, Package, PackageStatus
from airflow_provider_mendix.api.deploy import Environment, StartJob
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.exceptions import (
    BackupFailedError,
    BuildFailedError,
    EnvironmentNotFoundError,
    MalformedResponseError,
    MendixConnectionError,
    MendixError,
    NotFoundError,
    OutageError,
    PackageFailedError,
    PackageNotFoundError,
    RateLimitedError,
    RestoreFailedError,
    ServiceUnavailableError,
    StartFailedError,
    StartJobNotFoundError,
    UnauthorizedError,
    UnexpectedEventError,
    WaitTimeoutError,
)
from airflow_provider_mendix.settings import MAX_RETRY_AFTER
from airflow_provider_mendix.waits.backup import RestoreWait, SnapshotWait
from airflow_provider_mendix.waits.base import (
    Outcome,
    PackageWait,
    failure_event,
    result_of,
    success_event,
    wait_from_json,
    wait_to_json,
)
from airflow_provider_mendix.waits.environment import EnvironmentWait, StartJobWait, TransportWait
from airflow_provider_mendix.waits.poll_state import Watch

WAIT = PackageWait("calc", "b3d14e53")
START = 1_000_000.0
DOWN = ServiceUnavailableError("HTTP 503.", status=503)


def package(status: str, **fields: object) -> Package:
    return Package(package_id="b3d14e53", status=status, **fields)


def watch(*, poll_interval=30.0, timeout=7200.0, outage_tolerance=None) -> Watch:
    return Watch(
        WAIT,
        poll_interval=poll_interval,
        deadline=START + timeout,
        outage_tolerance=outage_tolerance,
        now=START,
    )


class TestPackageWait:
    def test_what_it_asks(self):
        call = WAIT.call()

        assert (call.endpoint.method, call.target) == ("GET", "/api/1/apps/calc/packages/b3d14e53")

    @pytest.mark.parametrize("status", ["Queued", "Building", "Uploading"])
    def test_not_yet(self, status):
        assert WAIT.judge(package(status)) == Outcome(status)

    @pytest.mark.parametrize("status", ["Available", "", "succeeded", "FAILED", "Succeeded "])
    def test_an_unknown_status_means_not_yet(self, status):
        assert WAIT.judge(package(status)).done is False

    def test_succeeded(self):
        done = package(
            "Succeeded", version="2.5.4.63", size=1999059, url=DownloadUrl(location="https://canary", ttl=900)
        )

        outcome = WAIT.judge(done)

        assert outcome.done is True
        assert outcome.result["package_id"] == "b3d14e53"
        assert outcome.result["version"] == "2.5.4.63"
        assert "canary" not in json.dumps(outcome.result)

    @pytest.mark.parametrize(("version", "shown"), [("2.5.4.63", "2.5.4.63"), (None, "unknown")])
    def test_failed(self, version, shown):
        with pytest.raises(PackageFailedError) as raised:
            WAIT.judge(package("Failed", version=version))

        message = str(raised.value)
        assert message.startswith(f"Package b3d14e53 of app calc (version {shown}) ended as Failed.")
        assert "Environments page" in message

    def test_every_documented_status_is_known(self):
        assert [status.value for status in PackageStatus] == [
            "Queued",
            "Building",
            "Uploading",
            "Succeeded",
            "Failed",
        ]

    def test_round_trip(self):
        stored = json.loads(json.dumps(wait_to_json(WAIT)))

        assert wait_from_json(stored) == WAIT

    @pytest.mark.parametrize(
        "stored",
        [
            None,
            "PackageWait",
            [],
            {},
            {"type": "PackageWait"},
            {"type": "PackageWait", "app_id": "calc", "package_id": None},
            {"type": "AnotherWait", "app_id": "calc", "package_id": "b3d14e53"},
        ],
        ids=repr,
    )
    def test_rubbish(self, stored):
        with pytest.raises(UnexpectedEventError, match="wait that this version cannot read"):
            wait_from_json(stored)


PROJECT, PLACE, BACKUP = (f"0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3{digit}" for digit in "bcd")
RUNNING = EnvironmentWait("calc", "Test", "Running")
THERE = TransportWait("calc", "Test", "b3d14e53")
STARTED = StartJobWait("calc", "Test", "j-1")
SNAPSHOT = SnapshotWait("calc", "Test", PROJECT, PLACE, BACKUP, START)
RESTORE = RestoreWait("calc", "Test", PROJECT, PLACE, BACKUP, START)
ON_ENVIRONMENTS = [RUNNING, THERE, STARTED, SNAPSHOT, RESTORE]


class TestWaitsOnEnvironments:
    @pytest.mark.parametrize(
        ("wait", "target"),
        [
            (RUNNING, "/api/1/apps/calc/environments/Test"),
            (THERE, "/api/1/apps/calc/environments/Test/package"),
            (STARTED, "/api/1/apps/calc/environments/Test/start/j-1"),
            (SNAPSHOT, f"/api/v2/apps/{PROJECT}/environments/{PLACE}/snapshots/{BACKUP}"),
            (RESTORE, f"/api/v2/apps/{PROJECT}/environments/{PLACE}/restores/{BACKUP}"),
        ],
    )
    def test_what_they_ask(self, wait, target):
        assert (wait.call().endpoint.method, wait.call().target) == ("GET", target)
        assert wait.shared_call().target == target
        assert wait.extract("the answer") == "the answer"

    @pytest.mark.parametrize("wait", ON_ENVIRONMENTS, ids=lambda wait: type(wait).__name__)
    def test_round_trip(self, wait):
        assert wait_from_json(json.loads(json.dumps(wait_to_json(wait)))) == wait

    def test_those_that_ask_the_same_share_the_answer(self):
        assert RUNNING.group == EnvironmentWait("calc", "Test", "Stopped", "2.5.4.63").group
        assert (
            len({wait.group for wait in [*ON_ENVIRONMENTS, WAIT, EnvironmentWait("calc", "test", "Running")]}) == 7
        )

    @pytest.mark.parametrize("wait", ON_ENVIRONMENTS, ids=lambda wait: type(wait).__name__)
    def test_what_they_forgive(self, wait):
        assert wait.is_retryable(DOWN, START)
        assert not wait.is_retryable(UnauthorizedError("no"), START)
        assert not wait.is_retryable(EnvironmentNotFoundError("no"), START)
        assert not wait.is_retryable(StartFailedError("no"), START)
        assert wait.is_retryable(PackageNotFoundError("none yet"), START + 1) is (wait is THERE)
        assert not wait.is_retryable(StartJobNotFoundError("no"), START + 1)

    @pytest.mark.parametrize("wait", [SNAPSHOT, RESTORE], ids=["snapshot", "restore"])
    def test_a_backup_may_take_a_moment_to_show(self, wait):
        assert wait.is_retryable(NotFoundError("not yet"), START - 1)
        assert not wait.is_retryable(NotFoundError("no"), START)

    @pytest.mark.parametrize("status", ["Stopped", "Empty", "running", "Starting", ""])
    def test_another_status_means_not_yet(self, status):
        assert RUNNING.judge(Environment("Test", status)) == Outcome(status)

    def test_the_status_and_the_version(self):
        wait = EnvironmentWait("calc", "Test", "Running", "2.5.4.63")
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

    def test_the_package_on_an_environment(self):
        assert not THERE.judge(Package(package_id="another", status="Succeeded")).done
        done = THERE.judge(package("Succeeded", url=DownloadUrl(location="https://canary", ttl=900)))
        assert done.done
        assert (done.result["package_id"], done.result["environment"]) == ("b3d14e53", "Test")
        assert "canary" not in json.dumps(done.result)

    @pytest.mark.parametrize(("status", "done"), [("Starting", False), ("Started", True), ("Warming", False)])
    def test_a_start_job(self, status, done):
        assert STARTED.judge(StartJob(status)) == Outcome(status, done=done)

    @pytest.mark.parametrize("state", ["queued", "running", "Completed", "paused"])
    def test_a_backup_is_not_done_yet(self, state):
        assert SNAPSHOT.judge(Snapshot(BACKUP, state)) == Outcome(state)
        assert RESTORE.judge(Restore(BACKUP, state)) == Outcome(state)

    def test_a_backup_is_done(self):
        date = pendulum.datetime(2026, 11, 22)
        made = SNAPSHOT.judge(Snapshot(BACKUP, "completed", created_at=date, comment="by hand"))
        assert made.done
        assert json.loads(json.dumps(made.result)) == {
            "snapshot_id": BACKUP,
            "state": "completed",
            "model_version": None,
            "comment": "by hand",
            "created_at": "2026-11-22T00:00:00+00:00",
            "finished_at": None,
            "expires_at": None,
        }
        assert RESTORE.judge(Restore(BACKUP, "completed")).result == {"restore_id": BACKUP}

    @pytest.mark.parametrize(("said", "shown"), [("No  space.", "failed: No space."), (None, "failed.")])
    def test_a_backup_that_failed(self, said, shown):
        with pytest.raises(
            BackupFailedError, match=f"Snapshot {BACKUP} of environment Test of app calc ended as {shown}"
        ):
            SNAPSHOT.judge(Snapshot(BACKUP, "failed", status_message=said))
        with pytest.raises(RestoreFailedError, match=f"to environment Test of app calc ended as {shown}"):
            RESTORE.judge(Restore(BACKUP, "failed", status_message=said))


class TestObserve:
    def test_a_build_from_start_to_end(self):
        watched = watch()

        seen = [
            (watched.observe(package(status), START + minute * 60), watched.news)
            for minute, status in enumerate(["Queued", "Building", "Building", "Uploading", "Succeeded"])
        ]

        assert [outcome.done for outcome, _ in seen] == [False, False, False, False, True]
        subject = "Package b3d14e53 of app calc"
        assert [news for _, news in seen] == [
            f"{subject}: Queued",
            f"{subject}: Building",
            None,
            f"{subject}: Uploading",
            f"{subject}: Succeeded",
        ]

    def test_failed(self):
        watched = watch()
        watched.observe(package("Building"), START)

        with pytest.raises(PackageFailedError):
            watched.observe(package("Failed"), START + 30)

    @pytest.mark.parametrize("kind", [PackageNotFoundError, UnauthorizedError, BuildFailedError, MendixError])
    def test_a_final_error_ends_the_wait_as_it_is(self, kind):
        error = kind("no")

        with pytest.raises(kind) as raised:
            watch().observe(error, START)

        assert raised.value is error

    @pytest.mark.parametrize(
        "error", [DOWN, MendixConnectionError("reset"), MalformedResponseError("html"), RateLimitedError("slow")]
    )
    def test_a_passing_error_is_put_up_with(self, error):
        watched = watch()
        watched.observe(package("Building"), START)

        assert watched.observe(error, START + 30) == Outcome("Building")
        assert str(error) in watched.news
        assert watched.observe(error, START + 60) == Outcome("Building")
        assert watched.news is None
        assert watched.observe(package("Building"), START + 90) == Outcome("Building")
        assert "answers again; still Building" in watched.news
        assert watched.observe(package("Succeeded"), START + 120).done is True

    def test_an_error_before_the_first_answer(self):
        assert watch().observe(DOWN, START) == Outcome("not seen yet")


class TestHeartbeat:
    def test_a_wait_says_every_five_minutes_that_it_goes_on(self):
        watched, heard = watch(timeout=1e6), []
        for second in range(0, 1801, 30):
            watched.observe(package("Queued" if second < 60 else "Building"), START + second)
            if watched.news:
                heard.append((second, watched.news.partition(": ")[2]))

        assert heard == [
            (0, "Queued"),
            (60, "Building"),
            *((60 + 300 * count, f"still Building, for {5 * count} min") for count in range(1, 6)),
        ]

    def test_so_it_does_during_an_outage(self):
        watched, heard = watch(timeout=1e6), []
        for second in range(0, 901, 30):
            watched.observe(DOWN, START + second)
            if watched.news:
                heard.append((second, watched.news.partition(": ")[2]))

        assert heard == [
            (0, "no good answer; it is asked again. HTTP 503."),
            (300, "no good answer for 5 min; it is asked again. HTTP 503."),
            (600, "no good answer for 10 min; it is asked again. HTTP 503."),
            (900, "no good answer for 15 min; it is asked again. HTTP 503."),
        ]

    def test_a_resumed_wait_knows_since_when(self):
        watched = watch(timeout=1e6)
        watched.resume("Building", START - 600, {})
        watched.observe(package("Building"), START)
        assert watched.news is None
        watched.observe(package("Building"), START + 300)
        assert watched.news.endswith("still Building, for 15 min")


class TestPhases:
    def test_they_are_what_was_seen(self):
        watched = watch()
        watched.resume("Queued", START - 40, {})
        for second, status in [(0, "Queued"), (30, "Building"), (60, "Optimizing"), (90, "Uploading")]:
            watched.observe(package(status), START + second)

        result = watched.observe(package("Succeeded"), START + 95.26).result

        assert result["phases"] == {"queued": 70.0, "building": 30.0, "uploading": 5.3}

    def test_they_add_up_over_a_deferral_and_a_step_back(self):
        watched = watch()
        watched.resume("Building", START - 10, {"Queued": 20.0, "Building": 5.0})
        for second, status in [(0, "Queued"), (10, "Building"), (20, "Succeeded")]:
            done = watched.observe(package(status), START + second)

        assert done.result["phases"] == {"queued": 30.0, "building": 25.0}

    def test_what_was_never_seen_is_not_there(self):
        assert watch().observe(package("Succeeded"), START).result["phases"] == {}


class TestNobodyCouldBeAsked:
    def test_nothing_changes(self):
        watched = watch(outage_tolerance=0)
        watched.observe(package("Building"), START)
        assert watched.observe(None, START + 30) == Outcome("Building")
        assert watched.news is None

    def test_the_deadline_holds(self):
        watched = watch(timeout=600)
        watched.observe(package("Building"), START)
        with pytest.raises(WaitTimeoutError, match="timed out while Building, for 600 s"):
            watched.observe(None, START + 600)


class TestFirstDelay:
    def test_a_wait_that_was_just_handed_over_keeps_to_its_interval(self):
        assert watch().first_delay(START + 2, START + 30) == 28

    def test_one_that_comes_late_has_its_own_moment_within_the_interval(self):
        moments = {
            Watch(
                PackageWait(f"app{number}", "p"),
                poll_interval=30.0,
                deadline=START + 7200,
                outage_tolerance=None,
                now=START,
            ).first_delay(START, START - 100)
            for number in range(100)
        }
        assert len(moments) == 100
        assert all(0 <= moment < 30 for moment in moments)

    def test_without_a_plan_it_is_the_interval(self):
        assert watch().first_delay(START, None) == 30

    def test_the_deadline_holds(self):
        assert watch(timeout=10).first_delay(START, START + 30) == 10

    def test_a_clock_that_was_set_back_does_not_put_it_off_for_long(self):
        assert watch(timeout=1e6).first_delay(START, START + 86_400) == MAX_RETRY_AFTER


class TestOutage:
    def test_it_is_tolerated_up_to_a_point(self):
        watched = watch(outage_tolerance=600)
        watched.observe(package("Building"), START + 100)
        watched.observe(DOWN, START + 699)

        with pytest.raises(OutageError) as raised:
            watched.observe(DOWN, START + 700)

        message = str(raised.value)
        assert "no good answer from Mendix for 600 s (tolerated: 600 s); last state Building" in message
        assert "HTTP 503." in message
        assert raised.value.__cause__ is DOWN
        assert raised.value.transient is False

    def test_a_good_answer_starts_the_clock_again(self):
        watched = watch(outage_tolerance=600)
        for now in (599, 1000, 1500):
            watched.observe(DOWN, START + now)
            watched.observe(package("Building"), START + now + 1)

        assert watched.observe(DOWN, START + 2000) == Outcome("Building")

    def test_the_clock_starts_with_the_wait(self):
        with pytest.raises(OutageError, match="last state not seen yet"):
            watch(outage_tolerance=600).observe(DOWN, START + 600)

    def test_no_tolerance_at_all(self):
        with pytest.raises(OutageError):
            watch(outage_tolerance=0).observe(DOWN, START)

    def test_any_outage_may_be_tolerated(self):
        assert watch(outage_tolerance=None, timeout=1e6).observe(DOWN, START + 999_999) == Outcome("not seen yet")


class TestDeadline:
    def test_it_ends_the_wait(self):
        watched = watch(timeout=600)
        watched.observe(package("Queued"), START)
        watched.observe(package("Building"), START + 500)
        watched.observe(package("Building"), START + 599)

        with pytest.raises(WaitTimeoutError) as raised:
            watched.observe(package("Building"), START + 600)

        message = str(raised.value)
        assert "Package b3d14e53 of app calc: timed out while Building, for 100 s by now" in message
        assert "raise the timeout" in message
        assert raised.value.__cause__ is None

    def test_a_success_on_the_deadline_is_one(self):
        assert watch(timeout=600).observe(package("Succeeded"), START + 600).done is True

    def test_a_success_after_the_deadline_is_one(self):
        assert watch(timeout=600).observe(package("Succeeded"), START + 9999).done is True

    def test_it_ends_the_wait_during_an_outage_too(self):
        with pytest.raises(WaitTimeoutError, match=r"while not seen yet.*The last problem: HTTP 503\.") as raised:
            watch(timeout=600).observe(DOWN, START + 600)

        assert raised.value.__cause__ is DOWN


class TestDelay:
    def test_it_is_the_poll_interval(self):
        assert watch(poll_interval=30).delay(START) == 30

    def test_the_last_look_falls_on_the_deadline(self):
        watched = watch(poll_interval=30, timeout=100)

        assert [watched.delay(START + now) for now in (60, 70, 71, 99, 100, 500)] == [30, 30, 29, 1, 0, 0]

    @pytest.mark.parametrize(
        ("retry_after", "expected"), [(None, 30), (0, 30), (10, 30), (120, 120), (10**9, MAX_RETRY_AFTER)]
    )
    def test_a_server_may_ask_for_patience(self, retry_after, expected):
        watched = watch(poll_interval=30)

        watched.observe(RateLimitedError("slow", retry_after=retry_after), START)

        assert watched.delay(START) == expected

    def test_patience_ends_with_the_deadline(self):
        watched = watch(poll_interval=30, timeout=100)
        watched.observe(RateLimitedError("slow", retry_after=500), START)

        assert watched.delay(START) == 100

    def test_patience_ends_with_a_good_answer(self):
        watched = watch(poll_interval=30)
        watched.observe(RateLimitedError("slow", retry_after=500), START)
        watched.observe(package("Building"), START + 500)

        assert watched.delay(START + 500) == 30


class TestEvents:
    def test_success(self):
        event = json.loads(json.dumps(success_event({"package_id": "b3d14e53"})))

        assert result_of(event) == {"package_id": "b3d14e53"}

    def test_failure(self):
        event = json.loads(json.dumps(failure_event(PackageFailedError("it ended as Failed"))))

        with pytest.raises(PackageFailedError, match="^it ended as Failed$"):
            result_of(event)

    @pytest.mark.parametrize(
        "event",
        [
            None,
            "success",
            [],
            {},
            {"ended": "success"},
            {"ended": "success", "result": None},
            {"ended": "success", "result": "b3d14e53"},
            {"result": {}},
            {"ended": "failure"},
            {"ended": "failure", "error": None},
            {"ended": "failure", "error": {"type": "NoSuchError", "message": "gone"}},
            {"ended": "else", "result": {}, "error": {}},
        ],
        ids=repr,
    )
    def test_anything_else_fails_closed(self, event):
        with pytest.raises(UnexpectedEventError):
            result_of(event)


class TestPackage:
    LINKED = package("Succeeded", url=DownloadUrl(location="https://files.example/?sig=canary", ttl=900))

    @pytest.mark.parametrize("show", [repr, str, "{}".format, lambda shown: repr([shown])])
    @pytest.mark.parametrize("shown", [LINKED, LINKED.url], ids=["package", "link"])
    def test_the_link_is_not_shown(self, show, shown):
        assert "900" in show(shown)
        assert "canary" not in show(shown)

    def test_the_summary_is_plain_and_has_no_link(self):
        found = package(
            "Succeeded",
            name="Main line-2.5.4.63.mda",
            description="left out: it may be long",
            version="2.5.4.63",
            creation_date=pendulum.datetime(2014, 7, 10, 11, 4, 31),
            size=1.5,
            url=self.LINKED.url,
        )

        assert json.loads(json.dumps(found.summary())) == {
            "package_id": "b3d14e53",
            "name": "Main line-2.5.4.63.mda",
            "version": "2.5.4.63",
            "status": "Succeeded",
            "size": 1.5,
            "creation_date": "2014-07-10T11:04:31+00:00",
        }


def test_a_manual_clock_moves_only_when_told():
    clock = ManualClock(START)

    clock.sleep(10)
    asyncio.run(clock.pause(5))

    assert (clock.now(), clock.now()) == (START + 15, START + 15)
