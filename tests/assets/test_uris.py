"""The functions that Airflow finds in the provider info, called by Airflow."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from airflow.sdk import Asset

from airflow_provider_mendix import get_provider_info
from airflow_provider_mendix.assets.uris import create_asset, sanitize_uri, to_openlineage, uri_of


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        ("mendix://shop/packages/main", "mendix://shop/packages/main"),
        ("mendix://Shop/packages/main/", "mendix://shop/packages/main"),
        ("mendix://shop/revisions/branches/next", "mendix://shop/revisions/next"),
        ("mendix://shop/revisions/feature/cart", "mendix://shop/revisions/feature/cart"),
        ("mendix://shop/revisions/statistical functions", "mendix://shop/revisions/statistical%20functions"),
        ("mendix://shop/revisions/statistical%20functions", "mendix://shop/revisions/statistical%20functions"),
        ("mendix://shop/environments/Test", "mendix://shop/environments/Test"),
    ],
)
def test_airflow_gets_the_one_form_of_a_uri(given, uri):
    assert Asset(name="a", uri=given).uri == uri


@pytest.mark.parametrize(
    "given",
    [
        "mendix://shop",
        "mendix://shop/packages",
        "mendix://shop/backups/main",
        "mendix://shop/packages/main?failed=yes",
        "mendix://my shop/packages/main",
        "mendix://0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b/packages/main",
        "mendix://shop/packages/a:b",
    ],
)
def test_other_uris_are_refused_with_the_right_form(given):
    with pytest.raises(ValueError, match="mendix://<app>/packages/<branch>"):
        Asset(name="a", uri=given)


def test_a_name_is_ascii_and_comes_with_its_uri():
    uri = uri_of("revisions", "Shop", "branches/später")
    assert uri == "mendix://shop/revisions/sp%C3%A4ter"
    assert Asset(uri).uri == uri


def test_the_factory_makes_an_asset_without_a_watcher():
    asset = create_asset(kind="packages", app_id="shop", name="main", extra={"version": "1.0.0"})
    assert (asset.name, asset.uri) == ("mendix://shop/packages/main",) * 2
    assert asset.extra == {"version": "1.0.0"}
    assert asset.watchers == []


def test_an_asset_is_a_dataset_of_openlineage(monkeypatch):
    # Without OpenLineage installed, Airflow's layer returns nothing.
    monkeypatch.setattr("airflow.providers.common.compat.openlineage.facet.Dataset", SimpleNamespace)
    asset = create_asset(kind="revisions", app_id="shop", name="two words")
    dataset = to_openlineage(asset, SimpleNamespace())
    assert (dataset.namespace, dataset.name) == ("mendix://shop", "revisions/two words")


def test_the_provider_info_names_them():
    (named,) = get_provider_info()["asset-uris"]
    functions = (sanitize_uri, create_asset, to_openlineage)
    paths = [f"{function.__module__}.{function.__qualname__}" for function in functions]
    assert list(named.values()) == [["mendix"], *paths]
