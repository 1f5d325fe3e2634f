"""Lineage without Airflow's OpenLineage provider; `tests/lineage` runs it with the provider."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.operators.lineage import Lineage, WithLineage, _dataset, is_lineage_wanted


@pytest.mark.parametrize(
    ("named", "dataset"),
    [
        (("revisions", "Shop", "branches/a b"), ("mendix://shop", "revisions/a b")),
        (("packages", "shop", "main"), ("mendix://shop", "packages/main")),
        (("environments", "shop", "Test"), ("mendix://shop", "environments/Test")),
        ("s3://aws_default@releases/shop/a b%20.mda", ("s3://releases", "shop/a b%20.mda")),
        ("s3a://releases/a.mda", ("s3://releases", "a.mda")),
        ("gcs://google@releases/a.mda", ("gs://releases", "a.mda")),
        ("file:///archive/a.mda", ("file", "/archive/a.mda")),
    ],
)
def test_datasets_are_named_as_others_name_them(named, dataset):
    assert _dataset(named) == dataset


def test_a_task_that_made_nothing_has_no_lineage():
    assert WithLineage().get_openlineage_facets_on_complete(None) is None


def test_lineage_never_fails_a_task(caplog):
    operator = WithLineage()
    operator.lineage = Lineage(target=("packages", "not an app", "main"), facts={})
    assert operator.get_openlineage_facets_on_complete(None) is None
    assert "No lineage" in caplog.text


def test_nothing_is_described_where_nothing_reads_it():
    assert not is_lineage_wanted()
