"""The webhooks of apps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec


class StoredWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook.

    :param headers: names and values that are added to its requests.
    """

    webhook_id: str
    app_id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    is_active: bool = True
    validation_secret: str
    headers: tuple[tuple[str, str], ...] = ()


class Webhooks(dict[str, StoredWebhook]):
    """All webhooks by their ids, the oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self._made = 0

    def add(
        self,
        app_id: str,
        url: str,
        *,
        validation_secret: str,
        name: str = "Airflow",
        event_types: Iterable[str] = ("teamserver.push", "package.uploaded"),
        is_active: bool = True,
        headers: Iterable[tuple[str, str]] = (),
    ) -> str:
        """Add a webhook and return its id."""
        webhook_id = f"mxep_{self.new_name(app_id)}"
        self[webhook_id] = StoredWebhook(
            webhook_id=webhook_id,
            app_id=app_id,
            name=name,
            url=url,
            event_types=tuple(event_types),
            is_active=is_active,
            validation_secret=validation_secret,
            headers=tuple(headers),
        )
        return webhook_id

    def of(self, app_id: str) -> list[StoredWebhook]:
        """Return the webhooks of an app, the oldest first."""
        return [webhook for webhook in self.values() if webhook.app_id == app_id]

    def new_name(self, app_id: str) -> str:
        """Return the random part of a new id; the same calls return the same ones."""
        self._made += 1
        return hashlib.blake2b(f"{app_id} {self._made}".encode(), digest_size=14).hexdigest()
