"""What a package says of itself is in its manifest."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from airflow_provider_mendix.archive.package_metadata import PackageMetadata, Project, read_metadata

from .conftest import transfer
from .hosts import with_body

WHOLE = {
    "RuntimeVersion": "9.24.1.12345",
    "ModelVersion": "2.5.4.9f3ab2c1",
    "JavaVersion": 11,
    "ProjectID": "3f0c",
    "ProjectName": "Shop",
    "Constants": [{"Name": "Shop.Key", "DefaultValue": "not for the manifest"}],
}
READ = {
    "mendix_version": "9.24.1.12345",
    "runtime_version": "9.24.1.12345",
    "model_version": "2.5.4.9f3ab2c1",
    "java_version": "11",
    "project": {"id": "3f0c", "name": "Shop"},
    "metadata": "read",
}
NOTHING = {**dict.fromkeys(READ), "metadata": "missing"}


@pytest.fixture
def archived(package_id, local, platform, host, context, caplog):
    """Archive a package with such metadata, and return the manifest and the warnings."""

    def archived(content: bytes | None, verify: str = "structure", name: str = "model/metadata.json"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model/model.mdp", b"x" * 100_000)
            if content is not None:
                archive.writestr(name, content)
        platform.faults.add("float_size", times=None)
        host.always(with_body(lambda _: buffer.getvalue()))
        caplog.set_level("WARNING", "airflow_provider_mendix")
        transfer(package_id, local(), verify=verify).execute(context)
        manifest = local().manifest()
        ours = [record for record in caplog.records if record.name.startswith("airflow_provider_mendix")]
        return {name: manifest[name] for name in READ}, [record.getMessage() for record in ours]

    return archived


@pytest.mark.parametrize("verify", ["structure", "deep"])
def test_it_is_read(verify, archived):
    assert archived(json.dumps(WHOLE).encode(), verify) == (READ, [])


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"null", b"\xff", b" " * 2_000_000, b"[" * 100_000])
@pytest.mark.parametrize("verify", ["structure", "deep"])
def test_without_it_there_is_one_warning_and_the_manifest_says_so(content, verify, archived):
    found, warnings = archived(content, verify)
    assert found == NOTHING
    assert len(warnings) == 1
    assert "no model/metadata.json" in warnings[0]


def test_another_file_is_not_taken_for_it(archived):
    found, _ = archived(json.dumps(WHOLE).encode(), name="web/model/metadata.json")
    assert found == NOTHING


@pytest.mark.parametrize("version", ["2.5.5.9f3ab2c1", "2.5.4.aaaa1111", "3.0.0", "2.5", "x"])
def test_a_version_that_contradicts_mendix_is_a_warning(version, archived):
    found, warnings = archived(json.dumps({**WHOLE, "ModelVersion": version}).encode())
    assert found == {**READ, "model_version": version, "metadata": "contradicts"}
    assert len(warnings) == 1
    assert version in warnings[0]


@pytest.mark.parametrize("version", ["2.5.4", "2.5.4.9f3ab2c1", "2.5.4.9f3ab2c1d2e3f4", "", None, {}, []])
def test_a_version_that_does_not(version, archived):
    found, warnings = archived(json.dumps({**WHOLE, "ModelVersion": version}).encode())
    assert found["metadata"] == "read"
    assert warnings == []


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ({}, PackageMetadata()),
        ({"ProjectId": "3f0c"}, PackageMetadata(project=Project(id="3f0c"))),
        ({"ProjectName": "Shop"}, PackageMetadata(project=Project(name="Shop"))),
        ({"RuntimeVersion": None, "JavaVersion": ["11"]}, PackageMetadata()),
        ({"JavaVersion": 11.0}, PackageMetadata(java_version="11.0")),
    ],
)
def test_odd_values(values, read):
    assert read_metadata(json.dumps(values).encode()) == read


def test_a_mark_of_byte_order_is_ignored():
    assert read_metadata(b"\xef\xbb\xbf{}") == PackageMetadata()
