"""Every documented refusal, with paths written by hand so that a wrong template shows."""

from __future__ import annotations

import json

import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.call import Endpoint
from airflow_provider_mendix.simulator import Ending
from airflow_provider_mendix.simulator.apis.routes import unserved

from .talking import AUTH, KEY, START, USER

NOBODY = "/api/1/apps/shop/packages/3d3f0a9e-0000-4000-8000-000000000000"


def refusal(reply) -> tuple[int, str]:
    body = json.loads(reply.body)
    assert sorted(body) == ["errorCode", "errorMessage"]
    assert body["errorMessage"]
    return reply.status, body["errorCode"]


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/api/1/apps/no%20app", None, 400, "INVALID_APPID"),
        ("GET", "/api/1/apps/nope", None, 404, "APP_NOT_FOUND"),
        ("GET", "/api/1/apps/a%2Fb/packages", None, 400, "INVALID_APPID"),
        ("GET", "/api/1/apps//packages", None, 400, "INVALID_APPID"),
        ("GET", "/api/1/apps/nope/packages", None, 400, "INVALID_APPID"),
        ("POST", "/api/1/apps/no_app/packages", START, 400, "INVALID_APPID"),
        ("POST", "/api/1/apps/nope/packages", START, 404, "APP_NOT_FOUND"),
        ("POST", "/api/1/apps/shop/packages", {"Version": "1.0.0"}, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", {"Revision": "63"}, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", {"Revision": "", "Version": ""}, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", ["Revision"], 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b"{'Revision' = '63'}", 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b"", 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b'{"Version": "\xff"}', 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b"[" * 100_000, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", START | {"Version": "1.4"}, 400, "INVALID_VERSION"),
        ("POST", "/api/1/apps/shop/packages", START | {"Version": "1.4.2.63"}, 400, "INVALID_VERSION"),
        ("POST", "/api/1/apps/shop/packages", START | {"Version": "1.4.x"}, 400, "INVALID_VERSION"),
        ("GET", "/api/1/apps//packages/123", None, 400, "INVALID_PARAMETERS"),
        ("GET", "/api/1/apps/shop/packages//", None, 400, "INVALID_PARAMETERS"),
        ("GET", NOBODY, None, 404, "PACKAGE_NOT_FOUND"),
        ("GET", NOBODY.replace("shop", "nope"), None, 404, "PACKAGE_NOT_FOUND"),
        ("DELETE", "/api/1/apps/shop/packages//", None, 400, "INVALID_PARAMETERS"),
        ("DELETE", NOBODY, None, 404, "PACKAGE_NOT_FOUND"),
        ("GET", "/api/1/apps/shop/packages//download", None, 400, "INVALID_PARAMETERS"),
        ("GET", NOBODY + "/download", None, 404, "PACKAGE_NOT_FOUND"),
    ],
)
def test_refusals_that_need_no_state(talk, method, target, body, status, code):
    assert refusal(talk.api(method, target, body)) == (status, code)
    assert talk.platform.packages == {}


def test_refusals_that_depend_on_the_package(talk):
    in_use = talk.platform.add_package("shop", version="1.0.0", revision="63", in_use=True)
    assert refusal(talk.api("DELETE", f"/api/1/apps/shop/packages/{in_use}")) == (409, "PACKAGE_IN_USE")

    running = talk.start()
    reply = talk.api("GET", f"/api/1/apps/shop/packages/{running}/download")
    assert refusal(reply) == (500, "BUILD_NOT_SUCCEEDED")

    talk.platform.ending = Ending.REFUSED
    assert refusal(talk.api("POST", "/api/1/apps/shop/packages", START)) == (500, "BUILD_FAILED")


def test_package_of_another_app_is_not_found(talk):
    talk.platform.add_app("plan")
    package_id = talk.start()
    reply = talk.api("GET", f"/api/1/apps/plan/packages/{package_id}")
    assert refusal(reply) == (404, "PACKAGE_NOT_FOUND")


def test_unknown_app_is_an_option_where_the_documentation_is_silent(talk_with):
    talk = talk_with(unknown_app_on_list="APP_NOT_FOUND", unknown_app_on_start="INVALID_APPID")
    assert refusal(talk.api("GET", "/api/1/apps/nope/packages")) == (404, "APP_NOT_FOUND")
    assert refusal(talk.api("POST", "/api/1/apps/nope/packages", START)) == (400, "INVALID_APPID")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"mendix-username": USER},
        {"mendix-apikey": KEY},
        AUTH | {"mendix-apikey": KEY[:-1]},
        AUTH | {"mendix-username": "bob@example.com"},
        {"authorization": f"MxToken {KEY}"},
    ],
)
@pytest.mark.parametrize("target", ["/api/1/apps", "/api/1/apps/shop/packages", "/api/1/apps/nope/packages"])
def test_wrong_credentials(talk, headers, target):
    reply = talk.api("GET", target, headers=headers)
    assert refusal(reply)[0] == 401
    assert KEY.encode() not in reply.body


def test_rotated_key(talk):
    talk.platform.set_api_key(USER, "another-key")
    assert talk.api("GET", "/api/1/apps").status == 401
    assert talk.api("GET", "/api/1/apps", headers=AUTH | {"mendix-apikey": "another-key"}).status == 200


def test_revoked_rights(talk, talk_with):
    talk.platform.revoke_api_rights("shop")
    for method, target in [("GET", "/api/1/apps/shop/packages"), ("POST", "/api/1/apps/shop/packages")]:
        assert refusal(talk.api(method, target, START))[0] == 403
    assert talk.json("GET", "/api/1/apps") == []
    talk.platform.grant_api_rights("shop")
    assert talk.json("GET", "/api/1/apps/shop/packages") == []

    other = talk_with(list_apps_without_rights=True)
    other.platform.revoke_api_rights("shop")
    assert len(other.json("GET", "/api/1/apps")) == 1


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/1/apps/shop/environments/Test/clean"),
        ("PUT", "/api/1/apps/shop/packages"),
        ("HEAD", "/api/1/apps/shop/packages"),
        ("GET", "/api/v1/apps/shop/packages"),
        ("GET", "/api/1/Apps/shop/packages"),
        ("GET", "/"),
    ],
)
def test_unknown_route_is_loud(talk, method, target):
    reply = talk.api(method, target)
    assert reply.status == 501
    assert b"The simulator does not know" in reply.body
    assert target.encode() in reply.body


def test_every_endpoint_is_served():
    assert unserved() == []


def test_an_endpoint_that_nobody_serves_is_noticed(monkeypatch):
    made_up = Endpoint[None](build.BUILD_API, "GET", "/apps/{app_id}/moods", returns=None, repeatable=True)
    monkeypatch.setattr(build, "GET_MOODS", made_up, raising=False)
    assert unserved() == [made_up]
