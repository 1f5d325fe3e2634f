"""Requests and replies as they go over the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

import msgspec

from airflow_provider_mendix.simulator.lenient_json import to_json

T = TypeVar("T")
HostName = Literal["api", "repository", "files"]


class Request(msgspec.Struct, frozen=True):
    """One request as it came.

    :param host: the API host, the host of the App Repository API, or the file host.
    :param path: still percent-encoded, without the query.
    :param headers: with lower-case names.
    """

    host: HostName
    method: str
    path: str
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """One response, and what happens to it on the wire.

    ``Content-Length`` is the length of the body unless the headers say otherwise: HEAD, or a file cut off.

    :param status: 0 if no response is sent.
    :param delay: seconds that pass before anything else happens.
    :param drop: instead of sending the response, reset or close the connection.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    delay: float = 0.0
    drop: Literal["reset", "close"] | None = None


class RepliedError(Exception):
    """A request is not handled any further: the reply is known."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.reply = reply


class RefusedError(RepliedError):
    """A request is refused, in the shape that Mendix uses."""

    def __init__(self, status: int, code: str, message: str, content_type: str = "application/json") -> None:
        super().__init__(json_reply({"errorMessage": message, "errorCode": code}, status, content_type))


def json_reply(value: object, status: int = 200, content_type: str = "application/json") -> Reply:
    """Return a response with a JSON body."""
    return Reply(status, {"Content-Type": content_type}, msgspec.json.encode(value))


def text_reply(status: int, text: str) -> Reply:
    """Return a response with one line of text."""
    return Reply(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{text}\n".encode())


def page_reply(status: int, title: str, **headers: str) -> Reply:
    """Return a response with the page of a web server."""
    page = f"<html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Reply(status, {"Content-Type": "text/html", **headers}, page.encode())


def headers_of(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers with lower-case names. Blanks around a value do not belong to it (RFC 9110, 5.5)."""
    return {name.lower(): value.strip(" \t") for name, value in items}


def read_body(request: Request, kind: type[T], form: Literal["strict", "lenient"]) -> T:
    """Read a JSON body as a type; an empty body counts as an empty object.

    :param form: whether the body must be JSON, or may be as :mod:`lenient_json` reads it.
    :raises RefusedError: if the body cannot be read.
    """
    try:
        body = request.body if form == "strict" else to_json(request.body)
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, "INVALID_PARAMETERS", f"The body cannot be read: {error}.") from None
