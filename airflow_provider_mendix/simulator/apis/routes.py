"""What goes over the wire, and which function of the simulator answers which endpoint of `api`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import unquote

import msgspec

from airflow_provider_mendix import api
from airflow_provider_mendix.api.call import Endpoint, Host

T = TypeVar("T")
HostName = Literal["api", "repository", "files"]
_HOSTS: dict[HostName, Host] = {"api": Host.DEPLOY, "repository": Host.REPOSITORY}


class Request(msgspec.Struct, frozen=True):
    """One request as it came.

    :param host: the API host, the host of the App Repository API, or the one that package files are downloaded
        from.
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
    """One answer, and what happens to it on the wire.

    ``Content-Length`` is the length of the body unless the headers say otherwise: HEAD, or a file cut off.

    :param status: 0 if there is nothing to answer with.
    :param delay: seconds that pass before anything else happens.
    :param drop: instead of the answer, the connection is reset or closed.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    delay: float = 0.0
    drop: Literal["reset", "close"] | None = None


class RefusedError(Exception):
    """The platform says no, in the shape that Mendix uses."""

    def __init__(self, status: int, code: str, message: str, content_type: str = "application/json") -> None:
        super().__init__(message)
        self.reply = json_reply({"errorMessage": message, "errorCode": code}, status, content_type)


def json_reply(value: object, status: int = 200, content_type: str = "application/json") -> Reply:
    """Answer with JSON."""
    return Reply(status, {"Content-Type": content_type}, msgspec.json.encode(value))


def read_body(request: Request, kind: type[T]) -> T:
    """Read JSON as a type; no body at all counts as an empty object.

    :raises RefusedError: if it is not that.
    """
    try:
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(400, "INVALID_PARAMETERS", f"The body cannot be read: {error}.") from None


Handler = Callable[..., Reply]


class Route(NamedTuple):
    """An endpoint, and the function that answers it."""

    endpoint: Endpoint[Any]
    handler: Handler


ROUTES: list[Route] = []


def serves(endpoint: Endpoint[Any]) -> Callable[[Handler], Handler]:
    """Make a function answer an endpoint.

    It is called with the platform, the request, and the decoded value of each placeholder by its name.
    """

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(endpoint, handler))
        return handler

    return register


def find(request: Request) -> tuple[Route, dict[str, str]] | None:
    """Find the endpoint that a request is for, on the host that it came to, and the values in its path."""
    found = []
    for route in ROUTES:
        endpoint = route.endpoint
        fits = endpoint.method == request.method and endpoint.api.host is _HOSTS.get(request.host)
        values = _match(endpoint, request.path) if fits else None
        if values is not None:
            found.append((route, values))
    # A word in the template beats a placeholder.
    return min(found, key=lambda match: len(match[1]), default=None)


def name(request: Request) -> str | None:
    """Give the name of the endpoint that a request is for: that of the function that answers it."""
    found = find(request)
    return found[0].handler.__name__ if found else None


def names() -> list[str]:
    """Give the names of all endpoints."""
    return sorted(route.handler.__name__ for route in ROUTES)


def unserved() -> list[Endpoint[Any]]:
    """Give the endpoints that `api` declares and nothing here answers."""
    modules = [
        importlib.import_module(f"{api.__name__}.{module.name}") for module in pkgutil.iter_modules(api.__path__)
    ]
    declared = [thing for module in modules for thing in vars(module).values() if isinstance(thing, Endpoint)]
    served = [route.endpoint for route in ROUTES]
    return [endpoint for endpoint in declared if endpoint not in served]


def _match(endpoint: Endpoint[Any], path: str) -> dict[str, str] | None:
    wanted = (endpoint.api.prefix + endpoint.path).split("/")
    given = path.removesuffix("/").split("/")
    if len(wanted) != len(given):
        return None
    values = {}
    for template, segment in zip(wanted, given, strict=True):
        if template.startswith("{"):
            values[template.strip("{}")] = unquote(segment)
        elif template != segment:
            return None
    return values
