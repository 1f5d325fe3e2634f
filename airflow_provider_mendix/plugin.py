"""The plugin of Airflow's API server: it receives webhooks, if ``[mendix] webhooks`` names receivers.

Every process of Airflow imports plugins. So this module is light, and what serves a route is imported with the
first request to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

from airflow_provider_mendix import settings
from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.exceptions import InvalidInputError

__all__ = ["MendixPlugin"]

WEBHOOKS_PATH = "/mendix/hooks"
"""Prefix of the routes, below the path of ``[api] base_url``. A subdomain follows."""


class _WebhooksApp:
    """The ASGI app of the receivers, made when the first request comes."""

    def __init__(self, receivers: dict[str, str]) -> None:
        self._receivers = receivers
        self._app: Callable[..., Awaitable[None]] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from airflow_provider_mendix.webhooks.receiver import create_app

            self._app = create_app(self._receivers)
        # A proxy may remove the path of [api] base_url or not. Mounted apps find their routes only if it does not.
        path = scope["path"].rpartition(WEBHOOKS_PATH)[2]
        await self._app({**scope, "path": path, "root_path": ""}, receive, send)


def _fastapi_apps() -> list[dict[str, Any]]:
    """Return the apps to mount: none without receivers.

    :raises InvalidInputError: if ``[mendix] webhooks`` is wrong; Airflow then reports that this plugin cannot be
        imported, and serves no route of it.
    """
    receivers = settings.webhook_receivers()
    for app_id, conn_id in receivers.items():
        if not conn_id:
            raise InvalidInputError(f"[mendix] webhooks names no connection for app {inputs.app_id(app_id)}.")
        inputs.app_id(app_id)
    if not receivers:
        return []
    return [{"name": "Mendix webhooks", "app": _WebhooksApp(receivers), "url_prefix": WEBHOOKS_PATH}]


class MendixPlugin(AirflowPlugin):
    """What this provider adds to Airflow's API server."""

    name = "mendix"
    fastapi_apps = _fastapi_apps()
