"""Places to archive to: a directory, and a real S3 server."""

from __future__ import annotations

import atexit
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.sdk.io import store as airflows_stores

from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

from ..conftest import set_connection
from .hosts import Host
from .service_models import cache_service_models
from .wire import Wire

MIB = 1024 * 1024
SIZE = 3 * MIB
NAME = "2.5.4.mda"
SECRET_OF_S3 = "secret-of-s3"
BOTH = [NAME, f"{NAME}.manifest.json"]


@dataclass
class Place:
    """Where one object is to be, and what is there."""

    url: str
    conn_id: str | None = None
    fast_path: bool = False

    @cached_property
    def _path(self) -> ObjectStoragePath:
        return ObjectStoragePath(self.url, conn_id=self.conn_id)

    @property
    def path(self) -> ObjectStoragePath:
        self._path.fs.invalidate_cache()
        return self._path

    @property
    def manifest_path(self) -> ObjectStoragePath:
        return self.path.parent / f"{self.path.name}.manifest.json"

    @property
    def pending_path(self) -> ObjectStoragePath:
        return self.path.parent / f"{self.path.name}.pending.json"

    def objects(self) -> list[str]:
        """The names of everything at and beside the object."""
        folder = self.path.parent
        return sorted(found.name for found in folder.iterdir()) if folder.exists() else []

    def content(self) -> bytes:
        return self.path.read_bytes()

    def manifest(self) -> dict[str, Any]:
        return json.loads(self.manifest_path.read_bytes())

    def put(self, content: bytes, manifest: bytes | dict[str, Any] | None = None) -> None:
        """Put an object there, as another program would."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(content)
        if manifest is not None:
            self.put_manifest(manifest)

    def put_manifest(self, manifest: bytes | dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        self.manifest_path.write_bytes(content)

    def uploads(self) -> list[str]:
        """Return the keys of unfinished uploads at and beside the object."""
        if not self.url.startswith("s3:"):
            return []
        folder = self.path.parent.path.partition("/")[2]
        try:
            found = self.path.fs.call_s3("list_multipart_uploads", Bucket="releases", Prefix=f"{folder}/")
        except FileNotFoundError:  # rclone, before the first upload
            return []
        return [upload["Key"] for upload in found.get("Uploads", [])]

    def is_archived(self, platform: Platform, package_id: str) -> bool:
        """Whether the right object is there with a manifest that is right, and nothing else."""
        assert self.objects() == BOTH
        assert self.uploads() == []
        assert self.content() == platform.packages.content(package_id)
        manifest = self.manifest()
        assert manifest["package_id"] == package_id
        assert manifest["sha256"] == platform.packages.sha256(package_id)
        return manifest["complete"] is True

    def is_empty(self) -> bool:
        return self.objects() == [] and self.uploads() == []


@pytest.fixture(autouse=True)
def _no_masking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's masking of secrets gets slower with every link; and without it, a leak cannot hide."""
    monkeypatch.setattr("airflow_provider_mendix.hooks.link_secrets.mask_secret", lambda secret: None)


@pytest.fixture(scope="session")
def s3_login() -> str:
    """The access key that the S3 server knows."""
    return "access"


@pytest.fixture(scope="session")
def s3_port(s3_login: str) -> int:
    """A real S3 server on loopback that checks signatures."""
    # The environments of `make matrix` have no object stores.
    pytest.importorskip("airflow.providers.amazon")
    cache_service_models()
    return start_rclone(s3_login)


@functools.cache
def start_rclone(login: str) -> int:
    """Start the server once for all tests of this process, and return its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = tempfile.TemporaryDirectory(prefix="s3-")
    Path(root.name, "releases").mkdir()
    command = [Path(sys.executable).with_name("rclone"), "serve", "s3", "--auth-key", f"{login},{SECRET_OF_S3}"]
    server = subprocess.Popen([*command, "--addr", f"127.0.0.1:{port}", root.name])
    atexit.register(root.cleanup)
    atexit.register(server.kill)
    deadline = time.monotonic() + 30
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert time.monotonic() < deadline, "the S3 server did not start"
        time.sleep(0.1)
    return port


@pytest.fixture
def s3(s3_port: int, s3_login: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Place]:
    """Make places in the S3 server."""
    extra = {"endpoint_url": f"http://127.0.0.1:{s3_port}", "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": s3_login, "password": SECRET_OF_S3, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_S3", json.dumps(connection))
    return lambda folder="shop": Place(f"s3://releases/{tmp_path.name}/{folder}/{NAME}", "s3")


@pytest.fixture
def s3_fast(s3: Callable[..., Place], caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Place]]:
    """Make places in the S3 server that are reached by the fast path, unless S3 refuses that."""
    caplog.set_level("INFO", "airflow_provider_mendix")
    yield lambda folder="shop": replace(s3(folder), fast_path=True)
    logged = [record.getMessage() for record in caplog.get_records("call")]
    assert not [line for line in logged if "plain path" in line and "refused before the first byte" not in line]


@pytest.fixture
def wire(s3_port: int) -> Iterator[Wire]:
    """A connection to the S3 server that can be told what to do to each call."""
    with Wire(s3_port) as wire:
        yield wire


@pytest.fixture
def connect(s3: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Change the connection to S3."""
    before = json.loads(os.environ["AIRFLOW_CONN_S3"])

    def connect(**extra: Any) -> None:
        changed = {**before, "extra": {**before["extra"], **extra}}
        monkeypatch.setenv("AIRFLOW_CONN_S3", json.dumps(changed))
        forget_connections()

    forget_connections()
    yield connect
    forget_connections()


def forget_connections() -> None:
    """Airflow keeps what it has made of a connection for as long as the process lives."""
    airflows_stores._STORE_CACHE.clear()


@pytest.fixture(params=["s3", "s3_fast"])
def wired(wire: Wire, request: pytest.FixtureRequest, connect: Callable[..., None]) -> Callable[..., Place]:
    """Make places in the S3 server that are reached over that connection, by either path."""
    connect(endpoint_url=f"http://127.0.0.1:{wire.port}")
    return request.getfixturevalue(request.param)


@pytest.fixture
def local(tmp_path: Path) -> Callable[..., Place]:
    """Make places in a directory."""
    return lambda folder="shop": Place(f"file://{tmp_path}/releases/{folder}/{NAME}")


@pytest.fixture(params=["local", "s3", "s3_fast"])
def places(request: pytest.FixtureRequest) -> Callable[..., Place]:
    """Make places in each of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def place(places: Callable[..., Place]) -> Place:
    return places()


@pytest.fixture(scope="session")
def running() -> Iterator[Server]:
    """A server that lasts: starting and stopping one takes longer than most tests."""
    with Server(Platform()) as server:
        yield server


@pytest.fixture
def server(running: Server, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The platform of this test on loopback, and the connection `mendix_default` to it."""
    running.platform = platform
    platform.cloud.files_url = running.files_url
    set_connection(monkeypatch, host=running.api_url)
    return running


@pytest.fixture
def package_id(platform: Platform, server: Server) -> str:
    platform.packages.default_size = SIZE
    return platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")


@pytest.fixture
def host(platform: Platform) -> Host:
    return Host(platform)


def transfer(package_id: str, place: Place, **changes: Any) -> MendixToObjectStorageOperator:
    where = {"destination": place.url, "destination_conn_id": place.conn_id, "fast_path": place.fast_path}
    arguments = {**where, **changes}
    return MendixToObjectStorageOperator(task_id="archive", app_id="shop", package_id=package_id, **arguments)
