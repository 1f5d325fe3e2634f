"""Each fault over loopback, as both senders meet it; then it is removed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.call import Call, Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import (
    BuildFailedError,
    DownloadError,
    InvalidRequestError,
    MendixConnectionError,
    MendixResponseError,
    RateLimitedError,
    ServiceUnavailableError,
)
from airflow_provider_mendix.simulator import Server
from airflow_provider_mendix.simulator.faults.registry import KINDS

from ..talking import KEY, USER, Talk

Send = Callable[[Call[Any]], Any]


START = build.start_build("shop", revision="9f3ab2c1", version="1.4.2", description="one two three")


LIST = build.list_packages("shop")


def names(talk: Talk) -> list[tuple[str, ...]]:
    return [entry.faults for entry in talk.platform.journal]


def test_latency_within_the_timeout(talk, faults, send):
    faults.add("latency", seconds=0.05)
    began = time.monotonic()
    assert send(LIST) == []
    assert time.monotonic() - began >= 0.05
    assert send(LIST) == []
    assert names(talk) == [("latency",), ()]


def test_latency_beyond_the_timeout_and_the_build_is_started(talk, faults, hasty):
    faults.add("latency", seconds=60, on="start_build")
    with pytest.raises(MendixConnectionError, match="timed out"):
        hasty(START)
    assert [package.status for package in hasty(LIST)] == ["Queued"]


@pytest.mark.parametrize("handled", [False, True])
def test_hang(talk, faults, hasty, handled):
    faults.add("hang", handled=handled)
    with pytest.raises(MendixConnectionError, match="timed out"):
        hasty(START)
    assert len(hasty(LIST)) == handled
    assert names(talk) == [("hang",), ()]
    assert talk.platform.journal[0].status == 0


def test_hang_is_bounded(faults, send):
    faults.add("hang", seconds=0.05)
    with pytest.raises(MendixConnectionError) as caught:
        send(LIST)
    assert "timed out" not in str(caught.value)
    assert send(LIST) == []


def test_hang_ends_with_the_server(talk, faults):
    faults.add("hang")
    met: list[BaseException] = []

    def ask(url: str) -> None:
        with MendixClient(Account(username=USER, api_key=KEY, base_urls={Host.DEPLOY: url}, timeout=60)) as client:
            try:
                client.send(LIST)
            except MendixConnectionError as error:
                met.append(error)

    with Server(talk.platform) as server:
        asking = threading.Thread(target=ask, args=(server.api_url,))
        asking.start()
        while not talk.platform.journal:
            time.sleep(0.001)
    asking.join(timeout=20)
    assert len(met) == 1


def test_connection_reset(talk, faults, send):
    faults.add("connection_reset")
    with pytest.raises(MendixConnectionError, match="Connection reset by peer"):
        send(START)
    assert not talk.platform.packages
    send(START)
    assert names(talk) == [("connection_reset",), ()]


def test_reply_lost(talk, faults, send):
    faults.add("reply_lost", on="start_build")
    assert send(LIST) == []
    with pytest.raises(MendixConnectionError, match="check before sending it again"):
        send(START)
    assert len(send(LIST)) == 1
    assert [(entry.status, entry.faults) for entry in talk.platform.journal] == [
        (200, ()),
        (200, ("reply_lost",)),
        (200, ()),
    ]


@pytest.mark.parametrize(("retry_after", "form"), [(7, "seconds"), (0, "seconds"), (7, "date"), (None, "seconds")])
def test_rate_limited(talk, faults, send, retry_after, form):
    talk.clock.time = time.time()
    faults.add("rate_limited", retry_after=retry_after, form=form)
    with pytest.raises(RateLimitedError) as caught:
        send(START)
    assert caught.value.code is None
    if form == "date":
        assert caught.value.retry_after == pytest.approx(7, abs=2)
    else:
        assert caught.value.retry_after == retry_after
    assert not talk.platform.packages
    assert send(LIST) == []


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ServiceUnavailableError),
        ({"status": 503}, ServiceUnavailableError),
        ({"code": "BUILD_FAILED"}, BuildFailedError),
        ({"code": "NEW_CODE"}, MendixResponseError),
        ({"status": 400, "code": "INVALID_VERSION"}, InvalidRequestError),
    ],
)
def test_server_error(talk, faults, send, parameters, expected):
    faults.add("server_error", **parameters)
    with pytest.raises(MendixResponseError) as caught:
        send(LIST)
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.code) == (parameters.get("status", 500), parameters.get("code"))
    assert send(LIST) == []


@pytest.mark.parametrize("status", [502, 503, 504])
def test_bad_gateway(talk, faults, send, status):
    faults.add("bad_gateway", status=status)
    with pytest.raises(ServiceUnavailableError) as caught:
        send(START)
    assert caught.value.status == status
    assert "<" not in str(caught.value)
    assert not talk.platform.packages
    assert send(LIST) == []


@pytest.mark.parametrize("kind", ["server_error", "bad_gateway"])
def test_an_error_for_a_request_that_was_handled(talk, faults, send, kind):
    faults.add(kind, handled=True)
    with pytest.raises(ServiceUnavailableError):
        send(START)
    assert len(send(LIST)) == 1
    assert names(talk) == [(kind,), ()]


def download(account: Account, link: str) -> bytes:
    with MendixClient(account) as client, client.download(link) as file:
        return b"".join(file)


def test_expired_link(talk, faults, account, package_id):
    link = talk.link(package_id)
    faults.add("expired_link")
    with pytest.raises(DownloadError) as caught:
        download(account, link)
    assert caught.value.status == 403
    assert download(account, link) == talk.platform.packages.content(package_id)


@pytest.mark.parametrize("at", [0, 1, 200_000])
def test_cut_file(talk, faults, account, package_id, at):
    link = talk.link(package_id)
    faults.add("cut_file", at=at)
    received = bytearray()

    def receive() -> None:
        with MendixClient(account) as client, client.download(link) as file:
            assert file.size == 262144
            for chunk in file:
                received.extend(chunk)

    with pytest.raises(DownloadError, match="of 262144 bytes"):
        receive()
    assert len(received) <= at
    assert talk.platform.packages.content(package_id).startswith(bytes(received))
    received.clear()
    receive()
    assert bytes(received) == talk.platform.packages.content(package_id)
    assert names(talk)[1:] == [("cut_file",), ()]


def test_a_file_shorter_than_the_cut_is_whole(talk, faults, account, package_id):
    fault = faults.add("cut_file", at=262144)
    assert download(account, talk.link(package_id)) == talk.platform.packages.content(package_id)
    assert fault.call_count == 0


def test_every_fault_is_tried():
    source = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in KINDS if f'"{name}"' not in source] == []
