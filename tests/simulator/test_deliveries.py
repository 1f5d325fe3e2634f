"""Webhooks that the simulator sends, received by a real web server."""

from __future__ import annotations

import json

import pytest
import requests

from airflow_provider_mendix.api.webhook_signature import is_signed, read_headers
from airflow_provider_mendix.simulator import deliver

from ..wire import SAMPLES, Request, closed_port, new_wire, wire  # noqa: F401
from .talking import NOW, PROJECT, keys_of

SECRET = "PMJhiGo1nTL6wlNyZVFh5v9rLZdcLsG2O"


def signed(request: Request, secret: str = SECRET) -> bool:
    delivery = read_headers({name: [value] for name, value in request.headers.items()})
    return is_signed(delivery, request.body, [secret])


@pytest.fixture
def add(talk):
    return lambda wire, **more: talk.platform.webhooks.add("shop", wire.url, validation_secret=SECRET, **more)  # noqa: F811


def test_a_push(talk, wire, add):  # noqa: F811
    wire.answer(status=202)
    webhook_id = add(wire, headers=[("X-Mine", "1")])
    before = talk.platform.repositories.commits("shop", "main")[0].id
    after = talk.platform.repositories.push("shop", message="mend it", stories=["42"])

    (sent,) = deliver(talk.platform, "shop")

    assert (sent.webhook_id, sent.url, sent.status) == (webhook_id, wire.url, 202)
    assert wire.request.method == "POST"
    assert wire.request.headers["webhook-id"] == sent.message_id
    assert wire.request.headers["webhook-timestamp"] == str(NOW)
    assert (wire.request.headers["content-type"], wire.request.headers["x-mine"]) == ("application/json", "1")
    assert signed(wire.request)
    body = json.loads(wire.request.body)
    assert keys_of(body) == keys_of(json.loads((SAMPLES / "webhooks" / "teamserver_push.json").read_text()))
    assert (body["projectId"], body["branchName"]) == (PROJECT, "main")
    assert (body["before"], body["after"], body["commits"][0]["id"]) == (before, after, after)


def test_a_package(talk, wire, add):  # noqa: F811
    wire.answer(status=202)
    add(wire)
    talk.platform.packages.add("shop", version="1.4.2", revision="9f3ab2c1")

    deliver(talk.platform, "shop", event_type="package.uploaded")

    body = json.loads(wire.request.body)
    assert keys_of(body) == keys_of(json.loads((SAMPLES / "webhooks" / "package_uploaded.json").read_text()))
    assert (body["name"], body["modelVersion"]) == ("main-1.4.2.9f3ab2c1.mda", "1.4.2.9f3ab2c1")


def test_to_several_receivers(talk, new_wire, add):  # noqa: F811
    wires = [new_wire() for _ in range(4)]
    for number, kind in enumerate([{}, {}, {"is_active": False}, {"event_types": ["package.uploaded"]}]):
        wires[number].answer(status=202)
        add(wires[number], **kind)
    assert [sent.status for sent in deliver(talk.platform, "shop")] == [202, 202]
    assert [len(wire.requests) for wire in wires] == [1, 1, 0, 0]  # noqa: F811


def test_repeated_late_and_forged(talk, wire, add):  # noqa: F811
    for status in (202, 409, 401, 401):
        wire.answer(status=status)
    add(wire)
    assert [sent.status for sent in deliver(talk.platform, "shop", times=2)] == [202, 409]
    assert [sent.status for sent in deliver(talk.platform, "shop", age=600)] == [401]
    assert [sent.status for sent in deliver(talk.platform, "shop", forged=True, body="other")] == [401]

    first, second, late, forged = wire.requests
    assert first == second
    assert late.headers["webhook-id"] != first.headers["webhook-id"]
    assert late.headers["webhook-timestamp"] == str(NOW - 600)
    assert [signed(request) for request in wire.requests] == [True, True, True, False]
    assert forged.body == b"other"


def test_a_receiver_that_is_down(talk, closed_port):  # noqa: F811
    talk.platform.webhooks.add("shop", f"http://127.0.0.1:{closed_port}", validation_secret=SECRET)
    assert [sent.status for sent in deliver(talk.platform, "shop")] == [0]


def test_nothing_to_tell(talk):
    with pytest.raises(KeyError):
        deliver(talk.platform, "nope")
    with pytest.raises(KeyError):
        deliver(talk.platform, "shop", branch="nope")
    with pytest.raises(KeyError, match="has succeeded"):
        deliver(talk.platform, "shop", event_type="package.uploaded")


def test_the_control_plane(server, talk, wire):  # noqa: F811
    base = f"{server.api_url}/_simulator"
    webhook = {"app_id": "shop", "url": wire.url, "validation_secret": SECRET}
    wire.answer(status=202)
    assert requests.post(f"{base}/webhooks", json=webhook | {"app_id": "nope"}).status_code == 404
    webhook_id = requests.post(f"{base}/webhooks", json=webhook).json()["webhook_id"]

    sent = requests.post(f"{base}/deliveries", json={"app_id": "shop", "message_id": "msg_1"}).json()

    assert sent == [{"webhook_id": webhook_id, "url": wire.url, "message_id": "msg_1", "status": 202}]
    assert signed(wire.request)
    assert requests.post(f"{base}/deliveries", json={"app_id": "nope"}).status_code == 404
    refused = requests.post(f"{base}/deliveries", json={"app_id": "shop", "event_type": "x"})
    assert refused.status_code == 400
    assert "teamserver.push" in refused.json()["error"]
