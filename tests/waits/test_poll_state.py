"""The progress of a wait: what each response means, what is logged, when to poll again, and when to give up."""

from __future__ import annotations

import json

import msgspec
import pytest

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.exceptions import (
    BuildFailedError,
    MalformedResponseError,
    MendixConnectionError,
    MendixError,
    OutageError,
    PackageFailedError,
    PackageNotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
    UnauthorizedError,
    UnexpectedEventError,
    WaitTimeoutError,
)
from airflow_provider_mendix.settings import MAX_RETRY_AFTER
from airflow_provider_mendix.waits.base import Outcome
from airflow_provider_mendix.waits.package import PackageWait
from airflow_provider_mendix.waits.poll_state import PollState

WAIT = PackageWait("calc", "b3d14e53")
START = 1_000_000.0
DOWN = ServiceUnavailableError("HTTP 503.", status=503)


class Progress:
    """A wait for a package, told one response after the other."""

    def __init__(self, *, poll_interval=30.0, timeout=7200.0, outage_tolerance=None, **seen):
        state = PollState.begin(
            START, poll_interval=poll_interval, timeout=timeout, outage_tolerance=outage_tolerance
        )
        self.state = msgspec.structs.replace(state, **seen)

    def see(self, response, second=0.0):
        """Record a response, or a status of the package, and return the outcome."""
        if isinstance(response, str):
            response = Package(package_id="b3d14e53", status=response)
        self.state, self.outcome = self.state.record(WAIT, response, START + second)
        return self.outcome

    @property
    def message(self):
        return self.outcome.log_message.removeprefix("Package b3d14e53 of app calc: ")


class TestRecord:
    def test_a_build_from_start_to_end(self):
        progress = Progress()
        seen = []
        for minute, status in enumerate(["Queued", "Building", "Building", "Uploading", "Succeeded"]):
            outcome = progress.see(status, minute * 60)
            seen.append((outcome.state, outcome.done, progress.message))

        assert seen == [
            ("Queued", False, "Queued"),
            ("Building", False, "Building"),
            ("Building", False, ""),
            ("Uploading", False, "Uploading"),
            ("Succeeded", True, "Succeeded"),
        ]

    def test_it_says_what_the_message_is_about(self):
        assert Progress().see("Queued").log_message == "Package b3d14e53 of app calc: Queued"

    def test_failed(self):
        progress = Progress()
        progress.see("Building")
        with pytest.raises(PackageFailedError):
            progress.see("Failed", 30)

    @pytest.mark.parametrize("kind", [PackageNotFoundError, UnauthorizedError, BuildFailedError, MendixError])
    def test_an_error_that_will_not_pass_ends_the_wait_as_it_is(self, kind):
        error = kind("no")
        with pytest.raises(kind) as raised:
            Progress().see(error)
        assert raised.value is error

    @pytest.mark.parametrize(
        "error", [DOWN, MendixConnectionError("reset"), MalformedResponseError("html"), RateLimitedError("slow")]
    )
    def test_an_error_that_may_pass_does_not(self, error):
        progress = Progress()
        progress.see("Building")
        assert progress.see(error, 30).state == "Building"
        assert str(error) in progress.message
        assert progress.see(error, 60) == Outcome("Building")
        assert progress.see("Building", 90).state == "Building"
        assert progress.message == "Mendix responds again; still Building"
        assert progress.see("Succeeded", 120).done is True

    def test_an_object_that_is_not_visible_yet_is_no_trouble(self):
        progress, wait = Progress(outage_tolerance=0), PackageWait("calc", "b3d14e53", visible_by=START + 60)
        missing = PackageNotFoundError("There is no such package.")

        progress.state, outcome = progress.state.record(wait, missing, START + 30)
        assert outcome == Outcome("not there yet", log_message=f"{wait.description}: not there yet")
        with pytest.raises(PackageNotFoundError):
            progress.state.record(wait, missing, START + 60)

    def test_an_error_before_the_first_response(self):
        outcome = Progress().see(DOWN)
        assert (outcome.state, outcome.done) == ("unknown", False)

    def test_the_state_before_is_left_alone(self):
        before = Progress().state
        before.record(WAIT, DOWN, START + 5)
        assert before == Progress().state


