"""Where a package goes."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.archive.destination import FIELDS, fill, locate, safe
from airflow_provider_mendix.exceptions import InvalidInputError

from .conftest import transfer


def package(**changes) -> Package:
    values = {"package_id": "b3d14e53", "status": "Succeeded", "name": "main-2.5.4.63.mda", "version": "2.5.4.63"}
    return Package(**{**values, **changes})


@pytest.mark.parametrize(
    ("destination", "filled"),
    [
        ("s3://releases/shop.mda", "s3://releases/shop.mda"),
        ("s3://releases/{app_id}/{version}/{name}", "s3://releases/shop/2.5.4/main-2.5.4.63.mda"),
        ("s3://{app_id}/{branch}-{revision}/{package_id}.mda", "s3://shop/main-63/b3d14e53.mda"),
    ],
)
def test_what_the_package_tells_is_filled_in(destination, filled):
    assert fill(destination, "shop", package()) == filled


@pytest.mark.parametrize(
    ("name", "version", "branch"),
    [
        ("Main line-2.5.4.63.mda", "2.5.4.63", "trunk"),
        ("MainLine-2.5.4.63.mda", "2.5.4.63", "trunk"),
        ("main-0.0.19.62e3d711.mda", "0.0.19.62e3d711", "main"),
        ("feature-x-2.5.4.63.mda", "2.5.4.63", "feature-x"),
        ("feature/x-2.5.4.63.mda", "2.5.4.63", "feature-x"),
        ("../../etc-2.5.4.63.mda", "2.5.4.63", "-.-etc"),
    ],
)
def test_the_branch_is_the_one_in_the_name(name, version, branch):
    assert fill("/{branch}.mda", "shop", package(name=name, version=version)) == f"/{branch}.mda"


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("2.5.4", "2.5.4"),
        ("Main line", "Main line"),
        ("größe_ü", "größe_ü"),
        ("a/b", "a-b"),
        ("a\\b", "a-b"),
        ("a//\\b", "a-b"),
        ("..", ""),
        ("../x", "-x"),
        ("a..b", "a.b"),
        ("...a", "a"),
        (". .a", "a"),
        (".hidden", "hidden"),
        ("a\nb\x00c\x7fd", "a-b-c-d"),
        ("a?b#c%2e%2e", "a-b-c-2e-2e"),
        ("conn@bucket", "conn@bucket"),
        ("s3://x", "s3-x"),
        ("{{ x }}", "- x -"),
        ("a ", "a"),
        ("", ""),
    ],
)
def test_values_are_made_safe(value, made):
    assert safe(value) == made


@pytest.mark.parametrize("value", ["..", "/", "a/../b", ".", " . ", "\x00", "\u202e..", "‥/…"])
def test_no_value_leaves_its_place(value):
    parts = safe(value).split("/")
    assert len(parts) == 1
    assert parts[0] not in (".", "..")


@pytest.mark.parametrize(
    "destination",
    [
        "s3://releases/{app}.mda",
        "s3://releases/{}.mda",
        "s3://releases/{0}.mda",
        "s3://releases/{name!r}.mda",
        "s3://releases/{name:>20}.mda",
        "s3://releases/{name.__class__}.mda",
        "s3://releases/{name[0]}.mda",
        "s3://releases/{ name }.mda",
        "s3://releases/{name.mda",
        "s3://releases/name}.mda",
    ],
)
def test_what_cannot_be_filled_in_is_refused_before_any_request(destination, package_id, local, platform, context):
    with pytest.raises(AirflowFailException, match="cannot be filled in") as refused:
        transfer(package_id, local(), destination=destination).execute(context)
    assert all(f"{{{field}}}" in str(refused.value) for field in FIELDS)
    assert not platform.journal


@pytest.mark.parametrize(
    "destination",
    ["", None, 7, "s3://releases/", "s3://releases", "/releases/", "{{ archive }}/x.mda", "/x/{% if y %}.mda"],
)
def test_a_destination_that_names_no_object_is_refused_before_any_request(
    destination, package_id, local, platform, context
):
    with pytest.raises(AirflowFailException, match=r"does not name an object|destination is empty"):
        transfer(package_id, local(), destination=destination).execute(context)
    assert not platform.journal


@pytest.mark.parametrize(
    ("destination", "reason"),
    [
        ("s3://releases/x.mda ", "a blank or a line break at an end"),
        ("s3://releases/x.mda\n", "a blank or a line break at an end"),
        (" s3://releases/x.mda", "a blank or a line break at an end"),
        ("/releases/a\0.mda", "a character that no path can have"),
        ("/releases/\ud800.mda", "a character that no path can have"),
        ("/releases/x.mda.manifest.json", "has the name of a manifest"),
        ("s3://releases/x.mda.pending.json", "has the name of a manifest"),
        ("s3://releases/x.mda?versionId=null", "ways of their own"),
        ("s3://releases/x.mda?", "ways of their own"),
        ("s3://releases/x.mda#1", "ways of their own"),
        ("s3://releases/{version}.mda#", "ways of their own"),
        ("gs://releases/x.mda#1700000000", "ways of their own"),
        ("abfs://releases/x.mda?versionid=1", "ways of their own"),
        ("s3://releases//x.mda", "ways of their own"),
        ("s3://releases/shop/../x.mda", "ways of their own"),
        ("s3://releases/./x.mda", "ways of their own"),
        ("s3://releases/..", "ways of their own"),
        ("/releases/../x.mda", "ways of their own"),
        ("/releases//x.mda", "ways of their own"),
        ("file:///releases/./x.mda", "ways of their own"),
        ("s3:///x.mda", "ways of their own"),
        ("abfs://releases@account.dfs.core.windows.net/x.mda", "cannot be used"),
        ("x.mda", "is relative"),
        ("shop/x.mda", "is relative"),
        ("./x.mda", "is relative"),
        ("~/x.mda", "is relative"),
        ("file://shop/x.mda", "is relative"),
        ("file:shop/x.mda", "is relative"),
    ],
)
def test_a_path_that_is_read_in_several_ways_is_refused_before_any_request(
    destination, reason, package_id, local, platform, context
):
    with pytest.raises(AirflowFailException, match=reason):
        transfer(package_id, local(), destination=destination).execute(context)
    assert not platform.journal


@pytest.mark.parametrize("url", ["/x.mda", "file:///a/b c.mda", "s3://conn@b/k.mda", "/a@b/x?y#z"])
def test_a_path_that_is_read_as_it_is_written(url):
    assert str(locate(url)).endswith(url.rpartition("/")[2])


class TestFoundBeforeTheDownload:
    def refused(self, package_id, place, host, context, match, **changes):
        with pytest.raises(AirflowFailException, match=match):
            transfer(package_id, place, **changes).execute(context)
        assert host.requests == []

    def test_a_directory_of_that_name(self, package_id, local, host, context):
        local().path.mkdir(parents=True)
        self.refused(package_id, local(), host, context, "is a directory")

    @pytest.mark.parametrize("below", ["x.mda", "a/b/x.mda"])
    def test_a_file_in_place_of_a_directory(self, below, package_id, local, host, tmp_path, context):
        (tmp_path / "file").write_bytes(b"")
        url = f"file://{tmp_path}/file/{below}"
        self.refused(package_id, local(), host, context, "is not a directory", destination=url)

    @pytest.mark.parametrize("length", [203, 255, 256, 1000])
    def test_a_name_that_is_too_long(self, length, package_id, local, host, tmp_path, context):
        url = f"file://{tmp_path}/{'x' * length}"
        self.refused(package_id, local(), host, context, "too long", destination=url)

    def test_the_longest_name(self, package_id, local, platform, tmp_path, context):
        transfer(package_id, local(), destination=f"file://{tmp_path}/{'x' * 202}").execute(context)
        assert (tmp_path / ("x" * 202)).read_bytes() == platform.packages.content(package_id)

    def test_a_key_that_is_too_long(self, package_id, s3, host, context):
        url = f"s3://releases/{'x' * 1011}"
        self.refused(package_id, s3(), host, context, "too long by 1 bytes", destination=url)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("version", {"version": ""}),
        ("version", {"version": None}),
        ("revision", {"version": "2.5.4"}),
        ("branch", {"name": "uploaded.mda"}),
        ("name", {"name": None}),
        ("name", {"name": ".."}),
    ],
)
def test_what_the_package_does_not_tell_is_refused(field, changes):
    with pytest.raises(InvalidInputError, match=f"gives no {field} for package b3d14e53"):
        fill(f"/releases/{{{field}}}.mda", "shop", package(**changes))


def test_an_uploaded_package_has_a_version_but_no_revision():
    assert fill("/{version}.mda", "shop", package(version="2.5.4")) == "/2.5.4.mda"
