"""What an archive holds, according to its manifests."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.archive.catalog import list_archived, list_manifests
from airflow_provider_mendix.hooks.mendix import MendixHook

from .conftest import transfer


@pytest.fixture
def archived_place(package_id, place, context):
    transfer(package_id, place).execute(context)
    return place


def test_it_lists_what_is_whole_the_newest_first(places, platform, server, context, clock):
    ids = [platform.packages.add("shop", version=f"1.0.{n}", revision="63") for n in range(3)]
    for n, package_id in enumerate(ids):
        clock.sleep(1)
        transfer(package_id, places(f"shop/{n}")).execute(context)
    unfinished, cut, alone = places("unfinished"), places("cut"), places("alone")
    manifest = places("shop/0").manifest()
    unfinished.put(places("shop/0").content(), {**manifest, "complete": False})
    cut.put(b"PK", manifest)
    alone.put_manifest(manifest)
    places("bare").put(b"PK")
    places("rubbish").put(b"PK", b"rubbish")
    folder = places("shop/0").path.parent.parent.parent
    assert [found.package_id for found in list_manifests(folder, "shop")] == ids[::-1]
    assert MendixHook().list_archived(folder, "shop") == list_manifests(folder, "shop")
    newest = list_archived(folder, "shop")[0]
    assert newest.url == str(places("shop/2").path)
    assert list_manifests(folder, "plan") == []
    assert list_manifests(places("shop/1").path.parent, "shop") == [
        found for found in list_manifests(folder, "shop") if found.package_id == ids[1]
    ]
    assert list_manifests(folder / "nothing" / "here", "shop") == []


def test_what_it_lists_can_be_read_back(archived_place, platform, context):
    newest = list_archived(archived_place.path.parent, "shop")[0]
    assert newest.verify() == newest.manifest.sha256


def test_a_folder_with_a_slash(archived_place):
    place = archived_place
    folder = ObjectStoragePath(str(place.path.parent) + "/", conn_id=place.conn_id)
    assert [found.url for found in list_archived(folder, "shop")] == [str(place.path)]