class TestHeartbeat:
    def test_a_wait_says_every_five_minutes_that_it_goes_on(self):
        progress, heard = Progress(timeout=1e6), []
        for second in range(0, 1801, 30):
            progress.see("Queued" if second < 60 else "Building", second)
            heard += [(second, progress.message)] if progress.message else []

        assert heard == [
            (0, "Queued"),
            (60, "Building"),
            *((60 + 300 * count, f"still Building, for {5 * count} min") for count in range(1, 6)),
        ]

    def test_so_it_does_during_an_outage(self):
        progress, heard = Progress(timeout=1e6), []
        for second in range(0, 901, 30):
            progress.see(DOWN, second)
            heard += [(second, progress.message)] if progress.message else []

        assert heard == [
            (0, "polling failed, trying again. HTTP 503."),
            (300, "polling has failed for 5 min, trying again. HTTP 503."),
            (600, "polling has failed for 10 min, trying again. HTTP 503."),
            (900, "polling has failed for 15 min, trying again. HTTP 503."),
        ]

    def test_a_wait_that_was_taken_over_knows_since_when(self):
        progress = Progress(timeout=1e6, state="Building", state_since=START - 600)
        progress.see("Building")
        assert progress.message == ""
        progress.see("Building", 300)
        assert progress.message == "still Building, for 15 min"


class TestPhases:
    def test_they_are_what_was_seen(self):
        progress = Progress(state="Queued", state_polls=2, state_since=START - 40)
        for second, status in enumerate(
            ["Queued", "Building", "Building", "Optimizing", "Uploading", "Uploading"]
        ):
            progress.see(status, 30 * second)

        result = progress.see("Succeeded", 155.26).result

        assert result["phases"] == {"queued": 70.0, "building": 60.0, "uploading": 35.3}

    def test_they_add_up_over_a_deferral_and_a_step_back(self):
        seen = {"Queued": 20.0, "Building": 5.0}
        progress = Progress(state="Building", state_polls=2, state_since=START - 10, phase_seconds=seen)
        for second, status in [
            (0, "Queued"),
            (5, "Queued"),
            (10, "Building"),
            (15, "Building"),
            (20, "Succeeded"),
        ]:
            done = progress.see(status, second)

        assert done.result["phases"] == {"queued": 30.0, "building": 25.0}
        assert seen == {"Queued": 20.0, "Building": 5.0}

    @pytest.mark.parametrize(
        ("seen", "phases"),
        [
            (["Queued", "Succeeded"], {}),
            (["Queued", "Building", "Uploading", "Succeeded"], {}),
            (["Queued", "Queued", "Succeeded"], {"queued": 60.0}),
            (["Queued", "Building", "Building", "Succeeded"], {"building": 60.0}),
            (["Queued", "Queued", "Optimizing", "Building"], {"queued": 60.0}),
        ],
        ids=str,
    )
    def test_one_that_only_one_poll_saw_has_no_known_duration(self, seen, phases):
        progress = Progress()
        for number, status in enumerate(seen):
            progress.see(status, 30 * number)
        shown = {name.lower(): seconds for name, seconds in progress.state.phase_seconds.items()}
        assert shown == phases

    def test_a_phase_that_was_never_seen_is_not_there(self):
        assert Progress().see("Succeeded").result["phases"] == {}


class TestTakeOver:
    def test_a_wait_that_was_just_deferred_keeps_its_interval(self):
        progress = Progress()
        progress.see("Queued")
        assert progress.state.take_over(WAIT, START + 2).delay(START + 2) == 28

    def test_overdue_waits_are_spread_over_the_interval(self):
        state, waits = Progress().state, [PackageWait(f"app{number}", "p") for number in range(100)]
        delays = {state.take_over(wait, START + 100).delay(START + 100) for wait in waits}
        assert len(delays) == 100
        assert all(0 <= delay < 30 for delay in delays)

    def test_the_deadline_holds(self):
        state = Progress(timeout=10, next_poll_at=START + 30).state
        assert state.take_over(WAIT, START).delay(START) == 10

    def test_a_clock_that_was_set_back_does_not_postpone_it_for_long(self):
        state = Progress(timeout=1e6, next_poll_at=START + 86_400).state
        assert state.take_over(WAIT, START).delay(START) == MAX_RETRY_AFTER

    def test_an_interruption_is_no_outage(self):
        progress = Progress(outage_tolerance=600, timeout=1e6)
        progress.see("Building")
        progress.state = progress.state.take_over(WAIT, START + 3600)
        assert progress.see(DOWN, 3610).state == "Building"


