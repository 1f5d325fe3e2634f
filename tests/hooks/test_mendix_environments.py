"""The hook's calls on environments and backups."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api import backups, deploy
from airflow_provider_mendix.exceptions import (
    AlreadyStartedError,
    EnvironmentNotFoundError,
    MendixConnectionError,
    StartFailedError,
    StartJobNotFoundError,
)
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline

from ..deploying import posts, put


@pytest.fixture
def hook(server, platform):
    platform.cloud.options = Options(stop="asynchronous")
    platform.environments.timeline = DeploymentTimeline(5, 5, 5, 5, 5)
    return MendixHook()


def test_environments(hook, platform):
    package = put(platform, running=True)
    assert {one.mode for one in hook.list_environments("shop")} == {"Test", "Acceptance", "Production"}
    found = hook.get_environment("shop", "Test")
    assert (found.status, found.model_version) == ("Running", "1.0.0.9f3ab2c1")
    assert hook.get_environment_package("shop", "Test").package_id == package
    assert hook.get_environment_package("shop", "Acceptance") is None


@pytest.mark.parametrize(
    ("name", "hint"), [("test", True), (" Test", True), ("PRODUCTION", True), ("Demo", False), ("Tes", False)]
)
def test_a_wrong_name_lists_the_right_ones(name, hint, hook):
    with pytest.raises(EnvironmentNotFoundError) as failed:
        hook.find_environment("shop", name)
    message = str(failed.value)
    assert f"App shop has no environment {name!r}" in message
    assert "'Test', 'Acceptance', 'Production'" in message
    assert ("Write '" in message) is hint


def test_an_app_without_environments_says_so(hook, platform):
    platform.environments.remove("shop")
    with pytest.raises(EnvironmentNotFoundError, match="Its environments: none"):
        hook.find_environment("shop", "Test")


def test_a_deployment(hook, platform, clock):
    put(platform, running=True)
    package = platform.packages.add("shop", version="2.0.0", revision="aaaabbbb")
    hook.stop_environment("shop", "Test")
    clock.sleep(6)
    hook.transport_package("shop", "Test", package)
    clock.sleep(6)
    job_id = hook.start_environment("shop", "Test", auto_sync_db=False)
    assert hook.get_start_job("shop", "Test", job_id).status == "Starting"
    clock.sleep(6)
    assert hook.get_start_job("shop", "Test", job_id).status == "Started"
    assert hook.find_environment("shop", "Test").model_version == "2.0.0.aaaabbbb"
    assert posts(platform) == ["stop", "transport", "start"]
    assert platform.journal.requests("POST")[-1].body == {"AutoSyncDb": False}


def test_what_runs_already_has_no_job(hook, platform):
    put(platform, running=True)
    with pytest.raises(AlreadyStartedError):
        hook.start_environment("shop", "Test")
    platform.cloud.options = Options(already_started=500)
    with pytest.raises(AlreadyStartedError):
        hook.start_environment("shop", "Test")


def test_a_start_that_fails_is_an_error_of_its_job(hook, platform, clock):
    put(platform)
    platform.environments.next_starts.append("DB_SYNC_FAILED")
    job_id = hook.start_environment("shop", "Test")
    clock.sleep(6)
    with pytest.raises(StartFailedError, match="DB_SYNC_FAILED"):
        hook.get_start_job("shop", "Test", job_id)
    with pytest.raises(StartJobNotFoundError):
        hook.get_start_job("shop", "Test", "another")


@pytest.mark.parametrize("call", ["stop_environment", "start_environment", "transport_package", "create_snapshot"])
def test_what_changes_something_is_sent_once(call, hook, platform):
    package = put(platform, running=call != "start_environment")
    more = [package] if call == "transport_package" else []
    with platform.faults.add("connection_reset", on=call, times=None), pytest.raises(MendixConnectionError):
        getattr(hook, call)("shop", "Test", *more)
    assert len(posts(platform)) == 1


def test_settings_are_read_and_written(hook, platform):
    put(platform)
    platform.environments["shop", "Test"].constants = {"Shop.Url": "https://one.example"}
    settings = hook.get_settings("shop", "Test")
    (constant,) = settings.constants
    changed = deploy.Settings(constants=({**constant, "Value": "https://two.example"},))
    hook.set_settings("shop", "Test", changed)
    assert hook.get_settings("shop", "Test").constants[0]["Value"] == "https://two.example"


def test_backups_go_by_the_same_names(hook, platform, clock):
    put(platform)
    made = hook.create_snapshot("shop", "Test", comment="by hand")
    clock.sleep(6)
    found = hook.get_snapshot("shop", "Test", made.snapshot_id)
    assert (found.state, found.comment) == ("completed", "by hand")
    assert [one.snapshot_id for one in hook.list_snapshots("shop", "Test")] == [made.snapshot_id]
    assert list(hook.list_snapshots("shop", "Acceptance")) == []
    restore = hook.create_restore("shop", "Test", made.snapshot_id, db_only=True)
    clock.sleep(6)
    assert hook.get_restore("shop", "Test", restore.restore_id).state == "completed"


def test_a_snapshot_is_changed_and_deleted(hook, platform):
    put(platform)
    made = hook.create_snapshot("shop", "Test", comment="by hand")
    assert hook.update_snapshot("shop", "Test", made.snapshot_id, comment="keep").comment == "keep"
    hook.delete_snapshot("shop", "Test", made.snapshot_id)
    assert list(hook.list_snapshots("shop", "Test")) == []


def test_an_archive_of_a_snapshot_is_made_and_opened(hook, platform, clock, monkeypatch):
    masked = []
    monkeypatch.setattr("airflow_provider_mendix.hooks.link_secrets.mask_secret", masked.append)
    put(platform)
    platform.environments["shop", "Test"].data = "precious"
    snapshot_id = hook.create_snapshot("shop", "Test").snapshot_id
    clock.sleep(6)
    made = hook.create_archive("shop", "Test", snapshot_id, data_type="database_only")
    assert (made.state, made.link, masked) == ("queued", None, [])
    clock.sleep(60)
    found = hook.get_archive("shop", "Test", snapshot_id, made.archive_id)
    assert (found.state, found.snapshot_id, found.data_type) == ("completed", snapshot_id, "database_only")
    assert found.url in masked
    with hook.open_link(found.link) as download:
        assert b"".join(download) == b"PGDMPprecious"


def test_ids_are_asked_for_once(hook, platform):
    put(platform)
    for _ in range(3):
        list(hook.list_snapshots("shop", "Test"))
    asked = [request.path for request in platform.journal if not request.path.endswith("/snapshots")]
    assert asked == ["/api/1/apps/shop/environments", "/api/1/apps/shop"]


def test_pages_are_asked_for_when_they_are_needed(hook, platform, clock):
    put(platform)
    platform.environments.timeline = DeploymentTimeline(backing_up=0)
    for _ in range(2 * backups.MAX_PAGE_SIZE + 1):
        hook.create_snapshot("shop", "Test")
    seen = hook.list_snapshots("shop", "Test")
    next(seen)
    assert len(platform.journal.requests("GET", "/snapshots")) == 1
    assert len({one.snapshot_id for one in seen}) == 2 * backups.MAX_PAGE_SIZE
    assert [request.query["offset"] for request in platform.journal.requests("GET", "/snapshots")] == [
        "0",
        "100",
        "200",
    ]
