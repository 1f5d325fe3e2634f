"""Webhooks that the simulator sends: signed as Mendix does, or late, repeated or forged.

Mendix sends one when an event happens, and again after an error. The simulator sends when it is told to, once.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from airflow_provider_mendix.api.webhook_signature import ID, SIGNATURE, TIMESTAMP, sign
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED

_TIMEOUT = 15.0
_USER_ID = "5b0f2a60-7c1d-4f0e-9d53-0f6a1c2b3d4e"

EventType = Literal["teamserver.push", "package.uploaded"]


class DeliveredWebhook(msgspec.Struct, frozen=True):
    """A request to a receiver.

    :param status: of the response; 0 if there was none.
    """

    webhook_id: str
    url: str
    message_id: str
    status: int


def deliver(
    platform: Platform,
    app_id: str,
    *,
    event_type: EventType = "teamserver.push",
    branch: str | None = None,
    message_id: str | None = None,
    times: int = 1,
    age: float = 0.0,
    forged: bool = False,
    body: str | None = None,
) -> list[DeliveredWebhook]:
    """Send the newest event of an app to each of its active webhooks that wants such events.

    :param branch: of the commit that was pushed; ``None`` for the main line.
    :param message_id: ``None`` for a new one.
    :param times: how often the same request is sent.
    :param age: how many seconds ago the webhook was triggered.
    :param forged: whether to sign with another secret than the webhook's.
    :param body: another body than that of the event.
    :raises KeyError: if there is no such app or branch, or no package that has succeeded.
    """
    import requests

    pushed = event_type == "teamserver.push"
    event = _push(platform, app_id, branch) if pushed else _upload(platform, app_id)
    raw = msgspec.json.encode({"eventType": event_type, **event}) if body is None else body.encode()
    message_id = message_id or f"msg_{platform.webhooks.new_name(app_id)}"
    timestamp = int(platform.clock.now() - age)
    sent = []
    with requests.Session() as session:
        session.trust_env = False
        for webhook in platform.webhooks.of(app_id):
            if not webhook.is_active or event_type not in webhook.event_types:
                continue
            key = secrets.token_hex() if forged else webhook.validation_secret
            headers = {
                **dict(webhook.headers),
                "Content-Type": "application/json",
                ID: message_id,
                TIMESTAMP: str(timestamp),
                SIGNATURE: f"v1,{sign(key, message_id, timestamp, raw).decode()}",
            }
            for _ in range(times):
                try:
                    status = session.post(webhook.url, raw, headers=headers, timeout=_TIMEOUT).status_code
                except requests.RequestException:
                    status = 0
                sent.append(DeliveredWebhook(webhook.webhook_id, webhook.url, message_id, status))
    return sent


def _push(platform: Platform, app_id: str, branch: str | None) -> dict[str, Any]:
    newest, *older = platform.repositories.commits(app_id, branch)
    commit = {
        "id": newest.id,
        "message": newest.message,
        "authorName": newest.author_name,
        "authorEmail": newest.author,
        "authorDate": datetime.fromtimestamp(newest.date, UTC).isoformat(timespec="seconds"),
        "mendixVersion": newest.mendix_version,
        "relatedStories": [{"id": story} for story in newest.stories],
    }
    return {
        "projectId": platform.apps[app_id].project_id,
        "repositoryType": platform.apps[app_id].repository,
        "userId": _USER_ID,
        "branchName": (branch or platform.repositories[app_id].main_line).removeprefix("branches/"),
        "before": older[0].id if older else "0" * len(newest.id),
        "after": newest.id,
        "commits": [commit],
    }


def _upload(platform: Platform, app_id: str) -> dict[str, Any]:
    packages = platform.packages
    done = [package for package in packages.of(app_id) if packages.status(package.package_id) == SUCCEEDED]
    if not done:
        raise KeyError(f"package of {app_id} that has succeeded")
    newest = max(done, key=lambda package: package.created_at)
    return {
        "projectId": platform.apps[app_id].project_id,
        "name": newest.name,
        "modelVersion": newest.version,
        "runtimeVersion": newest.metadata.runtime_version,
        "uploaderId": _USER_ID,
        "uploadTime": datetime.fromtimestamp(platform.clock.now(), UTC).isoformat(timespec="milliseconds"),
    }
