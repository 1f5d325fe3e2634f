"""The credentials, hosts, time limits, TLS settings and proxy of one connection."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airflow_provider_mendix.api.call import Api, Host
from airflow_provider_mendix.exceptions import InvalidConnectionError

CONNECT_TIMEOUT = 10.0
DEFAULT_TIMEOUT = 60.0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One set of credentials and where to use it.

    :param username: Mendix user name.
    :param api_key: API key of that user.
    :param personal_access_token: for the API families that require a token instead of a key.
    :param base_urls: scheme, host and port of each kind of host.
    :param timeout: seconds that one whole response may take; connecting may take at most 10 of them.
    :param verify: whether to verify TLS, or the path of the CA bundle to verify with.
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
        """Hide the secrets from rich too, which does not use the repr of a msgspec struct."""
        return [("username", self.username), ("base_urls", dict(self.base_urls))]

    @property
    def has_token(self) -> bool:
        """Whether there is a personal access token."""
        return bool(self.personal_access_token)

    def base_url(self, api: Api) -> str:
        """Return scheme, host and port of an API family."""
        return self.base_urls.get(api.host, api.host.value)

    def headers(self, api: Api) -> dict[str, str]:
        """Return the credentials for one request to an API family.

        :raises InvalidConnectionError: if the family requires a token and there is none.
        """
        if api.host is not Host.DEPLOY:
            if not self.personal_access_token:
                raise InvalidConnectionError(
                    f"The {api.name} needs a personal access token, and the connection has none. Put it in the"
                    " connection's field 'Personal access token' (extra: personal_access_token)."
                )
            return {"Authorization": f"MxToken {self.personal_access_token}"}
        return {"Mendix-Username": self.username, "Mendix-ApiKey": self.api_key}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that a response must not show."""
        return self.api_key, self.personal_access_token or ""


def is_safe(url: str) -> bool:
    """Return whether a URL is https, or http to a loopback address."""
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
