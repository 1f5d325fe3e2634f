"""Who talks to Mendix, and how: credentials, hosts, time limits, TLS and proxy of one connection."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airflow_provider_mendix.api.call import Api, Host
from airflow_provider_mendix.exceptions import InvalidConnectionError

CONNECT_TIMEOUT = 10.0
DEFAULT_TIMEOUT = 60.0
_NO_HOST = "The host of the connection is not a host, such as https://deploy.mendix.com."


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One set of credentials and where to use it.

    :param username: Mendix user name.
    :param api_key: API key of that user.
    :param personal_access_token: for the families that want a token instead of a key.
    :param base_urls: scheme, host and port of each kind of host.
    :param timeout: seconds one whole answer may take; connecting may take at most 10 of them.
    :param verify: verify TLS, or the path of the CA bundle to verify with.
    :param proxy: URL of a proxy; overrides the environment's.
    """

    username: str
    api_key: str
    personal_access_token: str | None = None
    base_urls: Mapping[Host, str] = {}
    timeout: float = DEFAULT_TIMEOUT
    verify: bool | str = True
    proxy: str | None = None

    def __repr__(self) -> str:
        return f"Account(username={self.username!r}, api_key='***', base_urls={dict(self.base_urls)!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show as little to rich, for which msgspec has a view of its own."""
        return [("username", self.username), ("base_urls", dict(self.base_urls))]

    @property
    def has_token(self) -> bool:
        """Whether there is a personal access token."""
        return bool(self.personal_access_token)

    def base_url(self, api: Api) -> str:
        """Scheme, host and port of a family."""
        return self.base_urls.get(api.host, api.host.value)

    def headers(self, api: Api) -> dict[str, str]:
        """Credentials for one request to one family."""
        if api.host is Host.REPOSITORY:
            if not self.personal_access_token:
                raise InvalidConnectionError(
                    f"The {api.name} needs a personal access token, and the connection has none. Put it in the"
                    " connection's field 'Personal access token' (extra: personal_access_token)."
                )
            return {"Authorization": f"MxToken {self.personal_access_token}"}
        return {"Mendix-Username": self.username, "Mendix-ApiKey": self.api_key}

    def redact(self, text: bytes) -> bytes:
        """Take this account's secrets out of something a server said."""
        for secret in (self.api_key, self.personal_access_token):
            if secret:
                as_json = msgspec.json.encode(secret)[1:-1]
                text = text.replace(secret.encode(), b"***").replace(as_json, b"***")
        return text


def checked_credential(name: str, value: str | None, where: str) -> str:
    """Check that a credential is there and can travel in a header; the value itself is never shown."""
    text = (value or "").strip()
    if not text:
        raise InvalidConnectionError(f"The connection has no {name}. Put it in the connection's {where}.")
    if not text.isprintable() or not text.isascii():
        raise InvalidConnectionError(
            f"The {name} of the connection has a line break or another character that no {name} has."
            " Copy it again."
        )
    return text


def base_url(host: str, port: int | None = None) -> str:
    """Make a base URL of what a connection says.

    :param host: a host, with or without ``https://`` and port. Nothing else may be in it.
    :param port: port of the connection; 0 counts as none.
    :raises InvalidConnectionError: if something else is in it, or it is plain ``http`` to another machine.
    """
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        url_port = parts.port
    except ValueError:  # its text would show the host, and with it what may be in front of an @
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


def is_safe(url: str) -> bool:
    """Whether a URL is https, or http that does not leave this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
