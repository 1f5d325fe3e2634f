"""The small parts that decide: which checksums count, and how long a failing line is borne."""

from __future__ import annotations

import base64
import hashlib

import pytest

from airflow_provider_mendix.archive.checksums import whole_file
from airflow_provider_mendix.archive.stall_timeout import ENOUGH, Patience
from airflow_provider_mendix.client.ranges import FileHead
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.exceptions import DownloadError, PackageNotFoundError

SHA256 = base64.b64encode(hashlib.sha256(b"file").digest()).decode()
MD5 = base64.b64encode(hashlib.md5(b"file").digest()).decode()


def found(first: int = 0, **headers: str) -> list[str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [checksum.header for checksum in whole_file(FileHead(first=first, size=4, etag=None, headers=named))]


@pytest.mark.parametrize(
    "headers",
    [
        {"digest": f"SHA-256={SHA256}"},
        {"digest": f"md5={MD5}, sha-256={SHA256}"},
        {"repr_digest": f"sha-256=:{SHA256}:"},
        {"repr_digest": f"sha-512=:AAAA:,  sha-256=:{SHA256}:;a=1"},
        {"content_digest": f"sha-256=:{SHA256}:"},
        {"x_amz_checksum_sha256": SHA256},
        {"x_amz_checksum_sha256": SHA256, "x_amz_checksum_type": "FULL_OBJECT"},
        {"content_md5": MD5},
    ],
)
def test_a_checksum_is_read(headers):
    assert found(**headers) == [next(iter(headers)).replace("_", "-")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"digest": ""},
        {"digest": "sha-256=not base64!"},
        {"digest": f"sha-512={SHA256}"},
        {"digest": f"sha-256={MD5}"},
        {"repr_digest": f"sha-256={SHA256}"},
        {"content_digest": f"sha-256=:{SHA256}"},
        {"x_amz_checksum_sha256": f"{SHA256}-3"},
        {"x_amz_checksum_sha256": SHA256, "x_amz_checksum_type": "COMPOSITE"},
        {"content_md5": SHA256},
        {"content_md5": "äöü"},
        {"x_amz_checksum_crc32": "AAAAAA=="},
    ],
)
def test_what_is_no_checksum_of_the_whole_file_is_left(headers):
    assert found(**headers) == []


def test_with_a_part_only_those_count_that_are_about_the_whole():
    everything = {
        "digest": f"sha-256={SHA256}",
        "repr_digest": f"sha-256=:{SHA256}:",
        "content_digest": f"sha-256=:{SHA256}:",
        "x_amz_checksum_sha256": SHA256,
        "content_md5": MD5,
    }
    assert len(found(**everything)) == 5
    assert found(first=1, **everything) == ["digest", "repr-digest"]


@pytest.fixture
def patience(clock: ManualClock) -> Patience:
    return Patience(clock, 900)


def test_pauses_grow_up_to_a_minute(patience, clock):
    pauses = []
    for _ in range(10):
        before = clock.now()
        patience.bear(DownloadError("cut"))
        pauses.append(clock.now() - before)
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_final_error_is_not_borne(patience, clock):
    before = clock.now()
    with pytest.raises(PackageNotFoundError):
        patience.bear(PackageNotFoundError("gone"))
    assert clock.now() == before


def test_a_host_that_asks_for_more_patience_than_there_is(patience, clock):
    before = clock.now()
    with pytest.raises(DownloadError):
        patience.bear(DownloadError("busy", retry_after=1000))
    assert clock.now() == before


def test_a_line_that_drips_is_a_failure(patience):
    patience.received(ENOUGH, 5000)
    patience.received(ENOUGH - 2, 500)
    with pytest.raises(DownloadError, match="gave 1048575 bytes in 901 seconds"):
        patience.received(1, 401)


def test_reading_again_is_no_drip_and_no_progress(patience, clock):
    patience.bear(DownloadError("cut"))
    clock.sleep(600)
    for _ in range(10):
        patience.received(ENOUGH, 100)
    clock.sleep(300)
    with pytest.raises(DownloadError):
        patience.bear(DownloadError("cut"))


def test_links_that_work_in_between_are_not_counted_together(patience):
    for _ in range(5):
        patience.bear(DownloadError("expired", status=403))
        patience.bear(DownloadError("expired", status=403))
        patience.received(1, 0)
