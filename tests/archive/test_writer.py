"""What is archived is what was built: whole, checked and described, or not there."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from airflow_provider_mendix.exceptions import DownloadError

from ..conftest import KEY
from .conftest import BOTH, MIB, SIZE, Place, transfer
from .hosts import cut


def test_it_stores_the_package_byte_for_byte(package_id, place, platform, context):
    result = transfer(package_id, place).execute(context)

    assert place.objects() == BOTH
    assert place.content() == platform.packages.content(package_id)
    url = str(place.path)
    assert result == {
        "package_id": package_id,
        "app_id": "shop",
        "version": "2.5.4.9f3ab2c1",
        "revision": "9f3ab2c1",
        "url": url,
        "manifest": f"{url}.manifest.json",
        "size": SIZE,
        "sha256": platform.packages.sha256(package_id),
        "stored": True,
    }


def test_the_manifest_tells_what_the_object_is(package_id, place, platform, context):
    context["ti"].try_number = 2
    transfer(package_id, place).execute(context)

    assert place.manifest() == {
        "schema": 1,
        "complete": True,
        "object": "2.5.4.mda",
        "package_id": package_id,
        "app_id": "shop",
        "name": "main-2.5.4.9f3ab2c1.mda",
        "version": "2.5.4.9f3ab2c1",
        "revision": "9f3ab2c1",
        "branch": "main",
        "mendix_version": "10.24.0.1",
        "runtime_version": "10.24.0.1",
        "model_version": "2.5.4.9f3ab2c1",
        "java_version": "21",
        "project": {"id": platform.apps["shop"].project_id, "name": "Shop"},
        "metadata": "read",
        "commit": None,
        "size": SIZE,
        "sha256": platform.packages.sha256(package_id),
        "verification": {
            "size_of_host": True,
            "size_of_mendix": True,
            "sha256_of_host": False,
            "zip_entries": 3,
            "zip_directory": True,
            "zip_contents": True,
        },
        "stored_at": "2023-11-14T22:13:20+00:00",
        "task": {
            "dag_id": "release",
            "run_id": "manual__2023-11-14",
            "task_id": "build",
            "map_index": -1,
            "try": 2,
        },
    }


def test_the_manifest_tells_about_the_commit_where_that_is_known(place, platform, server, context):
    platform.add_app("stock", repository="svn")
    number = platform.repositories.push(
        "stock", message="Count the stock", author="bo@example.com", mendix_version="9.24.1"
    )
    package_id = platform.packages.add("stock", version="1.0.0", revision=number)
    operator = transfer(package_id, place)
    operator.app_id = "stock"
    operator.execute(context)

    manifest = place.manifest()
    assert manifest["branch"] == "trunk"
    assert manifest["mendix_version"] == "9.24.1"
    assert manifest["commit"] == {
        "revision": number,
        "author": "bo@example.com",
        "date": "2023-11-14T22:13:20+00:00",
        "message": "Count the stock",
    }


def test_a_commit_that_cannot_be_found_out_is_no_failure(place, platform, server, context):
    platform.add_app("stock", repository="svn")
    package_id = platform.packages.add("stock", version="1.0.0", revision="7000")
    operator = transfer(package_id, place)
    operator.app_id = "stock"
    operator.execute(context)
    assert place.manifest()["commit"] is None


def test_the_file_host_gets_no_mendix_credentials(package_id, place, host, context):
    host.then(cut(1000))
    transfer(package_id, place).execute(context)
    assert len(host.requests) == 2
    for download in host.requests:
        assert not {"mendix-username", "mendix-apikey", "authorization", "cookie"} & set(download.headers)


def test_nothing_written_holds_the_link_or_the_key(package_id, place, platform, host, context, caplog, capsys):
    caplog.set_level("DEBUG", "airflow_provider_mendix")
    caplog.set_level("INFO")
    host.then(cut(1000), lambda reply: reply)
    platform.faults.add("expired_link", after=1)
    result = transfer(package_id, place).execute(context)
    said = caplog.text + "".join(capsys.readouterr()) + json.dumps([result, place.manifest()])
    assert "HTTP 403" in said
    assert "signature=" not in said
    assert KEY not in said


def test_a_task_that_is_stopped_leaves_nothing_behind(package_id, place, host, clock, context, monkeypatch):
    class StoppedError(BaseException):
        pass

    def stop(_):
        raise StoppedError

    monkeypatch.setattr(clock, "sleep", stop)
    host.then(cut(SIZE // 2))
    with pytest.raises(StoppedError):
        transfer(package_id, place).execute(context)
    assert place.is_empty()


def test_an_upload_that_has_begun_is_given_up(s3, platform, server, host, context):
    platform.packages.default_size = 20 * MIB
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    host.then(cut(platform.packages.default_size - 1))
    host.always(cut(0))
    with pytest.raises(
        DownloadError,
        match=f"after {platform.packages.default_size - 1} of {platform.packages.default_size} bytes",
    ):
        transfer(package_id, s3()).execute(context)
    assert s3().is_empty()


def test_memory_does_not_grow_with_the_file(platform, server, tmp_path, context):
    platform.packages.default_size = 48 * MIB
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    platform.packages.content(package_id)
    tracemalloc.start()
    try:
        transfer(package_id, Place(f"file://{tmp_path}/big.mda")).execute(context)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The simulator's reply is a copy of the file in this same process; ours must not be another one.
    assert peak < 1.5 * platform.packages.default_size
