"""Both senders, over loopback, to a platform with faults."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from airflow_provider_mendix.api.call import Call, Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.aiohttp_client import AsyncMendixClient
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.simulator import Server

from ..talking import KEY, USER, Talk


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
    """A sender with a short timeout."""
    with sender(request.param, msgspec.structs.replace(account, timeout=0.5)) as send:
        yield send


@pytest.fixture
def package_id(talk: Talk) -> str:
    return talk.platform.packages.add("shop", version="1.0.0", revision="63", description="one two three")


Send = Callable[[Call[Any]], Any]
