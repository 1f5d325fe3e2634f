from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_mendix.api.errors import (
    DownloadError,
    PackageNotFoundError,
    PackageNotReadyError,
)
from airflow_provider_mendix.simulator.packages import SUCCEEDED
from airflow_provider_mendix.simulator.routes import Reply, json_reply
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

from .conftest import KEY

SIZE = 3 * 1024 * 1024


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory):
    """A real S3 server on loopback that checks signatures."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = tmp_path_factory.mktemp("s3")
    (root / "releases").mkdir()
    command = [Path(sys.executable).with_name("rclone"), "serve", "s3", "--auth-key", "access,secret-of-s3"]
    with subprocess.Popen([*command, "--addr", f"127.0.0.1:{port}", str(root)]) as server:
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.1)
        yield port
        server.terminate()


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path, monkeypatch):
    """A place to archive to: a URL for an object there, and the connection it needs."""
    if request.param == "local":
        return f"file://{tmp_path}/releases/shop/2.5.4.mda", None
    return s3_object(request.getfixturevalue("s3_port"), monkeypatch, tmp_path)


def s3_object(port, monkeypatch, tmp_path):
    """A place for an object of its own in the S3 server, and the connection to it."""
    extra = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "access", "password": "secret-of-s3", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_S3", json.dumps(connection))
    return f"s3://releases/{tmp_path.name}/2.5.4.mda", "s3"


@pytest.fixture
def package_id(platform, server):
    platform.package_size = SIZE
    return platform.add_package("shop", version="2.5.4", revision="9f3ab2c1")


def transfer(package_id, store, **changes):
    destination, conn_id = store
    return MendixToObjectStorageOperator(
        task_id="archive",
        app_id="shop",
        package_id=package_id,
        destination=destination,
        destination_conn_id=conn_id,
        **changes,
    )


def objects(store):
    """Every object at and beside the destination, unfinished uploads included."""
    url, conn_id = store
    path = ObjectStoragePath(url, conn_id=conn_id)
    folder = path.parent
    path.fs.invalidate_cache()
    if not folder.exists():
        return []
    return sorted(found.name for found in folder.iterdir())


def content(store):
    url, conn_id = store
    return ObjectStoragePath(url, conn_id=conn_id).read_bytes()


def test_it_stores_the_package_byte_for_byte(package_id, store, platform, context):
    result = transfer(package_id, store).execute(context)

    original = platform.content(package_id)
    assert content(store) == original
    assert objects(store) == ["2.5.4.mda"]
    assert result == {
        "package_id": package_id,
        "version": "2.5.4.9f3ab2c1",
        "url": str(ObjectStoragePath(store[0], conn_id=store[1])),
        "size": SIZE,
        "sha256": hashlib.sha256(original).hexdigest(),
    }


def test_the_file_host_gets_no_mendix_credentials(package_id, store, platform, context):
    transfer(package_id, store).execute(context)
    (download,) = platform.journal.requests(host="files")
    assert not {"mendix-username", "mendix-apikey", "authorization", "cookie"} & set(download.headers)


def test_neither_the_result_nor_the_log_holds_the_link_or_the_key(
    package_id, store, platform, context, caplog, capsys
):
    caplog.set_level("DEBUG", "airflow_provider_mendix")
    caplog.set_level("INFO")
    result = transfer(package_id, store).execute(context)
    said = caplog.text + "".join(capsys.readouterr()) + json.dumps(result)
    assert "signature=" not in said
    assert KEY not in said


def test_an_object_that_is_there_already_is_replaced(package_id, store, platform, context):
    url, conn_id = store
    path = ObjectStoragePath(url, conn_id=conn_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"old")
    transfer(package_id, store).execute(context)
    assert content(store) == platform.content(package_id)


def cut(platform, keep, announced=None):
    """Let the file host send the first bytes only; the length it announces is the whole one unless given."""
    answer = platform.handle

    def handle(request):
        reply = answer(request)
        if request.host != "files":
            return reply
        headers = {**reply.headers, "Content-Length": str(announced or len(reply.body))}
        return Reply(reply.status, headers, reply.body[:keep])

    platform.handle = handle


@pytest.mark.parametrize("before", [None, b"the release of last week"], ids=["new", "replacing"])
@pytest.mark.parametrize("keep", [0, 1, SIZE // 2, SIZE - 1])
def test_a_file_cut_on_the_way_leaves_what_was_there_before(
    keep, before, package_id, store, platform, server, context
):
    url, conn_id = store
    path = ObjectStoragePath(url, conn_id=conn_id)
    if before:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before)
    hang_up_after_short_body(server)
    cut(platform, keep)
    with pytest.raises(DownloadError, match=f"after {keep} of {SIZE} bytes"):
        transfer(package_id, store).execute(context)
    assert objects(store) == (["2.5.4.mda"] if before else [])
    if before:
        assert content(store) == before


def test_an_upload_cut_after_its_first_part_is_given_up(s3_port, platform, server, monkeypatch, tmp_path, context):
    store = s3_object(s3_port, monkeypatch, tmp_path)
    platform.package_size = 60 * 1024 * 1024
    package_id = platform.add_package("shop", version="2.5.4", revision="9f3ab2c1")
    hang_up_after_short_body(server)
    cut(platform, platform.package_size - 1)
    with pytest.raises(DownloadError):
        transfer(package_id, store).execute(context)
    assert objects(store) == []
    path = ObjectStoragePath(store[0], conn_id="s3")
    assert not path.fs.call_s3("list_multipart_uploads", Bucket="releases").get("Uploads")


def hang_up_after_short_body(server):
    """A body shorter than announced ends with the connection, else the client would wait for the rest."""
    for listener in server._listeners:
        listener.RequestHandlerClass = type(
            "HangingUp", (listener.RequestHandlerClass,), {"protocol_version": "HTTP/1.0"}
        )


@pytest.mark.parametrize("keep", [1, SIZE // 2, SIZE - 1])
def test_a_file_shorter_than_mendix_says_is_not_stored(keep, package_id, store, platform, context):
    cut(platform, keep, announced=keep)
    with pytest.raises(DownloadError, match=f"{SIZE} bytes by Mendix's word, but {keep} arrived"):
        transfer(package_id, store).execute(context)
    assert objects(store) == []


def test_a_failing_task_leaves_nothing_behind(package_id, store, monkeypatch, context):
    class KilledError(BaseException):
        pass

    def die(*_):
        raise KilledError

    monkeypatch.setattr("airflow_provider_mendix.archive._check_size", die)
    with pytest.raises(KilledError):
        transfer(package_id, store).execute(context)
    assert objects(store) == []


def test_memory_does_not_grow_with_the_file(platform, server, tmp_path, context):
    platform.package_size = 48 * 1024 * 1024
    package_id = platform.add_package("shop", version="2.5.4", revision="9f3ab2c1")
    platform.content(package_id)
    tracemalloc.start()
    try:
        transfer(package_id, (f"file://{tmp_path}/big.mda", None)).execute(context)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The simulator's reply is a copy of the file in this same process; ours must not be another one.
    assert peak < 1.5 * platform.package_size


def test_a_package_that_is_still_building_is_refused(platform, server, store, context):
    app = platform.apps["shop"]
    package = platform.new_package(app, version="2.5.4", revision="9f3ab2c1", branch="main", description="")
    package.steps = [("Building", 60.0), (SUCCEEDED, float("inf"))]
    with pytest.raises(PackageNotReadyError, match="is Building, not Succeeded"):
        transfer(package.package_id, store).execute(context)
    assert objects(store) == []


def test_a_package_without_a_link_is_refused(package_id, platform, store, context):
    reply = json_reply({"PackageId": package_id, "Status": "Succeeded", "Url": None})
    platform.handle = lambda request: reply
    with pytest.raises(PackageNotReadyError, match="gave no link"):
        transfer(package_id, store).execute(context)


def test_a_package_that_is_not_there_is_refused(server, store, context):
    with pytest.raises(PackageNotFoundError):
        transfer("0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b", store).execute(context)


def test_a_file_host_that_refuses_is_told_without_the_link(package_id, platform, store, context):
    answer = platform.handle
    platform.handle = lambda request: Reply(403) if request.host == "files" else answer(request)
    with pytest.raises(DownloadError, match="HTTP 403") as refused:
        transfer(package_id, store).execute(context)
    assert "signature" not in str(refused.value)


@pytest.mark.parametrize("destination", ["", "s3://releases/", "{{ archive }}/x.mda"])
def test_a_destination_that_names_no_object_is_refused_before_any_request(
    destination, package_id, platform, context
):
    with pytest.raises(AirflowFailException, match="does not name an object"):
        transfer(package_id, (destination, None)).execute(context)
    assert not platform.journal


def test_everything_a_user_would_template_is_templated(package_id, store, platform, context):
    url, conn_id = store
    operator = MendixToObjectStorageOperator(
        task_id="archive",
        app_id="{{ app }}",
        package_id="{{ package }}",
        destination="{{ url }}",
        destination_conn_id="{{ store }}" if conn_id else None,
        mendix_conn_id="{{ conn }}",
    )
    operator.render_template_fields(
        {"app": "shop", "package": package_id, "url": url, "store": conn_id, "conn": "mendix_default"}
    )
    operator.execute(context)
    assert content(store) == platform.content(package_id)
