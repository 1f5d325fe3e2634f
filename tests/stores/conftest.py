"""The tests of the archive once more, on servers that are as strict as the real ones: `make test-stores`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..archive.conftest import (  # noqa: F401
    NAME,
    SECRET_OF_S3,
    Place,
    _no_masking,
    connect,
    forget_connections,
    host,
    local,
    package_id,
    place,
    running,
    s3,
    s3_fast,
    server,
    wire,
    wired,
)
from .servers import Azurite, Swift


@pytest.fixture(scope="session")
def s3_login() -> str:
    """An account and a user of Swift's."""
    return "shop:releases"


@pytest.fixture(scope="session")
def s3_port(s3_login: str) -> Iterator[int]:
    """An S3 server on loopback that checks signatures and checksums."""
    import boto3

    with Swift(s3_login, SECRET_OF_S3) as swift:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{swift.port}",
            region_name="us-east-1",
            aws_access_key_id=s3_login,
            aws_secret_access_key=SECRET_OF_S3,
        )
        client.create_bucket(Bucket="releases")
        yield swift.port


@pytest.fixture(scope="session")
def azure_connection() -> Iterator[str]:
    """Azure's blobs on loopback, with a container."""
    from azure.storage.blob import BlobServiceClient

    with Azurite() as azurite:
        connection = development(azurite.port)
        BlobServiceClient.from_connection_string(connection).create_container("releases")
        yield connection


def development(port: int) -> str:
    """The connection string of Azurite's only account, whose key is the same everywhere, and documented."""
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
    return f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};{endpoint};"


@pytest.fixture
def azure(azure_connection: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Place]:
    """Make places in Azure."""
    connection = {"conn_type": "wasb", "extra": {"connection_string": azure_connection}}
    monkeypatch.setenv("AIRFLOW_CONN_AZURE", json.dumps(connection))
    return lambda folder="shop": Place(f"abfs://releases/{tmp_path.name}/{folder}/{NAME}", "azure")
