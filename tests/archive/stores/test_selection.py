"""Which store a URL belongs to."""

from __future__ import annotations

import sys

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_mendix.archive.stores.fsspec import FsspecStore
from airflow_provider_mendix.archive.stores.local import LocalStore
from airflow_provider_mendix.archive.stores.s3 import S3Store
from airflow_provider_mendix.archive.stores.selection import select_store

from ..conftest import transfer


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("/releases/x.mda", LocalStore),
        ("file:///releases/x.mda", LocalStore),
        ("s3://releases/x.mda", S3Store),
        ("s3a://releases/x.mda", S3Store),
    ],
)
def test_the_scheme_decides(url, kind, s3):
    conn_id = "s3" if url.startswith("s3") else None
    assert type(select_store(ObjectStoragePath(url, conn_id=conn_id))) is kind


@pytest.mark.parametrize(
    "of_s3",
    [{"proxy-uri": "http://127.0.0.1:1"}, {"signer": "S3V4RestSigner", "signer_uri": "x", "signer_token": "y"}],
)
def test_settings_that_only_airflows_file_system_follows(of_s3, s3, connect):
    connect(service_config={"s3": of_s3})
    assert type(select_store(ObjectStoragePath("s3://releases/x.mda", conn_id="s3"))) is FsspecStore


@pytest.mark.parametrize(
    ("module", "url", "extra"),
    [
        ("airflow.providers.amazon.aws.hooks.s3", "s3://releases/x.mda", r"airflow-provider-mendix\[s3\]"),
        (None, "gs://releases/x.mda", r"airflow-provider-mendix\[gcs\]"),
        (None, "abfs://releases/x.mda", r"airflow-provider-mendix\[azure\]"),
        (None, "memory://releases/x.mda", "the Airflow provider that knows it"),
        (None, "simplecache::s3://releases/x.mda", "the Airflow provider that knows it"),
    ],
)
def test_without_its_library_the_extra_is_named_before_any_request(
    module, url, extra, package_id, local, platform, context, monkeypatch
):
    pytest.importorskip("airflow.providers.amazon")
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AirflowFailException, match=f"InvalidInputError.* install {extra}"):
        transfer(package_id, local(), destination=url).execute(context)
    assert not platform.journal
