"""How long a download may fail before it is given up."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.archive.stall_timeout import MIN_PROGRESS, StallTimeout
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.exceptions import DownloadError, PackageNotFoundError


@pytest.fixture
def stall_timeout(clock: ManualClock) -> StallTimeout:
    return StallTimeout(clock, 900)


def test_pauses_grow_up_to_a_minute(stall_timeout, clock):
    pauses = []
    for _ in range(10):
        before = clock.now()
        stall_timeout.retry_or_raise(DownloadError("cut"))
        pauses.append(clock.now() - before)
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_final_error_is_not_retried(stall_timeout, clock):
    before = clock.now()
    with pytest.raises(PackageNotFoundError):
        stall_timeout.retry_or_raise(PackageNotFoundError("gone"))
    assert clock.now() == before


def test_a_host_that_asks_for_more_time_than_there_is(stall_timeout, clock):
    before = clock.now()
    with pytest.raises(DownloadError):
        stall_timeout.retry_or_raise(DownloadError("busy", retry_after=1000))
    assert clock.now() == before


def test_a_line_that_drips_is_a_failure(stall_timeout):
    stall_timeout.record(MIN_PROGRESS, 5000)
    stall_timeout.record(MIN_PROGRESS - 2, 500)
    with pytest.raises(DownloadError, match="sent 1048575 bytes in 901 seconds"):
        stall_timeout.record(1, 401)


def test_reading_again_is_no_drip_and_no_progress(stall_timeout, clock):
    stall_timeout.retry_or_raise(DownloadError("cut"))
    clock.sleep(600)
    for _ in range(10):
        stall_timeout.record(MIN_PROGRESS, 100)
    clock.sleep(300)
    with pytest.raises(DownloadError):
        stall_timeout.retry_or_raise(DownloadError("cut"))


def test_links_that_work_in_between_are_not_counted_together(stall_timeout):
    for _ in range(5):
        stall_timeout.retry_or_raise(DownloadError("expired", status=403))
        stall_timeout.retry_or_raise(DownloadError("expired", status=403))
        stall_timeout.record(1, 0)
