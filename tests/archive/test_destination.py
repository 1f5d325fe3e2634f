"""Where a package goes."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.archive.destination import FIELDS, fill, safe
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


@pytest.mark.parametrize("destination", ["", "s3://releases/", "{{ archive }}/x.mda", "/x/{% if y %}.mda"])
def test_a_destination_that_names_no_object_is_refused_before_any_request(
    destination, package_id, local, platform, context
):
    with pytest.raises(AirflowFailException, match="does not name an object"):
        transfer(package_id, local(), destination=destination).execute(context)
    assert not platform.journal


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


def test_everything_a_user_would_template_is_templated(package_id, place, platform, context):
    operator = transfer(
        "{{ package }}",
        place,
        destination="{{ url }}",
        destination_conn_id="{{ store }}" if place.conn_id else None,
        mendix_conn_id="{{ conn }}",
        if_object_exists="{{ policy }}",
        verify="{{ how }}",
    )
    operator.app_id = "{{ app }}"
    operator.render_template_fields(
        {
            "app": "shop",
            "package": package_id,
            "url": place.url.replace("2.5.4", "{version}"),
            "store": place.conn_id,
            "conn": "mendix_default",
            "policy": "replace",
            "how": "structure",
        }
    )
    operator.execute(context)
    assert place.is_archived(platform, package_id)
