"""Why a connection failed, in words that cannot hold a URL: the messages of the libraries hold the whole one."""

from __future__ import annotations

import re
import ssl


def reason(error: BaseException) -> str:
    """Return why a request brought no response, from the error of either library."""
    causes = _causes(error)
    # aiohttp's wrappers are ssl errors too, but only the original inside them says what is wrong.
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return f"the TLS certificate is not trusted ({cause.verify_message})"
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None):
            return f"TLS failed ({cause.reason})"
    for cause in causes:
        # http.client reports the status as text, aiohttp as an attribute.
        tunnel = re.match(r"Tunnel connection failed: (\d{3})", str(cause))
        if tunnel or type(cause).__name__ == "ClientHttpProxyError":
            return f"the proxy refused (HTTP {tunnel[1] if tunnel else getattr(cause, 'status', 0)})"
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and isinstance(cause.errno, int):
            return cause.strerror
    if any("timeout" in type(cause).__name__.lower() for cause in causes):
        return "timed out"
    return f"the connection failed ({type(error).__name__})"


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
