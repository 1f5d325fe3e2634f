"""Who may do what: API keys, personal access tokens, and rights on apps and environments."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

READ_REPOSITORIES = "mx:modelrepository:repo:read"
READ_WEBHOOKS = "mx:webhook:read"
WRITE_WEBHOOKS = "mx:webhook:write"
SCOPES = (READ_REPOSITORIES, READ_WEBHOOKS, WRITE_WEBHOOKS)

Right = Literal["api", "transport", "backups", "team"]
"""API Rights; Transport Rights (transport, start, stop, settings); Access to Backups; membership of the team."""


class User(msgspec.Struct):
    """A user with an API key."""

    api_key: str
    display_name: str


class Permissions:
    """Users and personal access tokens, and the rights that were revoked. All users have the same rights.

    :ivar users: by user name.
    :ivar scopes: of each personal access token.
    """

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.scopes: dict[str, frozenset[str]] = {}
        self._revoked: set[tuple[Right, str, str | None]] = set()

    def add_account(self, username: str, api_key: str, *, display_name: str = "Demo Engineer") -> None:
        """Add a user. Packages show the display name as their creator."""
        self.users[username] = User(api_key, display_name)

    def set_api_key(self, username: str, api_key: str) -> None:
        """Replace the API key of a user; the old one stops working.

        :raises KeyError: if there is no such user.
        """
        self.users[username].api_key = api_key

    def add_personal_access_token(self, token: str, *, scopes: Collection[str] = SCOPES) -> None:
        """Add a token for the App Repository API and the Webhooks API, or change the scopes of one."""
        self.scopes[token] = frozenset(scopes)

    def revoke_personal_access_token(self, token: str) -> None:
        """Make a token stop working.

        :raises KeyError: if there is no such token; the message does not contain it.
        """
        if self.scopes.pop(token, None) is None:
            raise KeyError("such personal access token")

    def revoke(self, right: Right, app_id: str, mode: str | None = None) -> None:
        """Take a right on an app, or on one environment of it, from all users.

        :param mode: ``None`` for the whole app; the team is always that of the whole app.
        """
        self._revoked.add((right, app_id, mode))

    def grant(self, right: Right, app_id: str, mode: str | None = None) -> None:
        """Return a right that was revoked in the same way."""
        self._revoked.discard((right, app_id, mode))

    def has(self, right: Right, app_id: str, mode: str | None = None) -> bool:
        """Return whether users have a right on an app, or on one environment of it."""
        return self._revoked.isdisjoint({(right, app_id, None), (right, app_id, mode)})