class TestOutage:
    def test_it_is_tolerated_up_to_a_point(self):
        progress = Progress(outage_tolerance=600)
        progress.see("Building", 100)
        progress.see(DOWN, 699)

        with pytest.raises(OutageError) as raised:
            progress.see(DOWN, 700)

        message = str(raised.value)
        assert "polling has failed for 600 s (tolerated: 600 s). Last state: Building." in message
        assert message.endswith("The last poll failed: HTTP 503.")
        assert raised.value.__cause__ is DOWN
        assert raised.value.transient is False

    def test_a_good_response_starts_the_clock_again(self):
        progress = Progress(outage_tolerance=600)
        for second in (599, 1000, 1500):
            progress.see(DOWN, second)
            progress.see("Building", second + 1)

        assert progress.see(DOWN, 2000).state == "Building"

    def test_the_clock_starts_with_the_wait(self):
        with pytest.raises(OutageError, match="Last state: unknown"):
            Progress(outage_tolerance=600).see(DOWN, 600)

    def test_no_tolerance_at_all(self):
        with pytest.raises(OutageError):
            Progress(outage_tolerance=0).see(DOWN)

    def test_any_outage_may_be_tolerated(self):
        assert Progress(outage_tolerance=None, timeout=1e6).see(DOWN, 999_999).done is False


class TestDeadline:
    def test_it_ends_the_wait(self):
        progress = Progress(timeout=600)
        progress.see("Queued")
        progress.see("Building", 500)
        progress.see("Building", 599)

        with pytest.raises(WaitTimeoutError) as raised:
            progress.see("Building", 600)

        message = str(raised.value)
        assert "Package b3d14e53 of app calc: timed out. Last state: Building, for 100 s." in message
        assert "raise the timeout" in message
        assert raised.value.__cause__ is None

    @pytest.mark.parametrize("second", [600, 9999])
    def test_a_success_at_the_deadline_or_later_is_one(self, second):
        assert Progress(timeout=600).see("Succeeded", second).done is True

    @pytest.mark.parametrize("tolerance", [None, 0, 600])
    def test_it_ends_the_wait_during_an_outage_too(self, tolerance):
        with pytest.raises(WaitTimeoutError, match=r"Last state: unknown.*last poll failed: HTTP 503\.") as raised:
            Progress(timeout=600, outage_tolerance=tolerance).see(DOWN, 600)

        assert raised.value.__cause__ is DOWN

    def test_there_may_be_none(self):
        progress = Progress(timeout=None)
        assert progress.see("Building", 1e9).done is False
        assert progress.state.time_left(START + 1e9) == float("inf")


class TestDelay:
    def delay_after(self, response, second=0.0, **settings):
        progress = Progress(**settings)
        progress.see(response, second)
        return progress.state.delay(START + second)

    def test_the_first_poll_is_due_at_once(self):
        assert Progress().state.delay(START) == 0

    def test_it_is_the_poll_interval(self):
        assert self.delay_after("Building", poll_interval=30) == 30

    @pytest.mark.parametrize(("second", "expected"), [(60, 30), (70, 30), (71, 29), (99, 1)])
    def test_the_last_poll_is_due_at_the_deadline(self, second, expected):
        assert self.delay_after("Building", second, poll_interval=30, timeout=100) == expected

    @pytest.mark.parametrize(
        ("retry_after", "expected"), [(None, 30), (0, 30), (10, 30), (120, 120), (10**9, MAX_RETRY_AFTER)]
    )
    def test_a_server_may_ask_for_a_pause(self, retry_after, expected):
        assert self.delay_after(RateLimitedError("slow", retry_after=retry_after)) == expected

    def test_a_pause_ends_with_the_deadline(self):
        assert self.delay_after(RateLimitedError("slow", retry_after=500), timeout=100) == 100

    def test_a_good_response_ends_the_pause(self):
        progress = Progress(poll_interval=30)
        progress.see(RateLimitedError("slow", retry_after=500))
        progress.see("Building", 500)
        assert progress.state.delay(START + 500) == 30

    def test_a_poll_that_is_late_is_due_at_once(self):
        progress = Progress(poll_interval=30)
        progress.see("Building")
        assert progress.state.delay(START + 31) == 0


class TestJson:
    def test_it_travels_whole(self):
        progress = Progress(outage_tolerance=900)
        for second, response in enumerate(["Queued", "Building", DOWN]):
            progress.see(response, second)
        assert PollState.from_json(json.loads(json.dumps(progress.state.to_json()))) == progress.state

    @pytest.mark.parametrize("stored", [None, [], {}, {"deadline": "soon"}], ids=repr)
    def test_an_unreadable_state_is_refused(self, stored):
        with pytest.raises(UnexpectedEventError, match="poll state that this version cannot read"):
            PollState.from_json(stored)
