"""The Deploy API, version 1, as far as it is simulated: which apps there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.simulator.apis.routes import RefusedError, Reply, Request, json_reply, serves
from airflow_provider_mendix.simulator.state.packages import App

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.state.platform import Platform


@serves(deploy.LIST_APPS)
def list_apps(platform: Platform, request: Request) -> Reply:
    shown = platform.options.list_apps_without_rights
    return json_reply([_shown(app) for app in platform.apps.values() if shown or platform.has_rights(app.app_id)])


@serves(deploy.GET_APP)
def get_app(platform: Platform, request: Request, app_id: str) -> Reply:
    return json_reply(_shown(find_app(platform, app_id)))


def find_app(platform: Platform, app_id: str, unknown: str = "APP_NOT_FOUND") -> App:
    """Find an app.

    :param unknown: the code to refuse with if the id is well-formed and no app has it.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+", app_id):
        raise invalid_app_id(app_id)
    if app_id in platform.apps:
        return platform.apps[app_id]
    if unknown == "INVALID_APPID":
        raise invalid_app_id(app_id)
    raise RefusedError(404, "APP_NOT_FOUND", f"No app {app_id} is known to this simulator.")


def invalid_app_id(app_id: str) -> RefusedError:
    return RefusedError(400, "INVALID_APPID", f"{app_id!r} is not the subdomain of an app.")


def _shown(app: App) -> dict[str, str]:
    return {
        "AppId": app.app_id,
        "Name": app.name,
        "ProjectId": app.project_id,
        "Url": f"https://{app.app_id}.mendixcloud.com",
    }
