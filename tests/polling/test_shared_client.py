"""Refused credentials, pauses and outages: shared by all waits, and each wait ends in time."""

from __future__ import annotations

import threading

import pytest
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import Reply

from ..conftest import USER, set_connection


class Secrets:
    """The secrets backend that holds the connection.

    :ivar lookups: the seconds in which a connection was looked up.
    :ivar failure: a function that may raise or return ``None`` in place of the connection.
    """

    def __init__(self):
        self.lookups = []
        self.failure = None


@pytest.fixture
def secrets(crowd, monkeypatch):
    secrets, read = Secrets(), EnvironmentVariablesBackend.get_conn_value

    def get_conn_value(backend, conn_id, *rest, **more):
        secrets.lookups.append(crowd.clock.now() - crowd.began)
        if secrets.failure and not secrets.failure():
            return None
        return read(backend, conn_id, *rest, **more)

    monkeypatch.setattr(EnvironmentVariablesBackend, "get_conn_value", get_conn_value)
    return secrets


@pytest.fixture
def lookups(secrets):
    return secrets.lookups


def spread_out(crowd, count, ending=BuildOutcome.SUCCEEDS, **changes):
    """Return triggers whose waits cannot share a request."""
    return [crowd.trigger(crowd.build(f"app{nth}", ending), f"app{nth}", **changes) for nth in range(count)]


def kinds(ended):
    return [event["error"]["type"] if "error" in event else event["ended"] for event in ended]


class TestCredentials:
    def test_many_waits_read_the_connection_once(self, crowd, lookups):
        assert kinds(crowd.run(*spread_out(crowd, 50))) == ["success"] * 50
        assert len(lookups) == 1

    def test_refused_waits_read_it_once_more_and_continue(self, crowd, platform, server, monkeypatch, lookups):
        def rotate(_):
            platform.permissions.set_api_key(USER, "the-new-key")
            set_connection(monkeypatch, host=server.api_url, password="the-new-key")

        crowd.at(15, rotate)
        assert kinds(crowd.run(*spread_out(crowd, 50))) == ["success"] * 50
        assert len(lookups) == 2

    def test_refused_waits_fail_if_it_has_not_changed(self, crowd, platform, lookups):
        crowd.at(15, lambda _: platform.permissions.set_api_key(USER, "the-new-key"))
        assert kinds(crowd.run(*spread_out(crowd, 100))) == ["UnauthorizedError"] * 100
        assert len(lookups) == 2

    def test_one_refused_wait_fails_alone(self, crowd, lookups):
        crowd.trouble = lambda request: Reply(403) if "/apps/app3/" in request.path else None
        ended = kinds(crowd.run(*spread_out(crowd, 5)))
        assert ended == ["success"] * 3 + ["ForbiddenError", "success"]
        assert len(lookups) == 2

    def test_a_wrong_value_in_it_fails_the_waits(self, crowd, platform, server, monkeypatch):
        def break_it(_):
            platform.permissions.set_api_key(USER, "the-new-key")
            set_connection(monkeypatch, host=server.api_url, login="")

        crowd.at(15, break_it)
        assert kinds(crowd.run(*spread_out(crowd, 5))) == ["InvalidConnectionError"] * 5


def raising():
    raise ConnectionRefusedError("vault.example: connection refused, token s.3cr3t")


class TestConnectionThatCannotBeRead:
    """A worker has read it before, so it is an outage while the wait is in progress."""

    @pytest.mark.parametrize("failure", [raising, lambda: None], ids=["raises", "finds-nothing"])
    @pytest.mark.parametrize("seconds", [1, 40, 800])
    def test_a_wait_survives_it(self, crowd, secrets, failure, seconds):
        secrets.failure = lambda: crowd.clock.now() >= crowd.began + seconds or failure()
        assert kinds(crowd.run(*spread_out(crowd, 5))) == ["success"] * 5

    def test_one_failed_lookup_delays_the_waits_by_one_interval(self, crowd, secrets):
        secrets.failure = lambda: len(secrets.lookups) > 1
        assert kinds(crowd.run(*spread_out(crowd, 5))) == ["success"] * 5
        assert secrets.lookups == [10.0, 20.0]

    def test_it_survives_it_while_its_credentials_are_refused(self, crowd, platform, server, monkeypatch, secrets):
        def rotate(_):
            platform.permissions.set_api_key(USER, "the-new-key")
            set_connection(monkeypatch, host=server.api_url, password="the-new-key")

        crowd.at(15, rotate)
        secrets.failure = lambda: not 15 < crowd.clock.now() - crowd.began < 45
        assert kinds(crowd.run(*spread_out(crowd, 20))) == ["success"] * 20

    def test_a_connection_that_was_deleted_ends_the_waits_after_their_tolerance(
        self, crowd, platform, monkeypatch
    ):
        def remove(_):
            platform.permissions.set_api_key(USER, "the-new-key")
            monkeypatch.delenv("AIRFLOW_CONN_MENDIX_DEFAULT")

        crowd.at(15, remove)
        ended_at = crowd.ends()
        ended = crowd.run(*spread_out(crowd, 5, outage_tolerance=60.0))
        assert kinds(ended) == ["OutageError"] * 5
        assert list(ended_at.values()) == [70.0] * 5
        assert "Connection mendix_default cannot be read: it does not exist." in ended[0]["error"]["message"]

    def test_a_connection_that_never_existed_does_so_too(self, crowd, lookups):
        triggers = [
            crowd.trigger(crowd.build(), mendix_conn_id="nowhere", outage_tolerance=60.0) for _ in range(50)
        ]
        assert kinds(crowd.run(*triggers)) == ["OutageError"] * 50
        assert len(lookups) == 6

    def test_the_deadline_ends_a_wait_without_a_tolerance(self, crowd, secrets):
        secrets.failure = raising
        ended_at = crowd.ends()
        (ended,) = crowd.run(*spread_out(crowd, 1, outage_tolerance=None, timeout=300.0))
        assert kinds([ended]) == ["WaitTimeoutError"]
        assert list(ended_at.values()) == [300.0]
        assert "Check that the connection exists" in ended["error"]["message"]
        assert "s.3cr3t" not in ended["error"]["message"]


