"""Polling on a worker: once, with the hook."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_mendix.exceptions import PackageNotFoundError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.polling.worker import poll_once, report_phases
from airflow_provider_mendix.simulator.wire import Reply
from airflow_provider_mendix.waits.package import PackageWait
from airflow_provider_mendix.waits.poll_state import PollState
from airflow_provider_mendix.waits.revision import RevisionWait

PACKAGE = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"


@pytest.fixture
def poll(server, clock, caplog):
    """Return a function that polls a wait once."""
    caplog.set_level(logging.INFO)
    state = PollState.begin(clock.now(), poll_interval=30, timeout=3600, outage_tolerance=None)
    return lambda wait: poll_once(MendixHook(), wait, state)


def test_it_sends_one_request_and_logs_what_is_new(poll, platform, caplog):
    package_id = platform.packages.add("shop", version="1.0.0", revision="63")
    wait = PackageWait("shop", package_id)
    polled, state, outcome = poll(wait)
    assert (polled, state.state, outcome.done) == (wait, "Succeeded", True)
    assert len(platform.journal) == 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_mendix")]
    assert ours == [f"Package {package_id} of app shop: Succeeded"]


def test_a_transient_error_means_not_yet_and_is_not_repeated_here(poll, platform):
    platform.handle = lambda request: Reply(503)
    _, state, outcome = poll(PackageWait("shop", PACKAGE))
    assert not outcome.done
    assert "HTTP 503" in state.last_error


def test_another_error_ends_the_wait(poll):
    with pytest.raises(PackageNotFoundError):
        poll(PackageWait("shop", PACKAGE))


def test_it_returns_what_was_looked_up(poll, platform):
    platform.add_app("calc", repository="svn")
    revision = platform.repositories.push("calc")
    wait, _, outcome = poll(RevisionWait("calc", "main"))
    assert wait.source.name == "trunk"
    assert outcome.result["revision"] == revision


def test_a_failed_lookup_leaves_the_wait_unresolved(poll, platform):
    platform.handle = lambda request: Reply(503)
    wait, state, _ = poll(RevisionWait("calc", "main"))
    assert wait.source is None
    assert "HTTP 503" in state.last_error


def test_metrics_that_fail_do_not_fail_the_task(monkeypatch):
    monkeypatch.setattr("airflow.providers.common.compat.sdk.Stats", None, raising=False)
    report_phases("shop", {"phases": {"queued": 1.0}})
