"""An Airflow connection of type ``mendix``: found, checked and made into an account.

Every value is checked here, before any request, and messages name the field. No message shows a value that may be
a secret.
"""

from __future__ import annotations

import difflib
import functools
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import DEFAULT_TIMEOUT, Account, is_safe
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import InvalidConnectionError
from airflow_provider_mendix.settings import LOOKUP_PAUSE, LOOKUPS

if TYPE_CHECKING:
    from airflow.sdk import Connection

CONN_TYPE = "mendix"
EXTRA_NAMES = ("personal_access_token", "repository_url", "webhooks_url", "timeout", "verify", "proxy")
_HOST = "The host of the connection"

log = logging.getLogger(__name__)


def read_account(hook: BaseHook, mendix_conn_id: str) -> Account:
    """Return the account of a connection.

    To Airflow, a secrets backend that fails looks like one without the connection. So a missing connection is
    looked up again before it counts as missing.

    :raises InvalidConnectionError: if there is no such connection, or it cannot be used.
    """
    for lookup in range(1, LOOKUPS + 1):
        try:
            connection = hook.get_connection(mendix_conn_id)
        except AirflowNotFoundException:
            if lookup < LOOKUPS:
                log.info("Connection %s not found; looking it up again.", mendix_conn_id)
                current_clock().sleep(LOOKUP_PAUSE)
        else:
            return account_of(connection, connection.extra_dejson)
    raise InvalidConnectionError(
        f"Connection {mendix_conn_id!r} does not exist, or Airflow cannot read it: login, password and host must"
        " be text, and the extra a JSON object. Create a connection of type mendix with this id, or set"
        " mendix_conn_id to an existing one."
    )


async def read_account_async(hook: BaseHook, mendix_conn_id: str) -> Account:
    """Return the account of a connection without blocking the event loop.

    :raises AirflowNotFoundException: if there is no such connection, or a secrets backend failed.
    :raises InvalidConnectionError: if it cannot be used.
    """
    from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

    connection = await get_async_connection(mendix_conn_id, hook=hook)
    return account_of(connection, await get_async_extra_dejson(connection))


def account_of(connection: Connection, extra: object) -> Account:
    """Return the account of an Airflow connection.

    :param extra: the connection's extra as Airflow has decoded it: nothing if it is no JSON.
    :raises InvalidConnectionError: if a value is missing, malformed or unsafe.
    """
    if connection.conn_type != CONN_TYPE:
        raise InvalidConnectionError(
            f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, not {CONN_TYPE!r}: its"
            " login and password are not sent to Mendix. Set mendix_conn_id to the id of a connection of type"
            f" {CONN_TYPE}, or change the type of this one."
        )
    values = _extra(connection, extra)
    urls = {}
    if connection.host not in (None, ""):
        urls[Host.DEPLOY] = base_url(connection.host, connection.port)
    for name, host in (("repository_url", Host.REPOSITORY), ("webhooks_url", Host.WEBHOOKS)):
        if (url := values.get(name)) is not None:
            urls[host] = base_url(url, what=f"The connection's extra {name}")
    token = values.get("personal_access_token")
    return Account(
        username=credential("Mendix user name", connection.login, "login"),
        api_key=credential("API key", connection.password, "password"),
        personal_access_token=(
            None if token is None else credential("personal access token", token, "extra personal_access_token")
        ),
        base_urls=urls,
        timeout=_timeout(values.get("timeout")),
        verify=_verify(values.get("verify")),
        proxy=_proxy(values.get("proxy")),
    )


def credential(name: str, value: object, field: str) -> str:
    """Return a credential that can be sent in a header.

    :raises InvalidConnectionError: if it is missing or has a character that no header can carry.
    """
    if not isinstance(value, str | None):
        raise InvalidConnectionError(
            f"The {name} (the connection's {field}) must be text, not {type(value).__name__}. Put it in quotes."
        )
    text = (value or "").strip()
    if not text:
        raise InvalidConnectionError(f"The connection has no {name}. Put it in the connection's {field}.")
    if not text.isprintable() or not text.isascii():
        raise InvalidConnectionError(
            f"The {name} (the connection's {field}) has a line break or another character that no {name} has."
            " Copy it again."
        )
    return text


