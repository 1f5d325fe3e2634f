"""Mendix Deploy API, version 1: the apps that a user may work with.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/
"""

from __future__ import annotations

import msgspec

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.core import Api, Call, Endpoint, Host

DEPLOY_API = Api(
    name="Deploy API",
    host=Host.DEPLOY,
    prefix="/api/1",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api/",
)


class App(msgspec.Struct, frozen=True, rename="pascal"):
    """An app.

    :param app_id: subdomain.
    :param project_id: UUID that other families call the app's id.
    """

    app_id: str
    name: str | None = None
    project_id: str | None = None
    url: str | None = None


LIST_APPS = Endpoint[list[App]](DEPLOY_API, "GET", "/apps", returns=list[App], repeatable=True)
GET_APP = Endpoint[App](DEPLOY_API, "GET", "/apps/{app_id}", returns=App, repeatable=True)


def list_apps() -> Call[list[App]]:
    """All apps that the user may see."""
    return LIST_APPS.call({})


def get_app(app_id: str) -> Call[App]:
    """One app."""
    return GET_APP.call({"app_id": inputs.app_id(app_id)})
