"""Which function of the simulator handles which endpoint of `api`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from airflow_provider_mendix import api
from airflow_provider_mendix.api.call import Endpoint, Host
from airflow_provider_mendix.simulator.wire import HostName, Reply, Request

_HOSTS: dict[Host, HostName] = {Host.DEPLOY: "api", Host.REPOSITORY: "repository", Host.WEBHOOKS: "repository"}
"""The host of the simulator that stands for each of Mendix's: one serves all APIs that require a token."""

Handler = Callable[..., Reply]


class Route(NamedTuple):
    """An endpoint, and the function that handles it."""

    endpoint: Endpoint[Any]
    handler: Handler


ROUTES: list[Route] = []


def serves(endpoint: Endpoint[Any]) -> Callable[[Handler], Handler]:
    """Register a function as the handler of an endpoint.

    It is called with the cloud, the request, and the decoded value of each placeholder by its name.
    """

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(endpoint, handler))
        return handler

    return register


def find(request: Request) -> tuple[Route, dict[str, str]] | None:
    """Return the route of a request on the host that it came to, and the values in its path."""
    found = []
    for route in ROUTES:
        endpoint = route.endpoint
        fits = endpoint.method == request.method and _HOSTS[endpoint.api.host] == request.host
        values = _match(endpoint, request.path) if fits else None
        if values is not None:
            found.append((route, values))
    # A word in the template beats a placeholder.
    return min(found, key=lambda match: len(match[1]), default=None)


def name(request: Request) -> str | None:
    """Return the name of the endpoint that a request is for: the name of its handler."""
    found = find(request)
    return found[0].handler.__name__ if found else None


def names() -> list[str]:
    """Return the names of all endpoints."""
    return sorted(route.handler.__name__ for route in ROUTES)


def unserved() -> list[Endpoint[Any]]:
    """Return the endpoints that `api` declares and that have no handler."""
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