def base_url(host: object, port: object = None, *, what: str = _HOST) -> str:
    """Return the base URL that a host and a port stand for.

    :param host: a host, with or without scheme and port. Nothing else may be in it.
    :param port: port of the connection; 0 counts as none.
    :param what: what the host is, at the beginning of a message.
    :raises InvalidConnectionError: if something else is in it, or it is plain ``http`` to another machine.
    """
    no_host = f"{what} is not a host, such as https://deploy.mendix.com."
    if not isinstance(host, str):
        raise InvalidConnectionError(f"{what} must be text, not {type(host).__name__}.")
    if port is not None and (not isinstance(port, int) or not 0 <= port <= 65535):
        raise InvalidConnectionError("The port of the connection must be a number from 1 to 65535.")
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        url_port = parts.port
    except ValueError:  # not chained: its text shows the host, which may hold a password
        raise InvalidConnectionError(no_host) from None
    if "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidConnectionError(
            f"{what} may hold a scheme, a host and a port only, such as https://deploy.mendix.com: no user, path"
            " or query. The user name and the API key have fields of their own."
        )
    name = parts.hostname or ""
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", name):
        raise InvalidConnectionError(no_host)
    if url_port and port and url_port != port:
        raise InvalidConnectionError(f"The connection names two ports, {url_port} in its host and {port}.")
    port = url_port or port or None
    shown = f"[{name}]" if ":" in name else name
    url = f"{parts.scheme}://{shown}:{port}" if port else f"{parts.scheme}://{shown}"
    if not is_safe(url):
        raise InvalidConnectionError(
            f"{what}, {url}, is refused: credentials are sent over https only (http is for loopback addresses)."
        )
    return url


def _extra(connection: Connection, extra: object) -> dict[str, Any]:
    """Return what the extra sets; empty values count as not set."""
    text = str(connection.extra or "").strip()
    if not isinstance(extra, Mapping | None) or (not extra and text not in ("", "{}", "null")):
        raise InvalidConnectionError(
            'The connection\'s extra is not a JSON object, such as {"timeout": 30}: it is not decoded twice, and'
            " names and texts need double quotes."
        )
    values = {name: value for name, value in (extra or {}).items() if value not in (None, "")}
    if unknown := sorted(str(name) for name in values if name not in EXTRA_NAMES):
        _warn_of_unknown_names(str(connection.conn_id), tuple(unknown))
    return values


@functools.cache
def _warn_of_unknown_names(conn_id: str, names: tuple[str, ...]) -> None:
    similar = [found for name in names for found in difflib.get_close_matches(name, EXTRA_NAMES, 1)]
    log.warning(
        "Connection %s: its extra has names without effect: %s.%s Known names: %s.",
        conn_id,
        ", ".join(names),
        f" Did you mean {', '.join(similar)}?" if similar else "",
        ", ".join(EXTRA_NAMES),
    )


def _timeout(value: object) -> float:
    if value is None:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise InvalidConnectionError("The connection's extra timeout is not a number of seconds from 1 to 3600.")
    return seconds


def _verify(value: object) -> bool | str:
    """The form and the URI of a connection hold text; its JSON may hold a boolean."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | None):
        raise InvalidConnectionError(
            "The connection's extra verify must be true, false or the path of a CA bundle, not"
            f" {type(value).__name__}."
        )
    text = (value or "").strip()
    return text.lower() != "false" if text.lower() in ("", "true", "false") else text


def _proxy(value: object) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise InvalidConnectionError(
            "The connection's extra proxy is not the URL of an http proxy, such as http://proxy.example.com:3128."
        )
    return str(value)
