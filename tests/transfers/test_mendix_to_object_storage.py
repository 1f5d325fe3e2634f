"""The transfer to object storage as an operator: its arguments, and what it refuses."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_mendix.exceptions import PackageNotReadyError
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED
from airflow_provider_mendix.simulator.wire import json_reply

from ..archive.conftest import transfer


class TestPath:
    """An ``ObjectStoragePath`` in place of a URL."""

    def test_it_is_taken_with_its_connection(self, package_id, place, platform, context):
        path = ObjectStoragePath(place.url, conn_id=place.conn_id)
        result = transfer(package_id, place, destination=path, destination_conn_id=None).execute(context)
        assert place.is_archived(platform, package_id)
        assert result["stored"] is True

    def test_it_may_be_made_of_parts_and_hold_fields(self, package_id, local, platform, context):
        place = local()
        path = ObjectStoragePath(place.url).parent / "{version}.mda"
        transfer(package_id, place, destination=path).execute(context)
        assert place.is_archived(platform, package_id)

    def test_the_same_connection_may_be_given_twice(self, package_id, place, platform, context):
        path = ObjectStoragePath(place.url, conn_id=place.conn_id)
        transfer(package_id, place, destination=path).execute(context)
        assert place.is_archived(platform, package_id)

    def test_another_connection_is_refused(self, package_id, s3, platform, context):
        path = ObjectStoragePath(s3().url, conn_id="s3")
        with pytest.raises(AirflowFailException, match="has the connection 's3', and 'other' is given beside it"):
            transfer(package_id, s3(), destination=path, destination_conn_id="other").execute(context)
        assert not platform.journal


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


@pytest.mark.parametrize(("name", "value"), [("if_object_exists", "overwrite"), ("verify", "none")])
def test_a_choice_that_there_is_not_is_refused_before_any_request(
    name, value, package_id, local, platform, context
):
    with pytest.raises(AirflowFailException, match=f"{name} cannot be '{value}'"):
        transfer(package_id, local(), **{name: value}).execute(context)
    assert not platform.journal


def test_a_package_that_is_still_building_is_refused(platform, server, place, context):
    package_id = platform.packages.add(
        "shop", version="2.5.4", revision="9f3ab2c1", steps=[("Building", 60.0), (SUCCEEDED, float("inf"))]
    )
    with pytest.raises(PackageNotReadyError, match="is Building, not Succeeded"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


def test_a_package_without_a_link_is_refused(package_id, platform, place, context):
    reply = json_reply({"PackageId": package_id, "Status": "Succeeded", "Url": None})
    platform.handle = lambda request: reply
    with pytest.raises(PackageNotReadyError, match="returned no link"):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


def test_a_package_that_is_not_there_is_refused_for_good(server, place, context):
    with pytest.raises(AirflowFailException, match="PackageNotFoundError"):
        transfer("0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b", place).execute(context)
