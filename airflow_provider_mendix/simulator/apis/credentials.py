"""Whose request it is, and whether it is let in.

Mendix documents no response to wrong credentials: 400 ``INVALID_CREDENTIALS`` was seen for a personal access token
in place of an API key; the status for a wrong key is an option. 403 ``NO_ACCESS``, where the API Rights on an app
are revoked, is invented. The App Repository API documents 401 and 403, but of all codes only ``RS400``; ``RS401``
and ``RS403`` are inferred from it. The Webhooks API documents 401 and 403.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.permissions import READ_REPOSITORIES, READ_WEBHOOKS, WRITE_WEBHOOKS
from airflow_provider_mendix.simulator.wire import RefusedError, Request, json_reply

REPOSITORY_JSON = "application/json; charset=utf-8"


def check_credentials(cloud: Cloud, host: Host, request: Request, values: Mapping[str, str]) -> None:
    """Check the credentials of a request, and the rights on the app that it is about.

    :param values: those of the path.
    :raises RefusedError: if they are not good enough.
    """
    app = cloud.apps.of_project(values.get("project_id", ""))
    if host is Host.REPOSITORY:
        _check_token(cloud, request, app.app_id if app else "")
    elif host is Host.WEBHOOKS:
        _check_webhook_token(cloud, request, app.app_id if app else "")
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


class NestedRefusedError(RefusedError):
    """A request is refused, in the shape of the newer APIs."""

    def __init__(self, status: int, message: str, name: str, reason: str) -> None:
        super().__init__(status, "", message)
        error = {"code": status, "message": message, "invalid-params": [{"name": name, "reason": reason}]}
        self.reply = json_reply({"error": error}, status)


def _check_key(cloud: Cloud, request: Request, app_id: str) -> None:
    user = cloud.permissions.users.get(request.headers.get("mendix-username", ""))
    key = request.headers.get("mendix-apikey", "")
    if user is None or user.api_key != key:
        is_token = key in cloud.permissions.scopes
        status = 400 if is_token else cloud.options.wrong_key_status
        raise RefusedError(status, "INVALID_CREDENTIALS", "The user name or the API key is wrong.")
    if not cloud.permissions.has("api", app_id):
        raise RefusedError(403, "NO_ACCESS", f"The user has no API Rights on app {app_id}.")


def _scopes(cloud: Cloud, request: Request) -> Collection[str] | None:
    """Return the scopes of the token of a request; ``None`` without a token that is known."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return cloud.permissions.scopes.get(token) if scheme == "MxToken" else None


def _check_webhook_token(cloud: Cloud, request: Request, app_id: str) -> None:
    scopes = _scopes(cloud, request)
    if scopes is None:
        raise NestedRefusedError(401, "Unauthorized", "Authentication", "Missing or invalid Authorization header")
    needed = {WRITE_WEBHOOKS, READ_WEBHOOKS} if request.method == "GET" else {WRITE_WEBHOOKS}
    if needed.isdisjoint(scopes):
        raise NestedRefusedError(403, "Forbidden", "authentication", "The token is not accepted")
    if not cloud.permissions.has("team", app_id):
        raise NestedRefusedError(403, "Forbidden", "validation", "The owner of the token is not in the team")


def _check_token(cloud: Cloud, request: Request, app_id: str) -> None:
    scopes = _scopes(cloud, request)
    if scopes is None:
        raise repository_refusal(401, "There is no personal access token, or it is not valid.")
    if READ_REPOSITORIES not in scopes:
        raise repository_refusal(403, f"The personal access token lacks the scope {READ_REPOSITORIES}.")
    if not cloud.permissions.has("team", app_id):
        raise repository_refusal(403, "The owner of the token is not in the team of this app.")
