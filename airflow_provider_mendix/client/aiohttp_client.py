"""The sender for the triggerer, on `aiohttp`. It keeps the same rules as the one for workers."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.client.account import CONNECT_TIMEOUT, Account
from airflow_provider_mendix.client.exchange import (
    READ_SIZE,
    ca_bundle,
    check_size,
    headers_and_body,
    no_response,
    proxy_for,
    response_of,
)
from airflow_provider_mendix.client.reasons import reason
from airflow_provider_mendix.exceptions import InvalidConnectionError

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")

_MAX_CONNECTIONS = 32


class AsyncMendixClient:
    """Sends calls. Use it as an async context manager."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._proxies: dict[str, str | None] = {}

    async def __aenter__(self) -> Self:
        verify = ca_bundle(self.account.verify)
        try:
            # In a thread: loading the libraries and the certificates would block the event loop for too long.
            context = await asyncio.to_thread(_load, verify)
        except OSError as error:
            raise InvalidConnectionError(f"The CA bundle {verify} cannot be used: {reason(error)}.") from None
        import aiohttp

        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=self.account.timeout, sock_connect=min(CONNECT_TIMEOUT, self.account.timeout)
            ),
            trust_env=False,
        )
        # aiohttp repeats a GET or a DELETE by itself when a kept connection breaks. Whether a call is repeated is
        # decided elsewhere, by the call; the only public way to turn this off is to keep no connections.
        self._session._retry_connection = False
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, call: Call[T]) -> T:
        """Send one call, once.

        :raises MendixError: if there was no good response.
        """
        import aiohttp
        from yarl import URL

        base_url = self.account.base_url(call.endpoint.api)
        headers, data = headers_and_body(self.account, call)
        if base_url not in self._proxies:
            # Searching the environment takes longer than the rest of a request.
            self._proxies[base_url] = _http_proxy(proxy_for(base_url, self.account))
        body = bytearray()
        try:
            async with self._session.request(
                call.endpoint.method,
                URL(base_url + call.target, encoded=True),
                data=data,
                headers=headers,
                skip_auto_headers=("Content-Type",),  # aiohttp sends one without a body, too
                allow_redirects=False,
                proxy=self._proxies[base_url],
            ) as response:
                async for piece in response.content.iter_chunked(READ_SIZE):
                    body += piece
                    check_size(call, len(body))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise no_response(call, error, self.account) from None
        return call.parse(response_of(self.account, response.status, response.headers, bytes(body)))


def _http_proxy(proxy: str | None) -> str | None:
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise InvalidConnectionError(
            "The environment's proxy is not an http proxy, and the triggerer can use no other. Set the"
            " connection's extra proxy to the URL of an http proxy, or except Mendix's host with NO_PROXY."
        )
    return proxy


def _load(verify: bool | str) -> ssl.SSLContext | bool:
    import aiohttp  # noqa: F401
    import certifi
    import requests.utils  # noqa: F401

    if verify is False:
        return False
    bundle = certifi.where() if verify is True else verify
    if os.path.isdir(bundle):
        return ssl.create_default_context(capath=bundle)
    return ssl.create_default_context(cafile=bundle)
