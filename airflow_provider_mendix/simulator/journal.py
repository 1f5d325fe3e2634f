"""Every request so far, for assertions. It holds no secret, so it can be printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from airflow_provider_mendix.simulator.wire import Reply, Request


class Entry(msgspec.Struct, frozen=True):
    """One request, and its response.

    :param at: seconds since the epoch.
    :param query: with the signature of a link masked.
    :param status: of the response that was made, even if a fault lost it; 0 if none was made.
    :param headers: names only, lower-case.
    :param body: JSON of a POST; the values of settings and headers, which may be secrets, are masked.
    :param faults: names of the faults that struck.
    """

    at: float
    host: str
    method: str
    path: str
    query: Mapping[str, str]
    status: int
    headers: tuple[str, ...]
    body: Any = None
    faults: tuple[str, ...] = ()


class Journal(list[Entry]):
    """All requests, oldest first."""

    def requests(
        self, method: str | None = None, path_contains: str = "", *, host: str | None = None
    ) -> list[Entry]:
        """Return some of them."""
        return [
            entry
            for entry in self
            if method in (None, entry.method) and path_contains in entry.path and host in (None, entry.host)
        ]


def entry(request: Request, reply: Reply, now: float, faults: tuple[str, ...] = ()) -> Entry:
    """Return the entry for one request."""
    body = None
    if request.method == "POST":
        try:
            body = _without_values(msgspec.json.decode(request.body))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            body = None
    return Entry(
        at=now,
        host=request.host,
        method=request.method,
        path=request.path,
        query={name: "***" if name == "signature" else value for name, value in request.query.items()},
        status=reply.status,
        headers=tuple(sorted(request.headers)),
        body=body,
        faults=faults,
    )


def _without_values(body: Any) -> Any:
    if isinstance(body, list):
        return [_without_values(item) for item in body]
    if not isinstance(body, dict):
        return body
    secret = ("Value", "DeployedValue", "validationSecret", "value")
    return {name: "***" if name in secret else _without_values(value) for name, value in body.items()}
