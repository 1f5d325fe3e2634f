"""The Webhooks API. Statuses, schema and the shape of errors are documented; 403 for a Free App is invented."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from airflow_provider_mendix.api import webhooks
from airflow_provider_mendix.simulator.apis.credentials import NestedRefusedError
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.apps import App
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.webhooks import StoredWebhook
from airflow_provider_mendix.simulator.wire import Reply, Request, json_reply

_PAGE = 20


class _Header(msgspec.Struct):
    key: str
    value: str


class _Settings(msgspec.Struct, rename="camel"):
    name: Annotated[str, msgspec.Meta(pattern="^([a-zA-Z0-9_ ]+)$")]
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=65536)]
    event_types: list[str]
    is_active: bool
    validation_secret: Annotated[str, msgspec.Meta(pattern="^(whsec_)?[a-zA-Z0-9+/=]{32,100}$")]
    headers: list[_Header] = []

    def values(self) -> dict[str, Any]:
        headers = tuple((header.key, header.value) for header in self.headers)
        return {**msgspec.structs.asdict(self), "event_types": tuple(self.event_types), "headers": headers}


@serves(webhooks.LIST_WEBHOOKS)
def list_webhooks(cloud: Cloud, request: Request, project_id: str) -> Reply:
    found = cloud.webhooks.of(_find_app(cloud, project_id).app_id)
    if request.query.get("ascOrder") != "true":
        found.reverse()
    limit = request.query.get("limit", str(_PAGE))
    if not re.fullmatch("[1-9][0-9]{0,8}", limit):
        raise _invalid("limit", f"Value '{limit}' is not supported")
    ids = [webhook.webhook_id for webhook in found]
    cursor = request.query.get("cursor") or (ids[0] if ids else "")
    if ids and cursor not in ids:
        raise _invalid("cursor", "The cursor does not belong to this list")
    begin = ids.index(cursor) if ids else 0
    end = begin + int(limit)
    cursors = {"prev": ids[max(0, begin - int(limit))]} if begin else {}
    cursors |= {"next": ids[end]} if end < len(ids) else {}
    return json_reply({"webhooks": [_shown(webhook) for webhook in found[begin:end]], "cursors": cursors})


@serves(webhooks.CREATE_WEBHOOK)
def create_webhook(cloud: Cloud, request: Request, project_id: str) -> Reply:
    app = _find_app(cloud, project_id)
    webhook_id = cloud.webhooks.add(app.app_id, **_read(request).values())
    return json_reply(_detailed(cloud.webhooks[webhook_id]))


@serves(webhooks.GET_WEBHOOK)
def get_webhook(cloud: Cloud, request: Request, project_id: str, webhook_id: str) -> Reply:
    return json_reply(_detailed(_find(cloud, project_id, webhook_id)))


@serves(webhooks.UPDATE_WEBHOOK)
def update_webhook(cloud: Cloud, request: Request, project_id: str, webhook_id: str) -> Reply:
    webhook = msgspec.structs.replace(_find(cloud, project_id, webhook_id), **_read(request).values())
    cloud.webhooks[webhook_id] = webhook
    return json_reply(_detailed(webhook), 202)


@serves(webhooks.DELETE_WEBHOOK)
def delete_webhook(cloud: Cloud, request: Request, project_id: str, webhook_id: str) -> Reply:
    del cloud.webhooks[_find(cloud, project_id, webhook_id).webhook_id]
    return Reply(204)


def _find_app(cloud: Cloud, project_id: str) -> App:
    app = cloud.apps.of_project(project_id)
    if app is None:
        raise NestedRefusedError(404, "App not found", "validation", f"Application '{project_id}' not found")
    if app.free:
        raise NestedRefusedError(403, "Forbidden", "validation", "Webhooks are for licensed apps")
    return app


def _find(cloud: Cloud, project_id: str, webhook_id: str) -> StoredWebhook:
    app = _find_app(cloud, project_id)
    webhook = cloud.webhooks.get(webhook_id)
    if webhook is None or webhook.app_id != app.app_id:
        raise NestedRefusedError(404, "Webhook not found", "validation", f"Webhook '{webhook_id}' not found")
    return webhook


def _read(request: Request) -> _Settings:
    try:
        return msgspec.json.decode(request.body, type=_Settings)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid("body", str(error)) from None


def _invalid(name: str, reason: str) -> NestedRefusedError:
    return NestedRefusedError(400, "Request validation errors", name, reason)


def _shown(webhook: StoredWebhook) -> dict[str, Any]:
    return {
        "id": webhook.webhook_id,
        "name": webhook.name,
        "url": webhook.url,
        "eventTypes": webhook.event_types,
        "isActive": webhook.is_active,
    }


def _detailed(webhook: StoredWebhook) -> dict[str, Any]:
    headers = [{"key": key, "value": value} for key, value in webhook.headers]
    return {**_shown(webhook), "validationSecret": webhook.validation_secret, "headers": headers}
