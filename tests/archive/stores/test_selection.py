"""Which store a URL belongs to."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.archive.stores.fsspec import FsspecStore
from airflow_provider_mendix.archive.stores.local import LocalStore
from airflow_provider_mendix.archive.stores.s3 import S3Store
from airflow_provider_mendix.archive.stores.selection import select_store


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
