"""Which store a URL belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_mendix.archive.stores.fsspec import FsspecStore
from airflow_provider_mendix.archive.stores.local import LocalStore

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mendix.archive.stores.base import Store

_LOCAL = ("", "file", "local")
_S3 = ("s3", "s3a", "s3n")
_ONLY_S3FS = frozenset({"signer", "proxy-uri"})
"""Settings of ``service_config.s3`` that Airflow's file system for S3 follows and boto3 does not know."""


def select_store(location: ObjectStoragePath, *, fast_path: bool = True) -> Store:
    """Return the store that a location is in.

    :param fast_path: whether objects may be uploaded to S3 with `obstore`.
    """
    if location.protocol in _LOCAL:
        return LocalStore()
    if location.protocol not in _S3:
        return FsspecStore(location.fs)
    # The Amazon provider is optional.
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_mendix.archive.stores.s3 import S3Store

    hook = S3Hook(aws_conn_id=location.conn_id)
    if _ONLY_S3FS & hook.service_config.keys():
        return FsspecStore(location.fs)
    return S3Store(hook, fast_path=fast_path)
