"""What all waits share: they travel as JSON, and forgive what may pass."""

from __future__ import annotations

import json

import pytest

from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    BuildFailedError,
    EnvironmentNotFoundError,
    MendixConnectionError,
    NotFoundError,
    PackageNotFoundError,
    ServiceUnavailableError,
    StartFailedError,
    StartJobNotFoundError,
    UnauthorizedError,
    UnexpectedEventError,
)
from airflow_provider_mendix.waits import backup, environment, package, revision, upload
from airflow_provider_mendix.waits.base import MODULES, Wait, wait_from_json

PROJECT, ENVIRONMENT = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3c"
VISIBLE_BY = 1_000_000.0
WAITS = [
    package.PackageWait("calc", "b3d14e53", visible_by=VISIBLE_BY),
    package.BuildCapacityWait("calc", 2),
    upload.UploadWait("calc", "j-1", "b3d14e53", visible_by=VISIBLE_BY),
    revision.RevisionWait("calc", "main", newer_than="63", has_token=True),
    environment.EnvironmentWait("calc", "Test", "Running", model_version="2.5.4.63"),
    environment.TransportWait("calc", "Test", "b3d14e53"),
    environment.StartJobWait("calc", "Test", "j-1"),
    backup.SnapshotWait("calc", "Test", PROJECT, ENVIRONMENT, "s-1", visible_by=VISIBLE_BY),
    backup.ArchiveWait("calc", "Test", PROJECT, ENVIRONMENT, "s-1", "a-1", visible_by=VISIBLE_BY),
    backup.RestoreWait("calc", "Test", PROJECT, ENVIRONMENT, "r-1", visible_by=VISIBLE_BY),
]


def test_each_wait_is_in_the_table():
    kinds = {kind.__name__: kind.__module__.rpartition(".")[2] for kind in Wait.__subclasses__()}
    kinds.pop("_CallWait", None)  # the poller's own, which is never stored

    assert kinds == MODULES
    assert {type(wait).__name__ for wait in WAITS} == set(MODULES)


@pytest.mark.parametrize("wait", WAITS, ids=lambda wait: type(wait).__name__)
class TestEachWait:
    def test_it_travels_as_json(self, wait):
        assert wait_from_json(json.loads(json.dumps(wait.to_json()))) == wait

    def test_it_retries_what_may_pass(self, wait):
        for error in (ServiceUnavailableError("no"), MendixConnectionError("reset")):
            assert wait.is_retryable(error, VISIBLE_BY + 1)

    def test_it_does_not_retry_what_will_not_pass(self, wait):
        kinds = (
            UnauthorizedError,
            EnvironmentNotFoundError,
            AppNotFoundError,
            StartFailedError,
            BuildFailedError,
        )
        for kind in kinds:
            assert not wait.is_retryable(kind("no"), VISIBLE_BY - 1)

    def test_a_new_object_may_not_be_visible_yet(self, wait):
        for error in (NotFoundError("no"), StartJobNotFoundError("no")):
            assert wait.is_retryable(error, VISIBLE_BY - 1) is (wait.visible_by > 0)
            assert not wait.is_retryable(error, VISIBLE_BY)

    def test_an_environment_without_a_package_may_get_one(self, wait):
        is_transport = isinstance(wait, environment.TransportWait)
        assert wait.is_retryable(PackageNotFoundError("none yet"), VISIBLE_BY) is is_transport


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "PackageWait",
        [],
        {},
        {"type": None},
        {"type": "PackageWait"},
        {"type": "PackageWait", "app_id": "calc", "package_id": None},
        {"type": "FutureWait", "app_id": "calc", "package_id": "b3d14e53"},
    ],
    ids=repr,
)
def test_an_unreadable_wait_is_refused(stored):
    with pytest.raises(UnexpectedEventError, match="wait that this version cannot read"):
        wait_from_json(stored)


def test_a_subclass_says_what_it_waits_for():
    for part in ("description", "batch_key"):
        with pytest.raises(NotImplementedError):
            getattr(Wait(), part)
    with pytest.raises(NotImplementedError):
        Wait().judge(None)
