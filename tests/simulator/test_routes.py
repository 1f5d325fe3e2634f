"""Which endpoints are served, and what an unknown route gets."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.call import Endpoint
from airflow_provider_mendix.simulator.routes import unserved

from .talking import AUTH, PROJECT, TOKEN_AUTH


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/1/apps/shop/environments/Test/scale"),
        ("PUT", "/api/1/apps/shop/packages"),
        ("HEAD", "/api/1/apps/shop/packages"),
        ("GET", "/api/v1/apps/shop/packages"),
        ("GET", "/api/1/Apps/shop/packages"),
        ("GET", "/"),
    ],
)
def test_an_unknown_route_is_501(talk, method, target):
    reply = talk.api(method, target)
    assert reply.status == 501
    assert b"The simulator does not know" in reply.body
    assert target.encode() in reply.body


def test_every_endpoint_is_served():
    assert unserved() == []


def test_an_endpoint_without_a_handler_is_found(monkeypatch):
    made_up = Endpoint[None](build.BUILD_API, "GET", "/apps/{app_id}/moods", returns=None, repeatable=True)
    monkeypatch.setattr(build, "GET_MOODS", made_up, raising=False)
    assert unserved() == [made_up]


REPOSITORY = f"/v1/repositories/{PROJECT}"


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("api", f"{REPOSITORY}/info"),
        ("api", f"{REPOSITORY}/branches/main/commits"),
        ("repository", "/api/1/apps"),
        ("repository", "/api/1/apps/shop/branches"),
        ("repository", f"{REPOSITORY}/moods"),
        ("repository", "/_simulator/journal"),
    ],
)
def test_the_wrong_host_is_501(svn, host, target):
    headers = {**AUTH, **TOKEN_AUTH}
    reply = svn.api("GET", target, headers=headers) if host == "api" else svn.repository(target, headers)
    assert reply.status == 501
    assert b"The simulator does not know" in reply.body
    assert target.encode() in reply.body
