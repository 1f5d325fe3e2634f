"""The Webhooks API; paths are written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..talking import AUTH, PROJECT, TOKEN, TOKEN_AUTH, Talk, keys_of

SAMPLES = Path(__file__).parents[2] / "samples" / "webhooks"
SETTINGS = json.loads((SAMPLES / "upsert_webhook_request.json").read_text())


def create(talk: Talk, **changes: Any) -> dict[str, Any]:
    reply = talk.webhooks("POST", "", SETTINGS | changes)
    assert reply.status == 200, reply
    return json.loads(reply.body)


def said_no(talk: Talk, method: str, target: str, body: Any = None, headers=TOKEN_AUTH) -> tuple[int, str]:
    reply = talk.webhooks(method, target, body, headers)
    error = json.loads(reply.body)["error"]
    assert error["code"] == reply.status
    assert [sorted(parameter) for parameter in error["invalid-params"]] == [["name", "reason"]]
    assert TOKEN.encode() not in reply.body
    return reply.status, error["message"]


def test_responses_are_like_the_documented_samples(talk):
    created = create(talk)
    read = json.loads(talk.webhooks("GET", f"/{created['id']}").body)
    changed = talk.webhooks("PUT", f"/{created['id']}", SETTINGS | {"isActive": False})

    assert created == read == json.loads((SAMPLES / "webhook.json").read_text()) | {"id": created["id"]}
    assert (changed.status, json.loads(changed.body)["isActive"]) == (202, False)
    listed = json.loads(talk.webhooks("GET", "").body)
    assert listed["webhooks"] == [{k: read[k] for k in ("id", "name", "url", "eventTypes")} | {"isActive": False}]
    assert keys_of(listed["webhooks"]) == keys_of(json.loads((SAMPLES / "webhooks.json").read_text()))["webhooks"]
    deleted = talk.webhooks("DELETE", f"/{created['id']}")
    assert (deleted.status, deleted.body) == (204, b"")
    assert said_no(talk, "DELETE", f"/{created['id']}") == (404, "Webhook not found")
    assert json.loads(talk.webhooks("GET", "").body) == {"webhooks": [], "cursors": {}}


def test_pages(talk):
    ids = [create(talk)["id"] for _ in range(5)]

    def walk(query: str) -> list[list[str]]:
        pages, cursor = [], ""
        while True:
            page = json.loads(talk.webhooks("GET", f"?{query}{cursor}").body)
            pages.append([webhook["id"] for webhook in page["webhooks"]])
            if "next" not in page["cursors"]:
                return pages
            cursor = f"&cursor={page['cursors']['next']}"

    assert walk("ascOrder=true&limit=2") == [ids[:2], ids[2:4], ids[4:]]
    assert walk("limit=3") == [ids[:1:-1], ids[1::-1]]
    assert walk("") == [ids[::-1]]
    last = json.loads(talk.webhooks("GET", f"?ascOrder=true&limit=2&cursor={ids[4]}").body)
    assert last["cursors"] == {"prev": ids[2]}
    assert said_no(talk, "GET", "?cursor=nope")[0] == 400
    assert said_no(talk, "GET", "?limit=0")[0] == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a-b"},
        {"name": ""},
        {"url": ""},
        {"eventTypes": "teamserver.push"},
        {"isActive": None},
        {"validationSecret": "short"},
        {"headers": [{"key": "a"}]},
    ],
)
def test_invalid_settings(talk, changes):
    body = SETTINGS | changes
    webhook_id = create(talk)["id"]
    for method, target in (("POST", ""), ("PUT", f"/{webhook_id}")):
        assert said_no(talk, method, target, body) == (400, "Request validation errors")
        assert said_no(talk, method, target, b"no json")[0] == 400
    assert len(talk.platform.webhooks) == 1


@pytest.mark.parametrize(
    ("method", "target"), [("GET", ""), ("POST", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x")]
)
def test_credentials_come_first(talk, method, target):
    for headers in ({}, AUTH, {"authorization": f"Bearer {TOKEN}"}, {"authorization": "MxToken x"}):
        assert said_no(talk, method, target, SETTINGS, headers) == (401, "Unauthorized")
    talk.platform.permissions.add_personal_access_token(TOKEN, scopes=["mx:modelrepository:repo:read"])
    assert said_no(talk, method, target, SETTINGS) == (403, "Forbidden")
    talk.platform.permissions.add_personal_access_token(TOKEN, scopes=["mx:webhook:read"])
    expected = (404 if target else 200) if method == "GET" else 403
    assert talk.webhooks(method, target, SETTINGS).status == expected
    talk.platform.permissions.add_personal_access_token(TOKEN, scopes=["mx:webhook:write"])
    assert talk.webhooks(method, target, SETTINGS).status == (404 if target else 200)
    talk.platform.permissions.revoke("team", "shop")
    assert said_no(talk, method, target, SETTINGS) == (403, "Forbidden")


def test_apps_without_webhooks(talk):
    webhook_id = create(talk)["id"]
    talk.platform.add_app("plan", project_id=PROJECT, free=True)
    talk.platform.apps.pop("shop")
    assert said_no(talk, "GET", "")[0] == 403
    talk.platform.add_app("plan", project_id=PROJECT)
    assert said_no(talk, "GET", f"/{webhook_id}") == (404, "Webhook not found")
    talk.platform.apps.pop("plan")
    assert said_no(talk, "GET", "") == (404, "App not found")


def test_the_journal_has_no_secret(talk):
    create(talk)
    assert SETTINGS["validationSecret"] not in str(talk.platform.journal)
    assert "DG4R4GT6R43" not in str(talk.platform.journal)
    assert talk.platform.journal[0].body["url"] == SETTINGS["url"]
