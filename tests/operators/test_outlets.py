"""The events of outlets say what a task did, on the worker and deferred alike."""

from __future__ import annotations

import pytest
from airflow.sdk import Asset, AssetAlias

from airflow_provider_mendix.assets.mendix import package_asset
from airflow_provider_mendix.operators.backup import MendixCreateBackupOperator, MendixRestoreBackupOperator
from airflow_provider_mendix.operators.environment import (
    MendixTransportPackageOperator,
)
from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator
from airflow_provider_mendix.transfers.object_storage_to_mendix import ObjectStorageToMendixOperator

from ..conftest import run_task

ASSET, REFERENCE, ALIAS = Asset("released"), package_asset.ref("shop", "main"), AssetAlias("made")
OUTLETS = [ASSET, REFERENCE, ALIAS]


class Event:
    """Airflow's accessor of the event of one outlet."""

    def __init__(self):
        self.extra = {}
        self.added = []

    def add(self, asset, extra):
        self.added.append((asset.name, asset.uri, extra))


class Events:
    """Airflow's accessor of the events of all outlets."""

    def __init__(self):
        self.events = [Event() for _ in OUTLETS]

    def __getitem__(self, outlet):
        return self.events[OUTLETS.index(outlet)]


@pytest.fixture
def context(context):
    """Airflow's context, which forgets at a deferral what was set before."""
    ti = context["ti"]
    ti.xcom_pull = lambda task_ids, key, map_indexes: ti.xcoms.get(key)
    return {**context, "outlet_events": Events()}


def facts_of(context, uri):
    """Return what all events say, and check that they say the same."""
    asset, reference, alias = (context["outlet_events"][outlet] for outlet in OUTLETS)
    assert asset.extra == reference.extra
    assert alias.added == [(uri, uri, asset.extra)]
    assert not alias.extra
    return asset.extra


both = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferred"])


@both
def test_a_build(server, platform, context, deferrable):
    operator = MendixStartBuildOperator(
        task_id="build",
        app_id="shop",
        revision="9f3ab2c1",
        version="2.5.4",
        deferrable=deferrable,
        outlets=OUTLETS,
    )
    package_id = run_task(operator, context)
    assert facts_of(context, "mendix://shop/packages/main") == {
        "app_id": "shop",
        "package_id": package_id,
        "version": "2.5.4.9f3ab2c1",
        "revision": "9f3ab2c1",
        "is_reused": False,
    }


def test_a_build_that_nothing_waits_for(server, platform, context):
    operator = MendixStartBuildOperator(
        task_id="build",
        app_id="shop",
        revision="9f3ab2c1",
        version="2.5.4",
        branch="next",
        check_revision=False,
        wait_for_completion=False,
        outlets=OUTLETS,
    )
    package_id = operator.execute(context)
    facts = facts_of(context, "mendix://shop/packages/next")
    assert (facts["package_id"], facts["version"], facts["revision"]) == (package_id, "2.5.4", "9f3ab2c1")


@both
def test_a_transfer_and_an_upload(server, platform, context, tmp_path, deferrable):
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    transfer = MendixToObjectStorageOperator(
        task_id="archive",
        app_id="shop",
        package_id=package_id,
        destination=f"{tmp_path.as_uri()}/shop.mda",
        outlets=OUTLETS,
    )
    stored = transfer.execute(context)
    facts = facts_of(context, stored["url"])
    assert (facts["package_id"], facts["version"], facts["revision"]) == (package_id, "2.5.4.9f3ab2c1", "9f3ab2c1")
    assert (facts["sha256"], facts["url"]) == (stored["sha256"], stored["url"])

    context["outlet_events"] = Events()
    upload = ObjectStorageToMendixOperator(
        task_id="upload", app_id="shop", source=stored["url"], deferrable=deferrable, outlets=OUTLETS
    )
    uploaded = run_task(upload, context)
    assert facts_of(context, "mendix://shop/packages/main") == {**facts, "package_id": uploaded}


@both
def test_a_transport(server, platform, context, deferrable):
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    operator = MendixTransportPackageOperator(
        task_id="transport",
        app_id="shop",
        environment="Test",
        package_id=package_id,
        deferrable=deferrable,
        outlets=OUTLETS,
    )
    run_task(operator, context)
    facts = facts_of(context, "mendix://shop/environments/Test")
    assert (facts["environment"], facts["package_id"]) == ("Test", package_id)


@both
def test_a_restore(server, platform, context, deferrable):
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    platform.environments.add("shop", "Test", package_id=package_id)
    back_up = MendixCreateBackupOperator(task_id="back_up", app_id="shop", environment="Test")
    snapshot_id = back_up.execute(context)
    operator = MendixRestoreBackupOperator(
        task_id="restore",
        app_id="shop",
        environment="Test",
        snapshot_id=snapshot_id,
        deferrable=deferrable,
        outlets=OUTLETS,
    )
    restore_id = run_task(operator, context)
    assert facts_of(context, "mendix://shop/environments/Test") == {
        "app_id": "shop",
        "environment": "Test",
        "snapshot_id": snapshot_id,
        "restore_id": restore_id,
    }


def test_without_outlets_nothing_is_looked_up(server, platform, context):
    del context["outlet_events"]
    operator = MendixStartBuildOperator(task_id="build", app_id="shop", revision="9f3ab2c1", version="2.5.4")
    assert run_task(operator, context) in platform.packages
