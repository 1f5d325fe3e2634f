"""Talking to a platform by hand."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.clock import ManualClock
from airflow_provider_mendix.simulator import Options, Platform, Reply, Request

USER, KEY = "ana@example.com", "s3cr3t-key-of-ana"
AUTH = {"mendix-username": USER, "mendix-apikey": KEY}
TOKEN = "t0k3n-of-ana-for-repositories"
TOKEN_AUTH = {"authorization": f"MxToken {TOKEN}"}
PROJECT = "7c1e0d5e-7d1f-4f4c-9f36-0a4c1d2e3f40"
NOW = 1_700_000_000
UNKNOWN_ID = "3d3f0a9e-0000-4000-8000-000000000000"
START = {"Branch": "main", "Revision": "9f3ab2c1d4e5f60718293a4b5c6d7e8f90123456", "Version": "1.4.2"}


class Talk:
    """Sends requests to a platform by hand, written out as they go over the wire."""

    def __init__(self, options: Options | None = None) -> None:
        self.clock = ManualClock()
        self.platform = Platform(self.clock, options=options)
        self.platform.permissions.add_account(USER, KEY, display_name="Ana Dev")
        self.platform.add_app("shop", project_id=PROJECT)
        self.platform.permissions.add_personal_access_token(TOKEN)

    def api(self, method: str, target: str, body: Any = None, headers: dict[str, str] = AUTH) -> Reply:
        path, _, query = target.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.platform.handle(Request("api", method, path, dict(parse_qsl(query)), headers, raw))

    def repository(self, target: str, headers: dict[str, str] = TOKEN_AUTH) -> Reply:
        path, _, query = target.partition("?")
        return self.platform.handle(Request("repository", "GET", path, dict(parse_qsl(query)), headers))

    def webhooks(self, method: str, target: str, body: Any = None, headers: dict[str, str] = TOKEN_AUTH) -> Reply:
        path, _, query = f"/api/v1/apps/{PROJECT}/webhooks{target}".partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.platform.handle(Request("repository", method, path, dict(parse_qsl(query)), headers, raw))

    def json(self, method: str, target: str, body: Any = None) -> Any:
        reply = self.api(method, target, body)
        assert reply.status == 200, reply
        assert reply.headers["Content-Type"] == "application/json"
        return json.loads(reply.body)

    def start(self, **changes: Any) -> str:
        return self.json("POST", "/api/1/apps/shop/packages", START | changes)["PackageId"]

    def get(self, package_id: str) -> dict[str, Any]:
        return self.json("GET", f"/api/1/apps/shop/packages/{package_id}")

    def link(self, package_id: str) -> str:
        return self.json("GET", f"/api/1/apps/shop/packages/{package_id}?url=true")["Url"]["Location"]

    def file(self, link: str, method: str = "GET", headers: dict[str, str] | None = None) -> Reply:
        url = urlsplit(link)
        return self.platform.handle(
            Request("files", method, url.path, dict(parse_qsl(url.query)), headers or {}, b"")
        )


def refusal(reply: Reply) -> tuple[int, str]:
    """Return the status and the code of a refusal, which holds no secret."""
    body = json.loads(reply.body)
    assert sorted(body) == ["errorCode", "errorMessage"]
    assert body["errorMessage"]
    assert TOKEN.encode() not in reply.body
    assert KEY.encode() not in reply.body
    return reply.status, body["errorCode"]


def svn_with(talk: Talk | None = None) -> Talk:
    """Return a platform whose app has an SVN repository."""
    talk = talk or Talk()
    talk.platform.add_app("shop", project_id=PROJECT, repository="svn")
    return talk


def keys_of(shown: Any) -> Any:
    """Return the keys and types of a response, without its values."""
    if isinstance(shown, dict):
        return {name: keys_of(value) for name, value in shown.items()}
    return [keys_of(shown[0])] if isinstance(shown, list) else type(shown)


def client(base_url: str, api_key: str = KEY, repository_url: str = Host.REPOSITORY.value) -> MendixClient:
    """Return our own client of a platform."""
    base_urls = {Host.DEPLOY: base_url, Host.REPOSITORY: repository_url}
    return MendixClient(Account(username=USER, api_key=api_key, personal_access_token=TOKEN, base_urls=base_urls))
