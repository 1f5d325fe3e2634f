"""Wait for an upload."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api.deploy_v2 import Job, get_job
from airflow_provider_mendix.exceptions import UploadFailedError
from airflow_provider_mendix.waits.base import Outcome
from airflow_provider_mendix.waits.upload import UploadWait

WAIT = UploadWait("calc", "j-1", "p-1")


def test_it_polls_the_job():
    assert WAIT.call() == WAIT.shared_call() == get_job("calc", "j-1")
    assert WAIT.batch_key != UploadWait("calc", "j-2", "p-1").batch_key


@pytest.mark.parametrize("status", ["Queued", "Running", "Optimizing", "completed", ""])
def test_not_yet(status):
    assert WAIT.judge(Job(status)) == Outcome(status)


def test_completed():
    result = {"package_id": "p-1", "job_id": "j-1"}
    assert WAIT.judge(Job("Completed")) == Outcome("Completed", done=True, result=result)


def test_failed():
    with pytest.raises(UploadFailedError, match=r"package p-1 to app calc \(job j-1\) ended as Failed"):
        WAIT.judge(Job("Failed"))