class TestRetryAfter:
    def test_it_pauses_all_waits(self, crowd, platform):
        crowd.at(15, lambda _: platform.faults.add("rate_limited", retry_after=300, times=1))
        triggers = spread_out(crowd, 40, next_poll_at=crowd.clock.now() - 1, poll_interval=60.0)
        assert kinds(crowd.run(*triggers)) == ["success"] * 40
        (paused_at,) = [entry.at for entry in platform.journal if entry.status == 429]
        assert not [entry for entry in platform.journal if paused_at < entry.at < paused_at + 300]

    def test_deadlines_hold(self, crowd, platform):
        crowd.at(15, lambda _: platform.faults.add("rate_limited", retry_after=900, times=None))
        triggers = spread_out(crowd, 4, timeout=60.0)
        ended_at = crowd.ends()
        assert kinds(crowd.run(*triggers)) == ["WaitTimeoutError"] * 4
        assert list(ended_at.values()) == [60.0] * 4


class TestOutage:
    def test_each_wait_has_its_own_tolerance(self, crowd):
        crowd.trouble = lambda _: Reply(0, drop="close") if crowd.clock.now() > crowd.began + 25 else None
        tolerances = [60.0, 120.0, None]
        triggers = [
            crowd.trigger(crowd.build(f"app{nth}"), f"app{nth}", outage_tolerance=tolerance, timeout=400)
            for nth, tolerance in enumerate(tolerances)
        ]
        ended_at = crowd.ends()
        assert kinds(crowd.run(*triggers)) == ["OutageError", "OutageError", "WaitTimeoutError"]
        assert list(ended_at.values()) == [80.0, 140.0, 400.0]

    def test_it_passes(self, crowd):
        crowd.trouble = lambda _: Reply(0, drop="close") if 25 < crowd.clock.now() - crowd.began < 600 else None
        assert kinds(crowd.run(*spread_out(crowd, 40))) == ["success"] * 40

    def test_an_unreachable_mendix_gets_one_request_at_a_time(self, crowd):
        tried = []

        def hang_up(_):
            if 25 < crowd.clock.now() - crowd.began < 200:
                tried.append(crowd.clock.now())
                return Reply(0, drop="close")
            return None

        crowd.trouble = hang_up
        assert kinds(crowd.run(*spread_out(crowd, 100))) == ["success"] * 100
        # The first round sends as many as may be pending at once; each later round sends one.
        assert len(tried) <= 32 + 3 + 17 * 2

    def test_errors_of_one_app_are_no_outage(self, crowd):
        crowd.trouble = lambda request: Reply(503) if "/apps/app0/" in request.path else None
        ended = kinds(crowd.run(*spread_out(crowd, 5, outage_tolerance=300.0)))
        assert ended == ["OutageError"] + ["success"] * 4


def test_a_wait_behind_hanging_requests_ends_ten_seconds_after_its_deadline(crowd):
    released, ended_at = threading.Event(), crowd.ends()
    crowd.trouble = lambda _: released.wait(30) and None
    crowd.waits_for_requests = False
    crowd.at(45, lambda _: released.set())
    assert kinds(crowd.run(*spread_out(crowd, 40, timeout=30.0))) == ["WaitTimeoutError"] * 40
    assert sorted(ended_at.values()) == [40.0] * 8 + [45.0] * 32
