from __future__ import annotations

import itertools
import warnings
from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_provider_mendix.assets.mendix import package_asset, revision_asset
from airflow_provider_mendix.exceptions import InvalidInputError

_numbers = itertools.count()


@pytest.fixture
def app_id():
    """An app of which no other test has defined an asset."""
    return f"app{next(_numbers)}"


def test_name_uri_watcher_and_trigger_belong_together(app_id):
    asset = revision_asset(app_id, "branches/next", mendix_conn_id="crm", poll_interval=timedelta(minutes=2))
    (watcher,) = asset.watchers
    path, arguments = watcher.trigger.serialize()
    assert (
        asset.name == asset.uri == watcher.name == arguments["asset_name"] == f"mendix://{app_id}/revisions/next"
    )
    assert path == "airflow_provider_mendix.triggers.event.MendixNewRevisionTrigger"
    assert arguments == {
        "asset_name": asset.name,
        "app_id": app_id,
        "branch": "branches/next",
        "mendix_conn_id": "crm",
        "poll_interval": 120.0,
    }


def test_the_watcher_of_packages_can_include_failed_builds(app_id):
    asset = package_asset(app_id, include_failed=True)
    assert asset.uri == f"mendix://{app_id}/packages/main"
    assert asset.watchers[0].trigger.serialize()[1]["include_failed"] is True


def test_a_dag_can_be_scheduled_on_both(app_id):
    dag = DAG("a", schedule=revision_asset(app_id) | package_asset(app_id))
    assert {asset.name for asset in dag.timetable.asset_condition.objects} == {
        f"mendix://{app_id}/revisions/main",
        f"mendix://{app_id}/packages/main",
    }


@pytest.mark.parametrize("factory", [revision_asset, package_asset])
def test_a_reference_names_the_asset_without_a_watcher(factory, app_id):
    assert factory.ref(app_id, "next").name == factory(app_id, "branches/next").name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"app_id": "My App"}, "app_id 'My App' is not a subdomain"),
        ({"app_id": "shop", "branch": "HEAD"}, "branch 'HEAD' is not a branch"),
        ({"app_id": "{{ params.app }}"}, "template"),
        ({"app_id": "shop", "poll_interval": 1}, "poll_interval must be at least 5 seconds"),
        ({"app_id": "shop", "poll_interval": "60"}, "poll_interval must be a number of seconds"),
    ],
)
@pytest.mark.parametrize("factory", [revision_asset, package_asset])
def test_a_wrong_value_fails_the_import_of_the_dag(factory, arguments, message):
    with pytest.raises((InvalidInputError, ValueError), match=message):
        factory(**arguments)


def test_a_second_definition_with_another_watcher_is_warned_of(app_id):
    package_asset(app_id)
    with pytest.warns(UserWarning, match=rf"{app_id}.* defined twice .*\(include_failed, poll_interval\)") as seen:
        package_asset(app_id, poll_interval=90, include_failed=True)
    assert seen[0].filename == __file__


def test_a_second_definition_with_the_same_watcher_is_not(app_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert revision_asset(app_id) == revision_asset(app_id)
