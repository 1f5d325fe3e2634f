"""Which store a URL belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.archive.stores.fsspec import FsspecStore
from airflow_provider_mendix.archive.stores.local import LocalStore
from airflow_provider_mendix.exceptions import InvalidInputError

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mendix.archive.stores.base import Store

LOCAL_SCHEMES = ("", "file", "local")
OBJECT_STORE_SCHEMES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gcs"),
    **dict.fromkeys(("abfs", "abfss", "adl"), "azure"),
}
"""The schemes of object stores, with the extra of this package that brings the library for each."""

_ONLY_S3FS = frozenset({"signer", "proxy-uri"})
"""Settings of ``service_config.s3`` that Airflow's file system for S3 follows and boto3 does not know."""


def select_store(location: ObjectStoragePath, *, fast_path: bool = True) -> Store:
    """Return the store that a location is in.

    :param fast_path: whether objects may be uploaded to S3 with `obstore`.
    :raises InvalidInputError: if the library for it is not installed.
    """
    if location.protocol in LOCAL_SCHEMES:
        return LocalStore()
    if OBJECT_STORE_SCHEMES.get(location.protocol) != "s3":
        return FsspecStore(_file_system(location))
    try:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    except ImportError:
        raise _not_installed(location) from None

    from airflow_provider_mendix.archive.stores.s3 import S3Store

    hook = S3Hook(aws_conn_id=connection_id_of(location))
    if _ONLY_S3FS & hook.service_config.keys():
        return FsspecStore(_file_system(location))
    return S3Store(hook, fast_path=fast_path)


def connection_id_of(location: ObjectStoragePath) -> str | None:
    """Return the id of the connection of a location. Airflow 3.0 has it among the storage options only."""
    if hasattr(location, "conn_id"):
        return location.conn_id
    conn_id: str | None = location.storage_options.get("conn_id")
    return conn_id


def _file_system(location: ObjectStoragePath) -> Any:
    """Return Airflow's file system; it raises ``ValueError`` for a scheme that no installed provider knows."""
    try:
        return location.fs
    except ImportError:
        raise _not_installed(location) from None
    except ValueError:
        from airflow.sdk.io import has_fs

        if has_fs(location.protocol):
            raise
        raise _not_installed(location) from None


def _not_installed(location: ObjectStoragePath) -> InvalidInputError:
    extra = OBJECT_STORE_SCHEMES.get(location.protocol)
    what = f"airflow-provider-mendix[{extra}]" if extra else "the Airflow provider that knows it"
    return InvalidInputError(f"{location.protocol}:// cannot be used: install {what} on the workers.")
