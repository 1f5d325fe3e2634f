"""An Airflow connection of type ``mendix``, checked and made into an account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import DEFAULT_TIMEOUT, Account, is_safe
from airflow_provider_mendix.exceptions import InvalidConnectionError

if TYPE_CHECKING:
    from airflow.sdk import Connection

_NO_HOST = "The host of the connection is not a host, such as https://deploy.mendix.com."


def read_account(mendix_conn_id: str) -> Account:
    """Return the account of the Airflow connection with an id.

    :raises InvalidConnectionError: if it cannot be used.
    """
    connection = BaseHook.get_connection(mendix_conn_id)
    return account_of(connection, connection.extra_dejson)


async def read_account_async(mendix_conn_id: str) -> Account:
    """Return the account of the Airflow connection with an id, without blocking the event loop.

    :raises InvalidConnectionError: if it cannot be used.
    """
    from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

    connection = await get_async_connection(mendix_conn_id)
    return account_of(connection, await get_async_extra_dejson(connection))


def account_of(connection: Connection, extra: Mapping[str, Any]) -> Account:
    """Return the account of an Airflow connection.

    :raises InvalidConnectionError: if a value is missing, malformed or unsafe; no secret is shown.
    """
    urls = {Host.DEPLOY: base_url(connection.host, connection.port)} if connection.host else {}
    if extra.get("repository_url"):
        urls[Host.REPOSITORY] = base_url(extra["repository_url"])
    token = extra.get("personal_access_token")
    return Account(
        username=credential("Mendix user name", connection.login, "login"),
        api_key=credential("API key", connection.password, "password"),
        personal_access_token=credential("personal access token", token, "extra") if token else None,
        base_urls=urls,
        timeout=_seconds(extra.get("timeout")),
        verify=_verify(extra.get("verify")),
        proxy=extra.get("proxy") or None,
    )


def credential(name: str, value: str | None, field: str) -> str:
    """Return a credential that can be sent in a header; a wrong value is never shown.

    :raises InvalidConnectionError: if it is missing or has a character that no header can carry.
    """
    text = (value or "").strip()
    if not text:
        raise InvalidConnectionError(f"The connection has no {name}. Put it in the connection's {field}.")
    if not text.isprintable() or not text.isascii():
        raise InvalidConnectionError(
            f"The {name} of the connection has a line break or another character that no {name} has."
            " Copy it again."
        )
    return text


def base_url(host: str, port: int | None = None) -> str:
    """Return the base URL that a host and a port stand for.

    :param host: a host, with or without scheme and port. Nothing else may be in it.
    :param port: port of the connection; 0 counts as none.
    :raises InvalidConnectionError: if something else is in it, or it is plain ``http`` to another machine.
    """
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        url_port = parts.port
    except ValueError:  # not chained: its text shows the host, which may hold a password
        raise InvalidConnectionError(_NO_HOST) from None
    if "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidConnectionError(
            "The host of the connection may hold a scheme, a host and a port only, such as"
            " https://deploy.mendix.com: no user, path or query. The user name and the API key have fields of"
            " their own."
        )
    name = parts.hostname or ""
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", name):
        raise InvalidConnectionError(_NO_HOST)
    if url_port and port and url_port != port:
        raise InvalidConnectionError(f"The connection names two ports, {url_port} in its host and {port}.")
    port = url_port or port or None
    shown = f"[{name}]" if ":" in name else name
    url = f"{parts.scheme}://{shown}:{port}" if port else f"{parts.scheme}://{shown}"
    if not is_safe(url):
        raise InvalidConnectionError(
            f"The connection's host {url} is refused: credentials travel over https only (http is for"
            " loopback addresses)."
        )
    return url


def _seconds(value: object) -> float:
    if value in (None, ""):
        return DEFAULT_TIMEOUT
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise InvalidConnectionError(
            f"The connection's timeout {value!r} is not a number of seconds from 1 to 3600."
        )
    return seconds


def _verify(value: object) -> bool | str:
    """The form and the URI of a connection hold text; its JSON may hold a boolean."""
    text = "" if value is None else str(value).strip()
    if text.lower() in ("", "true", "false"):
        return text.lower() != "false"
    return text
