"""Each fault over loopback, as both senders meet it; then it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.call import Call, Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.aiohttp_client import AsyncMendixClient
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import (
    BuildFailedError,
    DownloadError,
    InvalidRequestError,
    MalformedResponseError,
    MendixConnectionError,
    MendixResponseError,
    PackageNotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
)
from airflow_provider_mendix.simulator import Server
from airflow_provider_mendix.simulator.faults.registry import KINDS

from .talking import KEY, USER, Talk

Send = Callable[[Call[Any]], Any]
START = build.start_build("shop", revision="9f3ab2c1", version="1.4.2", description="one two three")
LIST = build.list_packages("shop")


@pytest.fixture
def faults(talk: Talk) -> Any:
    return talk.platform.faults


@pytest.fixture
def account(talk: Talk) -> Iterator[Account]:
    with Server(talk.platform) as server:
        yield Account(username=USER, api_key=KEY, base_urls={Host.DEPLOY: server.api_url}, timeout=20)


@contextlib.contextmanager
def sender(library: str, account: Account) -> Iterator[Send]:
    """One of the two senders, with connections that it keeps."""
    if library == "requests":
        with MendixClient(account) as client:
            yield client.send
        return
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        client = runner.run(stack.enter_async_context(AsyncMendixClient(account)))
        try:
            yield lambda call: runner.run(client.send(call))
        finally:
            runner.run(stack.aclose())


@pytest.fixture(params=["requests", "aiohttp"])
def send(request: pytest.FixtureRequest, account: Account) -> Iterator[Send]:
    with sender(request.param, account) as send:
        yield send


@pytest.fixture(params=["requests", "aiohttp"])
def hasty(request: pytest.FixtureRequest, account: Account) -> Iterator[Send]:
    """One that gives up soon."""
    with sender(request.param, msgspec.structs.replace(account, timeout=0.5)) as send:
        yield send


@pytest.fixture
def package_id(talk: Talk) -> str:
    return talk.platform.add_package("shop", version="1.0.0", revision="63", description="one two three")


def names(talk: Talk) -> list[tuple[str, ...]]:
    return [entry.faults for entry in talk.platform.journal]


def test_latency_that_the_client_bears(talk, faults, send):
    faults.add("latency", seconds=0.05)
    began = time.monotonic()
    assert send(LIST) == []
    assert time.monotonic() - began >= 0.05
    assert send(LIST) == []
    assert names(talk) == [("latency",), ()]


def test_latency_that_it_does_not_bear_and_the_build_is_started(talk, faults, hasty):
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
def test_error_for_a_request_that_was_handled(talk, faults, send, kind):
    faults.add(kind, handled=True)
    with pytest.raises(ServiceUnavailableError):
        send(START)
    assert len(send(LIST)) == 1
    assert names(talk) == [(kind,), ()]


@pytest.mark.parametrize("kind", ["truncated_json", "empty_body"])
def test_answer_that_is_no_json(talk, faults, send, kind):
    faults.add(kind)
    with pytest.raises(MalformedResponseError):
        send(START)
    assert len(send(LIST)) == 1
    assert names(talk) == [(kind,), ()]


def test_float_size(faults, send, package_id):
    faults.add("float_size", times=2)
    assert [package.size for package in send(LIST)] == [0.25]
    assert send(build.get_package("shop", package_id)).size == 0.25
    assert send(build.get_package("shop", package_id)).size == 256 * 1024


def test_malformed_size(faults, send, package_id):
    faults.add("malformed_size")
    with pytest.raises(MalformedResponseError):
        send(build.get_package("shop", package_id))
    assert [package.size for package in send(LIST)] == [256 * 1024]


def test_hidden_everywhere_until_it_is_old_enough(talk, faults, send, package_id):
    faults.add("hidden_from_list", seconds=20)
    talk.clock.sleep(30)
    young = send(START).package_id
    assert [package.package_id for package in send(LIST)] == [package_id]
    with pytest.raises(PackageNotFoundError):
        send(build.get_package("shop", young))
    talk.clock.sleep(20)
    assert len(send(LIST)) == 2
    assert send(build.get_package("shop", young)).status == "Building"
    kind = ("hidden_from_list",)
    assert names(talk) == [(), kind, kind, (), ()]


@pytest.mark.parametrize("on", ["list_packages", "get_package"])
def test_hidden_in_one_place_only(talk, faults, send, on):
    faults.add("hidden_from_list", on=on)
    young = send(START).package_id
    assert len(send(LIST)) == (on == "get_package")
    if on == "list_packages":
        assert send(build.get_package("shop", young)).package_id == young
    else:
        with pytest.raises(PackageNotFoundError):
            send(build.get_package("shop", young))


def test_stuck_build(talk, faults, send):
    stuck, other = send(START).package_id, send(START).package_id
    talk.clock.sleep(20)
    fault = faults.add("stuck_build", package_id=stuck)
    talk.clock.sleep(1000)
    seen = {package.package_id: package.status for package in send(LIST)}
    assert seen == {stuck: "Building", other: "Succeeded"}
    assert send(build.get_package("shop", stuck)).status == "Building"
    assert send(build.get_package("shop", other)).status == "Succeeded"
    assert names(talk)[2:] == [("stuck_build",), ("stuck_build",), ()]
    fault.remove()
    assert send(build.get_package("shop", stuck)).status == "Succeeded"


def test_all_builds_stuck(talk, faults, send, package_id):
    with faults.add("stuck_build"):
        started = send(START).package_id
        talk.clock.sleep(1000)
        assert send(build.get_package("shop", started)).status == "Queued"
        assert send(build.get_package("shop", package_id)).status == "Succeeded"
    assert send(build.get_package("shop", started)).status == "Succeeded"


def download(account: Account, link: str) -> bytes:
    with MendixClient(account) as client, client.download(link) as file:
        return b"".join(file)


def test_expired_link(talk, faults, account, package_id):
    link = talk.link(package_id)
    faults.add("expired_link")
    with pytest.raises(DownloadError) as caught:
        download(account, link)
    assert caught.value.status == 403
    assert download(account, link) == talk.platform.content(package_id)


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
    assert talk.platform.content(package_id).startswith(bytes(received))
    received.clear()
    receive()
    assert bytes(received) == talk.platform.content(package_id)
    assert names(talk)[1:] == [("cut_file",), ()]


def test_file_shorter_than_the_cut_is_whole(talk, faults, account, package_id):
    fault = faults.add("cut_file", at=262144)
    assert download(account, talk.link(package_id)) == talk.platform.content(package_id)
    assert fault.struck == 0


@pytest.mark.parametrize(
    ("kind", "parameters", "kept", "shown"),
    [
        ("truncated_description", {"length": 7}, "one two", "one two"),
        ("truncated_description", {"length": 0}, "", ""),
        ("dropped_description", {}, "", None),
    ],
)
def test_description(talk, faults, send, kind, parameters, kept, shown):
    faults.add(kind, **parameters)
    started = send(START).package_id
    assert send(build.get_package("shop", started)).description == kept
    assert talk.platform.journal[0].body["Description"] == "one two three"
    assert names(talk) == [(kind,), ()]

    faults.add(kind, on="list_packages", **parameters)
    started = send(START).package_id
    assert {package.package_id: package.description for package in send(LIST)}[started] == shown
    assert {package.package_id: package.description for package in send(LIST)}[started] == "one two three"


def test_every_fault_is_tried_here():
    source = Path(__file__).read_text()
    assert [name for name in KINDS if f'"{name}"' not in source] == []
