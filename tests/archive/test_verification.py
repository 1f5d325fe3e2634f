"""What is not right is not stored; what was not checked is not said to be."""

from __future__ import annotations

import base64
import hashlib
import sys

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mendix.exceptions import DamagedFileError, DownloadError

from .conftest import SIZE, transfer
from .hosts import both, cut, flipped, with_body, with_headers


def digest(body: bytes, algorithm: str = "sha256") -> str:
    return base64.b64encode(hashlib.new(algorithm, body).digest()).decode()


CHECKSUMS = {
    "Digest": lambda body: f"SHA-256={digest(body)}",
    "Repr-Digest": lambda body: f"sha-512=:AAAA:, sha-256=:{digest(body)}:",
    "Content-Digest": lambda body: f"sha-256=:{digest(body)}:",
    "x-amz-checksum-sha256": digest,
    "Content-MD5": lambda body: digest(body, "md5"),
}


@pytest.mark.parametrize("keep", [0, 1, 21, SIZE // 2, SIZE - 1])
def test_a_truncated_zip_is_not_stored_though_all_lengths_agree(keep, package_id, place, platform, host, context):
    platform.faults.add("float_size", times=None)
    host.always(with_body(lambda body: body[:keep]))
    with pytest.raises(DamagedFileError, match="no whole zip"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


@pytest.mark.parametrize("keep", [1, SIZE - 1])
def test_a_file_shorter_than_mendix_says_is_not_stored(keep, package_id, place, host, context):
    host.always(with_body(lambda body: body[:keep]))
    with pytest.raises(DamagedFileError, match=f"{SIZE} bytes by Mendix's word, but {keep} arrived"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_announced_length_is_not_believed(change, package_id, place, host, context):
    host.always(with_headers(Content_Length=str(SIZE + change)))
    with pytest.raises(DownloadError):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


@pytest.mark.parametrize("header", CHECKSUMS)
def test_a_flipped_bit_is_found_by_any_checksum_of_the_host(header, package_id, place, platform, host, context):
    right = CHECKSUMS[header](platform.content(package_id))
    host.always(both(with_body(flipped), with_headers(**{header.replace("-", "_"): right})))
    with pytest.raises(DamagedFileError, match=rf"\({header.lower()}\)"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


@pytest.mark.parametrize("header", CHECKSUMS)
def test_a_right_checksum_is_written_down(header, package_id, local, platform, host, context):
    right = CHECKSUMS[header](platform.content(package_id))
    host.always(with_headers(**{header.replace("-", "_"): right}))
    transfer(package_id, local()).execute(context)
    assert local().manifest()["verification"]["checksums"] == [header.lower()]


@pytest.mark.parametrize("header", CHECKSUMS)
def test_a_checksum_that_comes_with_a_part_is_read_for_what_it_is(
    header, package_id, local, platform, host, context
):
    """Two of the headers are about the whole file wherever they are, the others about the part."""
    is_of_whole = header in ("Digest", "Repr-Digest")
    content = platform.content(package_id)
    right = CHECKSUMS[header](content if is_of_whole else content[1000:])
    host.then(cut(1000), with_headers(**{header.replace("-", "_"): right}))
    transfer(package_id, local()).execute(context)
    assert local().is_archived(platform, package_id)
    assert local().manifest()["verification"]["checksums"] == ([header.lower()] if is_of_whole else [])


def test_a_flipped_bit_is_found_by_deep_verification(package_id, place, host, context):
    host.always(with_body(flipped))
    with pytest.raises(DamagedFileError, match="CRC32"):
        transfer(package_id, place, verify="deep").execute(context)
    assert place.is_empty()


def test_a_flipped_bit_is_not_found_otherwise_and_nobody_says_so(package_id, place, host, context):
    host.always(with_body(flipped))
    transfer(package_id, place).execute(context)
    verification = place.manifest()["verification"]
    assert verification["zip_contents"] is False
    assert verification["checksums"] == []


def test_deep_verification_lets_a_good_file_pass(package_id, place, platform, context):
    transfer(package_id, place, verify="deep").execute(context)
    assert place.is_archived(platform, package_id)
    assert place.manifest()["verification"]["zip_contents"] is True


def test_deep_verification_goes_on_when_a_line_breaks(package_id, local, platform, host, context):
    host.then(cut(SIZE // 2))
    transfer(package_id, local(), verify="deep").execute(context)
    assert local().is_archived(platform, package_id)


def test_deep_verification_without_its_library_is_refused_before_any_request(
    package_id, local, platform, context, monkeypatch
):
    monkeypatch.setitem(sys.modules, "stream_unzip", None)
    with pytest.raises(AirflowFailException, match=r"airflow-provider-mendix\[deep\]"):
        transfer(package_id, local(), verify="deep").execute(context)
    assert not platform.journal
