"""The Team Server API: which apps it serves, what its branches are called, and how much it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from airflow_provider_mendix.simulator.options import TeamServerResponse

from ..talking import NOW, TOKEN_AUTH, Talk, keys_of, refusal, svn_with

SAMPLES = Path(__file__).parents[2] / "samples" / "team_server"


BRANCHES = "/api/1/apps/shop/branches"


def test_branches_as_in_the_documented_sample(svn):
    svn.platform.repositories.push("shop", mendix_version="5.6.0")
    svn.platform.repositories.push("shop", branch="statistical functions", mendix_version="10.24.0.1")
    trunk = {
        "Name": "trunk",
        "LatestRevisionNumber": 2,
        "LatestRevisionMendixVersion": "5.6.0",
        "DisplayName": "Main line",
    }
    branch = {
        "Name": "statistical functions",
        "LatestRevisionNumber": 4,
        "LatestRevisionMendixVersion": "10.24.0",
        "DisplayName": "statistical functions",
    }
    assert svn.json("GET", BRANCHES) == [trunk, branch]
    assert svn.json("GET", f"{BRANCHES}/trunk") == trunk
    assert svn.json("GET", f"{BRANCHES}/branches%2Fstatistical%20functions") == branch


def test_responses_are_like_the_documented_samples(svn):
    def sample(name: str) -> Any:
        return keys_of(json.loads((SAMPLES / name).read_text()))

    assert keys_of(svn.json("GET", BRANCHES)) == sample("branches.json")
    assert keys_of(svn.json("GET", f"{BRANCHES}/trunk")) == sample("branch.json")
    assert keys_of(svn.json("GET", f"{BRANCHES}/trunk/revisions")) == sample("revisions.json")


def test_tagged_versions(svn, talk_with):
    def tagged(talk: Talk) -> list[str | None]:
        talk.platform.repositories.push("shop", branch="x")
        talk.platform.add_app("plan", repository="svn")
        for app, version, branch, age in [
            ("shop", "1.0.0", None, 60),
            ("shop", "0.9.0", "trunk", 120),
            ("plan", "3.0.0", None, 0),
        ]:
            talk.platform.packages.add(app, version=version, revision="1", branch=branch, age=age)
        return [branch.get("LatestTaggedVersion") for branch in talk.json("GET", BRANCHES)]

    assert tagged(svn) == ["1.0.0.1", None]
    svn.start(Branch="branches/x", Revision="3", Version="2.0.0")
    x = svn.json("GET", f"{BRANCHES}/branches%2Fx")
    assert x["LatestTaggedVersion"] == "2.0.0.3"
    assert tagged(svn_with(talk_with(tagged_versions=False))) == [None, None]


def test_revisions(svn):
    svn.platform.repositories.push("shop", message="mend it", author="bob@example.com", age=0.25)
    first, second = svn.json("GET", f"{BRANCHES}/trunk/revisions")
    assert first["Number"] == 1
    assert second == {
        "MendixVersion": "10.24.0",
        "CommitMessage": "mend it",
        "Date": NOW * 1000 - 250,
        "Number": 2,
        "Author": "bob@example.com",
    }


def test_only_the_last_twenty_and_the_newest_is_not_first(svn):
    for _ in range(24):
        svn.platform.repositories.push("shop")
    numbers = [revision["Number"] for revision in svn.json("GET", f"{BRANCHES}/trunk/revisions")]
    assert numbers == list(range(6, 26))


def test_without_a_mendix_version(svn):
    svn.platform.repositories.push("shop", mendix_version=None)
    assert "LatestRevisionMendixVersion" not in svn.json("GET", f"{BRANCHES}/trunk")
    assert "MendixVersion" not in svn.json("GET", f"{BRANCHES}/trunk/revisions")[-1]


@pytest.mark.parametrize("rest", ["", "/revisions"])
def test_only_one_form_of_names(svn, talk_with, rest):
    def found(talk: Talk) -> list[int]:
        talk.platform.repositories.push("shop", branch="x ü")
        names = ("trunk", "branches%2Fx%20%C3%BC", "x%20%C3%BC", "branches%2Ftrunk", "main", "nope")
        return [talk.api("GET", f"{BRANCHES}/{name}{rest}").status for name in names]

    assert found(svn) == [200, 200, 404, 404, 404, 404]
    assert found(svn_with(talk_with(team_server_branch_names="bare"))) == [200, 404, 200, 404, 404, 404]


@pytest.mark.parametrize("rest", ["", "/revisions"])
def test_unknown_branch_is_named(svn, rest):
    reply = svn.api("GET", f"{BRANCHES}/no%20such{rest}")
    assert refusal(reply) == (404, "BRANCH_NOT_FOUND")
    assert b"'no such'" in reply.body


@pytest.mark.parametrize("rest", ["", "/trunk", "/trunk/revisions"])
def test_other_refusals(svn, talk_with, rest):
    def ask(talk: Talk, app_id: str, **more: Any) -> tuple[int, str]:
        return refusal(talk.api("GET", f"/api/1/apps/{app_id}/branches{rest}", **more))

    assert ask(svn, "no%20app") == (400, "INVALID_APPID")
    assert ask(svn, "nope") == (404, "APP_NOT_FOUND")
    assert ask(svn, "shop", headers=TOKEN_AUTH)[0] == 401
    for talk, refused in [
        (svn, (404, "APP_NOT_FOUND")),
        (talk_with(team_server_refusal="NO_ACCESS"), (403, "NO_ACCESS")),
    ]:
        talk.platform.add_app("git")
        talk.platform.add_app("free", repository="svn", free=True)
        assert ask(talk, "git") == ask(talk, "free") == refused
    svn.platform.permissions.revoke("api", "shop")
    assert ask(svn, "shop")[0] == 403


@pytest.mark.parametrize("rest", ["", "/trunk", "/trunk/revisions"])
@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("not_found", 404),
        ("app_not_found", 404),
        ("gone", 410),
        ("not_implemented", 501),
        ("forbidden", 403),
        ("redirect", 301),
        ("page", 200),
    ],
)
def test_retired(talk_with, rest, form, status):
    talk = svn_with(talk_with(team_server="retired", team_server_retired_response=form))
    reply = talk.api("GET", BRANCHES + rest)
    assert reply.status == status
    assert (b"APP_NOT_FOUND" in reply.body) == (form == "app_not_found")
    assert ("Location" in reply.headers) == (form == "redirect")


def test_every_form_of_a_retired_api_is_tested():
    (tested,) = (mark.args[1] for mark in test_retired.pytestmark if mark.args[0] == ("form", "status"))
    assert [form for form, _ in tested] == list(get_args(TeamServerResponse))
