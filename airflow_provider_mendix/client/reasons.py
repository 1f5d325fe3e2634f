"""Why a connection failed, in words without URLs, of which the messages of the libraries hold all."""

from __future__ import annotations

import errno
import http.client
import os
import re
import ssl
from urllib.parse import urlsplit

from airflow_provider_mendix.client.account import is_safe

# The classes of requests, urllib3 and aiohttp by name: they are loaded only when something is sent.
_DEAD_PROXY = {"ProxyError", "ClientProxyConnectionError"}
_NO_HTTP = {"ServerDisconnectedError", "BadStatusLine", "BadHttpMessage"}
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL"}


def reason(error: BaseException, url: str = "", proxy: str | None = None) -> str:
    """Return why a request brought no response, from the error of either library.

    :param url: URL of the request, of which only the host is shown.
    :param proxy: URL of the proxy that was used, of which only the host is shown.
    """
    causes = _causes(error)
    said = _words(causes, error)
    if not proxy:
        return said + _hint(causes, urlsplit(url).scheme, urlsplit(url).netloc)
    host = urlsplit(proxy).netloc.rpartition("@")[2]
    if (status := _refused_by_proxy(causes)) is not None:
        return f"the proxy {host} refused (HTTP {status})"
    if any(type(cause).__name__ in _DEAD_PROXY for cause in causes):
        return f"the proxy {host} cannot be used: {said}"
    return f"{said} (through the proxy {host})"


def _words(causes: list[BaseException], error: BaseException) -> str:
    # aiohttp's wrappers are ssl errors too, but only the original inside them says what is wrong.
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return f"the TLS certificate is not trusted ({cause.verify_message})"
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None):
            return f"TLS failed ({cause.reason})"
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and isinstance(cause.errno, int):
            # asyncio puts words of its own in place of the system's
            return os.strerror(cause.errno) if cause.errno in errno.errorcode else cause.strerror
    if any("timeout" in type(cause).__name__.lower() for cause in causes):
        return "timed out"
    return f"the connection failed ({type(error).__name__})"


def _hint(causes: list[BaseException], scheme: str, host: str) -> str:
    """Return what to do if scheme and port seem not to belong together."""
    if any(isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in _NO_TLS for cause in causes):
        plain = f"write http://{host}, or " if is_safe(f"http://{host}") else ""
        return f"; the port seems to speak plain http: {plain}use the port that speaks TLS"
    is_broken = any(
        isinstance(cause, ConnectionResetError | http.client.BadStatusLine) or type(cause).__name__ in _NO_HTTP
        for cause in causes
    )
    return f"; if the port speaks TLS, write https://{host}" if is_broken and scheme == "http" else ""


def _refused_by_proxy(causes: list[BaseException]) -> str | None:
    for cause in causes:
        # http.client reports the status as text, aiohttp as an attribute.
        if tunnel := re.match(r"Tunnel connection failed: (\d{3})", str(cause)):
            return tunnel[1]
        if type(cause).__name__ == "ClientHttpProxyError":
            return str(getattr(cause, "status", 0))
    return None


def _causes(error: BaseException) -> list[BaseException]:
    """Return an error and the errors inside it, which urllib3 keeps in ``args`` and ``reason``."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo and len(found) < 20:
        inner = todo.pop()
        if isinstance(inner, BaseException) and inner not in found:
            found.append(inner)
            todo += [*inner.args, getattr(inner, "reason", None), inner.__cause__, inner.__context__]
    return found
