"""An archived object, read back."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.archive.archived_object import find_archived
from airflow_provider_mendix.exceptions import DamagedArchiveError, NotArchivedError

from .conftest import SIZE, transfer
from .hosts import flipped


@pytest.fixture
def archived(package_id, place, context):
    transfer(package_id, place).execute(context)
    return place


def find(place, **options):
    return find_archived(ObjectStoragePath(place.url, conn_id=place.conn_id), **options)


def test_it_is_found_with_its_manifest_and_verified(archived, platform, package_id):
    found = find(archived)
    assert found.size == SIZE
    assert found.manifest.package_id == package_id
    sha256 = found.verify()
    assert sha256 == platform.packages.sha256(package_id)
    assert b"".join(found.read_verified(sha256)) == platform.packages.content(package_id)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flipped, "its SHA-256 is"),
        (lambda content: content[:-1], "bytes, but its manifest says"),
        (lambda content: content + b"x", "bytes, but its manifest says"),
    ],
)
def test_what_is_not_what_its_manifest_describes(change, reason, archived):
    archived.put(change(archived.content()))
    with pytest.raises(DamagedArchiveError, match=reason):
        find(archived).verify()


def test_without_a_manifest_it_must_be_a_whole_zip(archived):
    archived.manifest_path.unlink()
    with pytest.raises(NotArchivedError, match="set require_manifest=False"):
        find(archived)
    found = find(archived, require_manifest=False)
    assert found.manifest is None
    assert found.verify()
    archived.put(archived.content()[:-1])
    with pytest.raises(DamagedArchiveError, match="no whole zip"):
        find(archived, require_manifest=False).verify()


def test_what_changes_after_the_check_loses_its_last_chunk(archived):
    found = find(archived)
    sha256 = found.verify()
    archived.put(flipped(archived.content()))
    read = b""
    with pytest.raises(DamagedArchiveError, match="has changed since it was checked"):  # noqa: PT012
        for chunk in found.read_verified(sha256):
            read += chunk
    assert len(read) < SIZE


def test_no_object(place, server):
    with pytest.raises(NotArchivedError, match="There is no object"):
        find(place)
