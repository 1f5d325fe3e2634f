"""Whose request it is, and whether it is let in.

Two responses are invented, because Mendix documents neither: 401 ``INVALID_CREDENTIALS`` for a wrong user name or
API key, and 403 ``NO_ACCESS`` where the API Rights on an app are revoked. The App Repository API documents 401 and
403, but of all codes only ``RS400``; ``RS401`` and ``RS403`` are inferred from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.permissions import READ_REPOSITORIES
from airflow_provider_mendix.simulator.wire import RefusedError, Request

REPOSITORY_JSON = "application/json; charset=utf-8"


def check_credentials(cloud: Cloud, host: Host, request: Request, values: Mapping[str, str]) -> None:
    """Check the credentials of a request, and the rights on the app that it is about.

    :param values: those of the path.
    :raises RefusedError: if they are not good enough.
    """
    app = cloud.apps.of_project(values.get("project_id", ""))
    if host is Host.REPOSITORY:
        _check_token(cloud, request, app.app_id if app else "")
    elif host is Host.DEPLOY:
        _check_key(cloud, request, app.app_id if app else values.get("app_id", ""))
    else:
        raise NotImplementedError(f"The simulator does not know the credentials of {host}.")


def creator_of(cloud: Cloud, request: Request) -> str:
    """Return the display name of the user who makes a request."""
    return cloud.permissions.users[request.headers["mendix-username"]].display_name


def repository_refusal(status: int, message: str) -> RefusedError:
    """Return a refusal as the App Repository API sends it."""
    return RefusedError(status, f"RS{status}", message, content_type=REPOSITORY_JSON)


def _check_key(cloud: Cloud, request: Request, app_id: str) -> None:
    user = cloud.permissions.users.get(request.headers.get("mendix-username", ""))
    if user is None or user.api_key != request.headers.get("mendix-apikey"):
        raise RefusedError(401, "INVALID_CREDENTIALS", "The user name or the API key is wrong.")
    if not cloud.permissions.has("api", app_id):
        raise RefusedError(403, "NO_ACCESS", f"The user has no API Rights on app {app_id}.")


def _check_token(cloud: Cloud, request: Request, app_id: str) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    scopes = cloud.permissions.scopes.get(token) if scheme == "MxToken" else None
    if scopes is None:
        raise repository_refusal(401, "There is no personal access token, or it is not valid.")
    if READ_REPOSITORIES not in scopes:
        raise repository_refusal(403, f"The personal access token lacks the scope {READ_REPOSITORIES}.")
    if not cloud.permissions.has("team", app_id):
        raise repository_refusal(403, "The owner of the token is not in the team of this app.")
