"""S3 by both paths, on a server that checks signatures, checksums and the sizes of parts."""

from __future__ import annotations

import json
import os

import pytest

from ..archive.conftest import MIB, forget_connections, transfer
from ..archive.test_writer import *  # noqa: F403
from ..archive.test_writer_again import *  # noqa: F403


@pytest.fixture(params=["s3", "s3_fast"])
def places(request):
    """Make places by either path."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("call", ["UploadPart", "PutObject"])
def test_a_bit_that_flips_on_the_way_to_the_store_is_refused(
    call, platform, server, places, wire, connect, context
):
    platform.packages.default_size = 9 * MIB
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    connect(endpoint_url=f"http://127.0.0.1:{wire.port}")
    wire.before = lambda name, _: "flip" if name == call else None
    with pytest.raises(OSError):  # noqa: PT011 -- each library has its own words
        transfer(package_id, places()).execute(context)
    assert call in wire.calls
    wire.forget()
    assert places().is_empty()


def test_a_wrong_secret_is_refused(package_id, places, context, s3_login, monkeypatch):
    connection = json.loads(os.environ["AIRFLOW_CONN_S3"])
    monkeypatch.setenv("AIRFLOW_CONN_S3", json.dumps({**connection, "password": "wrong"}))
    forget_connections()
    with pytest.raises(PermissionError):
        transfer(package_id, places()).execute(context)
    forget_connections()
