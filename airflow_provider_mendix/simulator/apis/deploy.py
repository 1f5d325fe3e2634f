"""The Deploy API, version 1: the apps."""

from __future__ import annotations

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.apps import App, is_app_id
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply


@serves(deploy.LIST_APPS)
def list_apps(cloud: Cloud, request: Request) -> Reply:
    every = cloud.options.list_apps_without_rights
    return json_reply(
        [_shown(app) for app in cloud.apps.values() if every or cloud.permissions.has("api", app.app_id)]
    )


@serves(deploy.GET_APP)
def get_app(cloud: Cloud, request: Request, app_id: str) -> Reply:
    return json_reply(_shown(find_app(cloud, app_id)))


def find_app(cloud: Cloud, app_id: str, unknown: str = "APP_NOT_FOUND") -> App:
    """Return an app.

    :param unknown: the code for an id that is well-formed, but of no app.
    :raises RefusedError: if there is no such app.
    """
    if app_id in cloud.apps:
        return cloud.apps[app_id]
    if not is_app_id(app_id) or unknown == "INVALID_APPID":
        raise RefusedError(400, "INVALID_APPID", f"{app_id!r} is not the subdomain of an app.")
    raise RefusedError(404, "APP_NOT_FOUND", f"No app {app_id} is known to this simulator.")


def _shown(app: App) -> dict[str, str]:
    return {
        "AppId": app.app_id,
        "Name": app.name,
        "ProjectId": app.project_id,
        "Url": f"https://{app.app_id}.mendixcloud.com",
    }
