"""The webhooks of apps, as the hook manages them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_mendix.api import app_repository, webhooks
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.webhooks import Webhook

__all__ = ["MendixWebhooks"]


class MendixWebhooks:
    """Manage the webhooks of apps; ``hook.webhooks`` is one of these.

    The connection needs a personal access token with the scope ``mx:webhook:write``, or ``mx:webhook:read`` to
    list and get. A webhook holds its validation secret: do not return one from a task.

    :param send: sends a call and returns its result.
    """

    def __init__(self, send: Callable[[Call[Any]], Any]) -> None:
        self._send = send

    def list(self, project_id: str) -> Iterator[Webhook]:
        """Yield the webhooks of a project, without their secrets and headers."""
        return app_repository.pages(self._send, lambda cursor: webhooks.list_webhooks(project_id, cursor=cursor))

    def get(self, project_id: str, webhook_id: str) -> Webhook:
        """Return one webhook with its secret and its headers."""
        return _masked(self._send(webhooks.get_webhook(project_id, webhook_id)))

    def create(
        self,
        project_id: str,
        *,
        name: str,
        url: str,
        validation_secret: str,
        event_types: Iterable[str] = (webhooks.PUSHED, webhooks.UPLOADED),
        is_active: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Webhook:
        """Create a webhook and return it. A second call creates a second one.

        :param name: letters, digits, blanks and ``_``.
        :param url: where Mendix sends its requests.
        :param validation_secret: 32 to 100 characters of base64: letters, digits and ``+/=``.
        :param headers: what Mendix adds to its requests.
        """
        call = webhooks.create_webhook(
            project_id,
            name=name,
            url=url,
            event_types=event_types,
            validation_secret=validation_secret,
            is_active=is_active,
            headers=headers,
        )
        return _masked(self._send(call))

    def update(self, project_id: str, webhook: Webhook) -> None:
        """Replace the settings of a webhook.

        :param webhook: as :meth:`get` returned it, with other values: ``msgspec.structs.replace(webhook, url=…)``.
        """
        self._send(webhooks.update_webhook(project_id, webhook))

    def delete(self, project_id: str, webhook_id: str) -> None:
        """Delete a webhook."""
        self._send(webhooks.delete_webhook(project_id, webhook_id))


def _masked(webhook: Webhook) -> Webhook:
    """Mask the secret and the headers of a webhook in task logs."""
    for secret in (webhook.validation_secret, *(header.value for header in webhook.headers or ())):
        if secret and len(secret) > 4:
            mask_secret(secret)
    return webhook
