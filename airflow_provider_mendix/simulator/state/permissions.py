"""Who may do what: API keys and rights on apps and environments, personal access tokens and teams."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import msgspec

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.simulator.apis.routes import RefusedError, Request
from airflow_provider_mendix.simulator.state.packages import App

REPOSITORY_JSON = "application/json; charset=utf-8"
_READ_REPOSITORIES = "mx:modelrepository:repo:read"


class _User(msgspec.Struct):
    api_key: str
    display_name: str


class Access:
    """Users, personal access tokens, and what was taken from them.

    Two answers are invented, because Mendix documents neither: 401 ``INVALID_CREDENTIALS`` for a wrong user name
    or API key, and 403 ``NO_ACCESS`` where the API Rights on an app are revoked. ``NO_ACCESS`` is documented for
    transports and for backups, ``TRANSPORT_NOT_ALLOWED`` for transports; where other calls want a right that is
    revoked, ``NO_ACCESS`` is invented too. The App Repository API documents 401 and 403 but of all codes only
    ``RS400``; ``RS401`` and ``RS403`` are inferred from it.

    :ivar apps: all apps, by subdomain.
    """

    def __init__(self) -> None:
        self.apps: dict[str, App] = {}
        self._users: dict[str, _User] = {}
        self._tokens: dict[str, frozenset[str]] = {}
        self._without_rights: set[tuple[str, str | None]] = set()
        self._without_transport: set[tuple[str, str]] = set()
        self._without_backups: set[tuple[str, str]] = set()
        self._without_team: set[str] = set()
        self._lock = threading.RLock()

    def add_account(self, username: str, api_key: str, *, display_name: str = "Demo Engineer") -> None:
        """Add a user; packages show the display name as their creator."""
        with self._lock:
            self._users[username] = _User(api_key, display_name)

    def set_api_key(self, username: str, api_key: str) -> None:
        """Give a user another key; the old one stops working."""
        with self._lock:
            self._users[username].api_key = api_key

    def add_personal_access_token(self, token: str, *, scopes: Collection[str] = (_READ_REPOSITORIES,)) -> None:
        """Add a token for the App Repository API, or give one other scopes."""
        with self._lock:
            self._tokens[token] = frozenset(scopes)

    def revoke_personal_access_token(self, token: str) -> None:
        """Let a token work no more.

        :raises KeyError: if there is none; the token is not in it.
        """
        with self._lock:
            if self._tokens.pop(token, None) is None:
                raise KeyError("such personal access token")

    def revoke_api_rights(self, app_id: str, mode: str | None = None) -> None:
        """Take everybody's API Rights on an app, or on one environment of it."""
        with self._lock:
            self._without_rights.add((app_id, mode))

    def grant_api_rights(self, app_id: str, mode: str | None = None) -> None:
        """Give them back."""
        with self._lock:
            self._without_rights.discard((app_id, mode))

    def has_rights(self, app_id: str, mode: str | None = None) -> bool:
        """Tell whether users have API Rights on an app, or on an environment."""
        return self._without_rights.isdisjoint({(app_id, None), (app_id, mode)})

    def revoke_transport_rights(self, app_id: str, mode: str) -> None:
        """Take everybody's Transport Rights on an environment: to transport, start, stop, and change settings."""
        with self._lock:
            self._without_transport.add((app_id, mode))

    def grant_transport_rights(self, app_id: str, mode: str) -> None:
        """Give them back."""
        with self._lock:
            self._without_transport.discard((app_id, mode))

    def has_transport_rights(self, app_id: str, mode: str) -> bool:
        """Tell whether users have Transport Rights on an environment."""
        return (app_id, mode) not in self._without_transport

    def revoke_backup_access(self, app_id: str, mode: str) -> None:
        """Take everybody's Access to Backups of an environment."""
        with self._lock:
            self._without_backups.add((app_id, mode))

    def grant_backup_access(self, app_id: str, mode: str) -> None:
        """Give it back."""
        with self._lock:
            self._without_backups.discard((app_id, mode))

    def has_backup_access(self, app_id: str, mode: str) -> bool:
        """Tell whether users have Access to Backups of an environment."""
        return (app_id, mode) not in self._without_backups

    def revoke_team_membership(self, app_id: str) -> None:
        """Take the owners of all personal access tokens out of an app's team."""
        with self._lock:
            self._without_team.add(app_id)

    def grant_team_membership(self, app_id: str) -> None:
        """Take them in again."""
        with self._lock:
            self._without_team.discard(app_id)

    def app_of(self, project_id: str) -> App | None:
        """Find an app by its project's UUID."""
        wanted = project_id.lower()
        return next((app for app in self.apps.values() if app.project_id.lower() == wanted), None)

    def creator(self, request: Request) -> str:
        """Give the display name of whoever makes a request."""
        return self._users[request.headers["mendix-username"]].display_name

    def admit(self, host: Host, request: Request, values: Mapping[str, str]) -> None:
        """Check the credentials of a request, and what they are good for.

        :param values: those of the path.
        :raises RefusedError: if they are not good enough.
        """
        if host is Host.REPOSITORY:
            self._admit_token(request, values.get("project_id", ""))
        elif host is Host.DEPLOY:
            app = self.app_of(values.get("project_id", ""))
            self._admit_key(request, app.app_id if app else values.get("app_id", ""))
        else:
            raise NotImplementedError(f"The simulator does not know the credentials of {host}.")

    def _admit_key(self, request: Request, app_id: str) -> None:
        user = self._users.get(request.headers.get("mendix-username", ""))
        if user is None or user.api_key != request.headers.get("mendix-apikey"):
            raise RefusedError(401, "INVALID_CREDENTIALS", "The user name or the API key is wrong.")
        if not self.has_rights(app_id):
            raise RefusedError(403, "NO_ACCESS", f"The user has no API Rights on app {app_id}.")

    def _admit_token(self, request: Request, project_id: str) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        scopes = self._tokens.get(token) if scheme == "MxToken" else None
        if scopes is None:
            raise repository_refusal(401, "There is no personal access token, or it is not valid.")
        if _READ_REPOSITORIES not in scopes:
            raise repository_refusal(403, f"The personal access token lacks the scope {_READ_REPOSITORIES}.")
        app = self.app_of(project_id)
        if app is not None and app.app_id in self._without_team:
            raise repository_refusal(403, f"The owner of the token has no access to app {project_id}.")


def repository_refusal(status: int, message: str) -> RefusedError:
    """Say no as the App Repository API does."""
    return RefusedError(status, f"RS{status}", message, content_type=REPOSITORY_JSON)
