"""What both senders do alike: headers and body of a request, its response, its proxy and its CA bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_provider_mendix import __version__
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.response import Response
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.reasons import reason
from airflow_provider_mendix.exceptions import (
    InvalidConnectionError,
    MalformedResponseError,
    MendixConnectionError,
)

USER_AGENT = f"airflow-provider-mendix/{__version__}"
MAX_BODY_SIZE = 64 * 1024 * 1024
READ_SIZE = 64 * 1024


def headers_and_body(account: Account, call: Call[Any]) -> tuple[dict[str, str], bytes | None]:
    """Return the headers of a request, with its credentials, and its body."""
    headers = {
        "Accept": "application/json, */*",
        "User-Agent": USER_AGENT,
        **account.headers(call.endpoint.api),
    }
    if call.endpoint.returns is bytes:
        headers["Accept-Encoding"] = "identity"
    if call.endpoint.method != "GET":
        headers["Content-Type"] = "application/json"  # Mendix wants it without a body, too
    return headers, None if call.body is None else msgspec.json.encode(call.body)


def response_of(account: Account, status: int, headers: Mapping[str, str], body: bytes) -> Response:
    """Return a response; one that is no success without the account's secrets."""
    response = Response(status, {name.lower(): value for name, value in headers.items()}, body)
    return response if 200 <= status < 300 else response.without(account.secrets)


def check_size(call: Call[Any], size: int) -> None:
    """Raise ``MalformedResponseError`` if the body of a response is too long to be kept in memory."""
    if size > MAX_BODY_SIZE:
        message = f"Mendix's response is longer than {MAX_BODY_SIZE} bytes. {call.unconfirmed_hint}"
        raise MalformedResponseError(
            message.rstrip(), request=str(call), outcome_unknown=not call.endpoint.repeatable
        )


def no_response(call: Call[Any], error: Exception, account: Account) -> MendixConnectionError:
    """Return the error of a request that no complete response came to."""
    host = account.base_url(call.endpoint.api)
    why = reason(error, host, proxy_for(host, account))
    message = f"No complete response from {host}: {why}. {call.unconfirmed_hint}"
    return MendixConnectionError(message.rstrip(), request=str(call), outcome_unknown=not call.endpoint.repeatable)


def proxy_for(url: str, account: Account) -> str | None:
    """Return the connection's proxy, else the environment's unless ``NO_PROXY`` excepts the host."""
    if account.proxy:
        return account.proxy
    from requests.utils import get_environ_proxies, select_proxy

    return select_proxy(url, get_environ_proxies(url))


def ca_bundle(verify: bool | str) -> bool | str:
    """Return the CA bundle of the connection or the environment; only `requests` reads the latter by itself.

    :raises InvalidConnectionError: if it does not exist.
    """
    found, source = verify, "The connection's extra verify"
    if verify is True:
        for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
            if os.environ.get(name):
                found, source = os.environ[name], f"The environment variable {name}"
    if isinstance(found, str) and not os.path.exists(found):
        raise InvalidConnectionError(f"{source} names a CA bundle that does not exist: {found}.")
    return found
