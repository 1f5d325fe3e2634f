"""What is not right is not stored; what was not checked is not said to be."""

from __future__ import annotations

import base64
import hashlib
import zipfile

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mendix.exceptions import DamagedFileError, DownloadError

from .conftest import SIZE, transfer
from .hosts import both, cut, flipped, with_body, with_headers
from .test_zip_structure import make


def sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


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
    with pytest.raises(DamagedFileError, match=f"Mendix says that it has {SIZE} bytes, but {keep} arrived"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_announced_length_is_not_believed(change, package_id, place, host, context):
    host.always(with_headers(Content_Length=str(SIZE + change)))
    with pytest.raises(DownloadError):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


def test_a_flipped_bit_is_found_by_the_checksum_of_the_host(package_id, place, platform, host, context):
    right = sha256(platform.packages.content(package_id))
    host.always(both(with_body(flipped), with_headers(x_amz_checksum_sha256=right)))
    with pytest.raises(DamagedFileError, match="x-amz-checksum-sha256"):
        transfer(package_id, place, verify="structure").execute(context)
    assert place.is_empty()


@pytest.mark.parametrize("form", ["{}", " {} "])
@pytest.mark.parametrize("kind", [None, "FULL_OBJECT"])
def test_a_right_checksum_is_recorded(form, kind, package_id, local, platform, host, context):
    right = form.format(sha256(platform.packages.content(package_id)))
    host.always(with_headers(x_amz_checksum_sha256=right, x_amz_checksum_type=kind))
    transfer(package_id, local()).execute(context)
    assert local().manifest()["verification"]["sha256_of_host"] is True


@pytest.mark.parametrize(
    "headers",
    [
        {"x_amz_checksum_sha256": ""},
        {"x_amz_checksum_sha256": "not base64!"},
        {"x_amz_checksum_sha256": base64.b64encode(bytes(16)).decode()},
        {"x_amz_checksum_sha256": f"{sha256(b'')}-3"},
        {"x_amz_checksum_sha256": sha256(b""), "x_amz_checksum_type": "COMPOSITE"},
        {"x_amz_checksum_crc32": "AAAAAA=="},
    ],
)
def test_what_is_no_checksum_of_the_whole_file_is_ignored(headers, package_id, local, host, context):
    host.always(with_headers(**headers))
    transfer(package_id, local()).execute(context)
    assert local().manifest()["verification"]["sha256_of_host"] is False


def test_the_checksum_of_a_part_is_ignored(package_id, local, platform, host, context):
    host.then(cut(1000), with_headers(x_amz_checksum_sha256=sha256(platform.packages.content(package_id)[1000:])))
    transfer(package_id, local()).execute(context)
    assert local().is_archived(platform, package_id)
    assert local().manifest()["verification"]["sha256_of_host"] is False


def test_a_flipped_bit_is_found(package_id, place, host, context):
    host.always(with_body(flipped))
    with pytest.raises(DamagedFileError, match="CRC-32|cannot be unpacked"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


def test_a_flipped_bit_is_not_found_by_the_structure_and_the_manifest_says_so(package_id, place, host, context):
    host.always(with_body(flipped))
    transfer(package_id, place, verify="structure").execute(context)
    verification = place.manifest()["verification"]
    assert verification["zip_contents"] is False
    assert verification["sha256_of_host"] is False


@pytest.mark.parametrize("keep", [SIZE, SIZE // 2])
def test_the_contents_of_a_good_file_are_checked_also_if_the_line_breaks(
    keep, package_id, place, platform, host, context
):
    host.then(cut(keep))
    transfer(package_id, place).execute(context)
    assert place.is_archived(platform, package_id)
    assert place.manifest()["verification"]["zip_contents"] is True


def test_what_cannot_be_checked_file_by_file_is_archived_by_its_structure(
    package_id, place, platform, host, context
):
    platform.faults.add("float_size", times=None)
    host.always(with_body(lambda _: make(compression=zipfile.ZIP_LZMA)))
    with pytest.raises(AirflowFailException, match="packed by method 14.*Set verify='structure'"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()
    transfer(package_id, place, verify="structure").execute(context)
    assert place.manifest()["verification"]["zip_contents"] is False


@pytest.mark.parametrize(("at", "bit"), [(10, 1), (16, 1), (46, 1), (8, 1 << 5), (8, 1 << 6), (6, 1 << 7)])
def test_a_directory_that_differs_from_the_files_is_found(at, bit, package_id, place, host, context):
    """Method, CRC, name, flags and version, as readers take them."""

    def spoil(body: bytes) -> bytes:
        entry = int.from_bytes(body[-6:-2], "little") + at
        return body[:entry] + bytes([body[entry] ^ bit]) + body[entry + 1 :]

    host.always(with_body(spoil))
    with pytest.raises(DamagedFileError, match="its directory"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


@pytest.mark.parametrize(
    ("body", "headers", "described"),
    [
        (
            b"<!doctype html><title>Sign in</title>",
            {"Content_Type": "text/html"},
            r"37 bytes \(Content-Type text/html\)",
        ),
        (b"", {"Content_Type": "application/zip"}, r"0 bytes \(Content-Type application/zip\)"),
        (b"\x1f\x8b", {"Content_Type": None, "Content_Encoding": "gzip"}, r"2 bytes \(Content-Encoding gzip\)"),
        (b"PK", {"Content_Type": None}, r"2 bytes \(no Content-Type\)"),
    ],
)
@pytest.mark.parametrize("verify", ["structure", "deep"])
def test_what_is_no_zip_is_described(verify, body, headers, described, package_id, local, platform, host, context):
    platform.faults.add("float_size", times=None)
    host.always(both(with_body(lambda _: body), with_headers(**headers)))
    with pytest.raises(DamagedFileError, match=f"no whole zip: .* The file host sent {described}"):
        transfer(package_id, local(), verify=verify).execute(context)
