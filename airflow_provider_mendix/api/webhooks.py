"""Mendix Webhooks API: where Mendix sends a request when something happens to an app.

It knows an app by its project's UUID and requires a personal access token.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/webhooks-api/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.app_repository import Page
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host
from airflow_provider_mendix.exceptions import InvalidInputError

WEBHOOKS_API = Api(
    name="Webhooks API",
    host=Host.WEBHOOKS,
    prefix="/api/v1",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/webhooks-api/",
    advice=(
        (401, "Check the personal access token of the connection: Mendix does not know it, or it was revoked."),
        (
            403,
            "Check that the personal access token of the connection has the scope mx:webhook:read (to list and"
            " get) or mx:webhook:write (for everything), and that its owner may manage the app's webhooks.",
        ),
        (404, "Check the project's UUID and the id of the webhook."),
    ),
)
PUSHED = "teamserver.push"
"""A Git app got commits. There is no such event for SVN apps."""
UPLOADED = "package.uploaded"
"""A package can be used: it was built or uploaded. There is no event for a build that failed."""

_NAME = re.compile(r"[a-zA-Z0-9_ ]+")
_SECRET = re.compile(r"(whsec_)?[a-zA-Z0-9+/=]{32,100}")


class Header(msgspec.Struct, frozen=True):
    """A header that Mendix adds to each request of a webhook."""

    key: str
    value: str

    def __repr__(self) -> str:
        """Show no value: it may be a credential."""
        return f"Header(key={self.key!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide the value from rich too, which does not use the repr of a msgspec struct."""
        return [("key", self.key)]


class Webhook(msgspec.Struct, frozen=True, rename="camel"):
    """A webhook of an app.

    :param event_types: such as ``teamserver.push`` and ``package.uploaded``.
    :param validation_secret: the key of its signatures; absent from the list of webhooks.
    :param headers: what Mendix adds to its requests; absent from the list of webhooks.
    """

    id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    is_active: bool
    validation_secret: str | None = None
    headers: tuple[Header, ...] | None = None

    def __repr__(self) -> str:
        """Show no secret."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"Webhook({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide the secret from rich too, which does not use the repr of a msgspec struct."""
        names = ("id", "name", "url", "event_types", "is_active")
        return [(name, getattr(self, name)) for name in names]


class Webhooks(Page[Webhook], frozen=True, kw_only=True):
    """One page of the webhooks of an app."""

    items: list[Webhook] = msgspec.field(name="webhooks")


LIST_WEBHOOKS = Endpoint[Page[Webhook]](
    WEBHOOKS_API, "GET", "/apps/{project_id}/webhooks", returns=Webhooks, repeatable=True
)
CREATE_WEBHOOK = Endpoint[Webhook](
    WEBHOOKS_API, "POST", "/apps/{project_id}/webhooks", returns=Webhook, repeatable=False
)
GET_WEBHOOK = Endpoint[Webhook](
    WEBHOOKS_API, "GET", "/apps/{project_id}/webhooks/{webhook_id}", returns=Webhook, repeatable=True
)
UPDATE_WEBHOOK = Endpoint[None](
    WEBHOOKS_API, "PUT", "/apps/{project_id}/webhooks/{webhook_id}", returns=None, repeatable=True
)
DELETE_WEBHOOK = Endpoint[None](
    WEBHOOKS_API, "DELETE", "/apps/{project_id}/webhooks/{webhook_id}", returns=None, repeatable=False
)


def list_webhooks(project_id: str, *, cursor: str | None = None) -> Call[Page[Webhook]]:
    """Return the call for one page of the webhooks of an app."""
    query = {"cursor": cursor} if cursor else {}
    return LIST_WEBHOOKS.call({"project_id": inputs.project_id(project_id)}, query=query)


def create_webhook(
    project_id: str,
    *,
    name: str,
    url: str,
    event_types: Iterable[str],
    validation_secret: str,
    is_active: bool = True,
    headers: Mapping[str, str] | None = None,
) -> Call[Webhook]:
    """Return the call that creates a webhook. Every call that arrives makes one.

    :param name: letters, digits, blanks and ``_``.
    :param url: where Mendix sends its requests.
    :param event_types: such as ``teamserver.push`` and ``package.uploaded``.
    :param validation_secret: 32 to 100 characters of base64: letters, digits and ``+/=``.
    :param headers: what Mendix adds to its requests.
    """
    settings = Webhook(
        id="",
        name=name,
        url=url,
        event_types=(event_types,) if isinstance(event_types, str) else tuple(event_types),
        is_active=is_active,
        validation_secret=validation_secret,
        headers=tuple(Header(key, value) for key, value in (headers or {}).items()),
    )
    return CREATE_WEBHOOK.call(
        {"project_id": inputs.project_id(project_id)}, body=_settings(settings), secrets=_secrets(settings)
    )


def get_webhook(project_id: str, webhook_id: str) -> Call[Webhook]:
    """Return the call for one webhook with all its settings."""
    return GET_WEBHOOK.call(_webhook(project_id, webhook_id))


def update_webhook(project_id: str, webhook: Webhook) -> Call[None]:
    """Return the call that replaces the settings of a webhook.

    :param webhook: as :func:`get_webhook` returns it, with other values.
    """
    segments = _webhook(project_id, webhook.id)
    return UPDATE_WEBHOOK.call(segments, body=_settings(webhook), secrets=_secrets(webhook))


def delete_webhook(project_id: str, webhook_id: str) -> Call[None]:
    """Return the call that deletes a webhook."""
    return DELETE_WEBHOOK.call(_webhook(project_id, webhook_id))


def is_secret(value: object) -> bool:
    """Return whether Mendix takes a text as a validation secret."""
    return isinstance(value, str) and bool(_SECRET.fullmatch(value))


def _settings(webhook: Webhook) -> dict[str, Any]:
    """Check the settings of a webhook, and return them as Mendix takes them; no message shows the secret."""
    if not isinstance(webhook.name, str) or not _NAME.fullmatch(webhook.name):
        raise InvalidInputError(
            f"name {webhook.name!r} is not the name of a webhook: use letters, digits, blanks and _."
        )
    if not is_secret(webhook.validation_secret):
        raise InvalidInputError(
            "validation_secret is not the secret of a webhook, which has 32 to 100 letters, digits and +/=. Make"
            " one with: openssl rand -base64 48. The list of webhooks has no secrets: get the one to update."
        )
    if not webhook.event_types or not all(isinstance(kind, str) and kind for kind in webhook.event_types):
        raise InvalidInputError(f"event_types names no event. Use {PUSHED} or {UPLOADED}, or both.")
    if not _is_url(webhook.url):
        raise InvalidInputError("url is not a URL, such as https://airflow.example.com/mendix/hooks/shop.")
    settings: dict[str, Any] = {
        "name": webhook.name,
        "url": webhook.url,
        "eventTypes": list(webhook.event_types),
        "isActive": webhook.is_active,
        "validationSecret": webhook.validation_secret,
    }
    if webhook.headers:
        settings["headers"] = [{"key": header.key, "value": header.value} for header in webhook.headers]
    return settings


def _secrets(webhook: Webhook) -> tuple[str, ...]:
    return (str(webhook.validation_secret), *(header.value for header in webhook.headers or ()))


def _is_url(value: object) -> bool:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _webhook(project_id: str, webhook_id: str) -> dict[str, str]:
    if not isinstance(webhook_id, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", webhook_id):
        raise InvalidInputError(f"webhook_id {webhook_id!r} is not an id. Use the id that Mendix returned.")
    return {"project_id": inputs.project_id(project_id), "webhook_id": webhook_id}
