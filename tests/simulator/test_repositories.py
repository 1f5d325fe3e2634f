"""Repositories as the App Repository API and the Team Server API show them; paths are written by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mendix.simulator.state.repositories import InvalidBranchError

from .talking import AUTH, PROJECT, TOKEN, TOKEN_AUTH, Talk

REPOSITORY = f"/v1/repositories/{PROJECT}"
NOBODY = "/v1/repositories/00000000-0000-4000-8000-000000000000"
NOW = 1_700_000_000
SAMPLES = Path(__file__).parent.parent / "samples" / "app_repository"
YEAR = 365 * 24 * 3600


@pytest.fixture
def svn() -> Talk:
    return svn_with()


def svn_with(talk: Talk | None = None) -> Talk:
    talk = talk or Talk()
    talk.platform.add_app("shop", project_id=PROJECT, repository="svn")
    return talk


def read(talk: Talk, target: str) -> Any:
    reply = talk.repository(target)
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return json.loads(reply.body)


def refusal(reply: Any) -> tuple[int, str]:
    body = json.loads(reply.body)
    assert sorted(body) == ["errorCode", "errorMessage"]
    assert body["errorMessage"]
    assert TOKEN.encode() not in reply.body
    return reply.status, body["errorCode"]


def said_no(talk: Talk, target: str, headers: dict[str, str] = TOKEN_AUTH) -> int:
    reply = talk.repository(target, headers)
    assert refusal(reply) == (reply.status, f"RS{reply.status}")
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return reply.status


def walk(talk: Talk, target: str, *, by: str = "next", limit: int = 20) -> list[list[str]]:
    """Go from page to page; gives the ids or names on each."""
    pages, cursor = [], ""
    while True:
        page = read(talk, f"{target}?limit={limit}{cursor}")
        pages.append([item.get("id") or item["name"] for item in page["items"]])
        if by not in page["cursors"]:
            return pages
        cursor = f"&cursor={escaped(page['cursors'][by])}"


def escaped(cursor: str) -> str:
    return cursor.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


class TestPushing:
    def test_a_new_app_has_one_old_commit(self, talk, svn):
        (commit,) = talk.platform.commits("shop")
        assert re.fullmatch("[0-9a-f]{40}", commit.id)
        assert commit.date == NOW - YEAR
        (commit,) = svn.platform.commits("shop", "trunk")
        assert (commit.id, commit.author_name) == ("1", commit.author)

    def test_hashes_are_the_same_every_time_and_no_two_are(self):
        def hashes() -> list[str]:
            talk = Talk()
            talk.platform.add_app("plan")
            pushed = [talk.platform.push(app) for app in ("shop", "shop", "plan")]
            talk.clock.sleep(1)
            return [*pushed, talk.platform.push("shop", branch="x"), talk.platform.push("shop")]

        assert hashes() == hashes()
        assert len(set(hashes())) == 5

    def test_git_branches_share_the_history_of_the_main_line(self, talk):
        first = talk.platform.push("shop")
        second = talk.platform.push("shop", branch="branches/x")
        third = talk.platform.push("shop", branch="x")
        talk.platform.push("shop", branch="main")
        begin = talk.platform.commits("shop")[-1].id
        assert [commit.id for commit in talk.platform.commits("shop", "x")] == [third, second, first, begin]
        assert len(talk.platform.commits("shop", "main")) == 3

    def test_svn_numbers_go_over_all_branches_and_a_copy_has_its_own(self, svn):
        pushed = [svn.platform.push("shop", branch=name) for name in (None, "x", "trunk", "x", "y")]
        assert pushed == ["2", "4", "5", "6", "8"]
        assert [commit.id for commit in svn.platform.commits("shop", "branches/x")] == ["6", "4", "3", "2", "1"]
        assert svn.platform.commits("shop", "x")[2].message == "Create branch x"

    def test_age(self, talk):
        talk.platform.push("shop", age=60)
        assert talk.platform.commits("shop")[0].date == NOW - 60

    @pytest.mark.parametrize(
        "name",
        ["trunk", "branches/main", "branches/", "a..b", "a//b", "/a", "a/", ".a", "a~1", "a:b", "a\nb", " "],
    )
    def test_impossible_names(self, talk, name):
        with pytest.raises(InvalidBranchError, match=re.escape(repr(name))):
            talk.platform.push("shop", branch=name)
        assert len(read(talk, f"{REPOSITORY}/branches")["items"]) == 1

    def test_an_app_that_is_added_again_begins_anew(self, talk):
        talk.platform.push("shop")
        svn_with(talk)
        assert [commit.id for commit in talk.platform.commits("shop")] == ["1"]


class TestAppRepository:
    @pytest.mark.parametrize("kind", ["git", "svn"])
    def test_info(self, talk, kind):
        talk.platform.add_app("shop", project_id=PROJECT, repository=kind)
        info = read(talk, f"{REPOSITORY}/info")
        assert list(info) == ["appId", "type", "url"]
        assert (info["appId"], info["type"]) == (PROJECT, kind)
        assert PROJECT in info["url"]

    def test_a_commit_with_everything(self, talk):
        pushed = talk.platform.push(
            "shop",
            message="implement ü",
            author="bob@example.com",
            author_name="Bob Dev",
            mendix_version="8.18.5.18651",
            stories=["1234567", "2345678"],
            age=0.5,
        )
        commit = {
            "id": pushed,
            "author": {"name": "Bob Dev", "email": "bob@example.com"},
            "date": "2023-11-14T22:13:19.500Z",
            "message": "implement ü",
            "mendixVersion": "8.18.5.18651",
            "relatedStories": [{"id": "1234567"}, {"id": "2345678"}],
        }
        branch = {"name": "main", "latestCommit": commit}
        assert read(talk, f"{REPOSITORY}/branches/main") == branch
        assert read(talk, f"{REPOSITORY}/branches/")["items"] == [branch]
        assert read(talk, f"/v1/repositories/{PROJECT.upper()}/branches/main") == branch
        assert read(talk, f"{REPOSITORY}/branches/main/commits")["items"][0] == commit

    def test_what_a_commit_may_lack(self, talk):
        talk.platform.push("shop", mendix_version=None)
        commit = read(talk, f"{REPOSITORY}/branches/main")["latestCommit"]
        assert list(commit) == ["id", "author", "date", "message"]
        assert commit["date"] == "2023-11-14T22:13:20.000Z"

    def test_svn(self, svn):
        svn.platform.push("shop", branch="x", author="bob@example.com", author_name="Bob Dev")
        trunk, x = read(svn, f"{REPOSITORY}/branches")["items"]
        assert (trunk["name"], trunk["latestCommit"]["id"]) == ("trunk", "1")
        assert (x["name"], x["latestCommit"]["id"]) == ("branches/x", "3")
        assert x["latestCommit"]["author"] == {"name": "bob@example.com", "email": "bob@example.com"}
        assert walk(svn, f"{REPOSITORY}/branches/branches%2Fx/commits") == [["3", "2", "1"]]

    def test_one_form_of_names_only(self, talk, talk_with):
        def found(talk: Talk) -> tuple[list[str], list[int]]:
            talk.platform.push("shop", branch="x/y")
            paths = [f"{REPOSITORY}/branches/{name}" for name in ("branches%2Fx%2Fy", "x%2Fy", "branches%2Fmain")]
            (names,) = walk(talk, f"{REPOSITORY}/branches")
            return names, [talk.repository(path).status for path in paths]

        assert found(talk) == (["main", "branches/x/y"], [200, 404, 404])
        assert found(talk_with(git_branch_names="bare")) == (["main", "x/y"], [404, 200, 404])
        # The option is about Git.
        names, statuses = found(svn_with(talk_with(git_branch_names="bare")))
        assert (names, statuses) == (["trunk", "branches/x/y"], [200, 404, 404])

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("release 1", "branches%2Frelease%201"),
            ("ünïcode", "branches%2f%C3%BCn%C3%AFcode"),
            ("a%2Fb", "branches%2Fa%252Fb"),
            ("a+b", "branches%2Fa+b"),
            ("commits", "branches%2Fcommits"),
        ],
    )
    def test_a_name_is_one_segment(self, talk, name, path):
        talk.platform.push("shop", branch=name)
        assert read(talk, f"{REPOSITORY}/branches/{path}")["name"] == f"branches/{name}"
        assert len(read(talk, f"{REPOSITORY}/branches/{path}/commits")["items"]) == 2
        in_two = path.replace("%2F", "/").replace("%2f", "/")
        assert talk.repository(f"{REPOSITORY}/branches/{in_two}/commits").status == 501


def keys_of(shown: Any) -> Any:
    """What an answer is made of, without its values."""
    if isinstance(shown, dict):
        return {name: keys_of(value) for name, value in shown.items()}
    return [keys_of(shown[0])] if isinstance(shown, list) else type(shown)


def sample(name: str) -> Any:
    return keys_of(json.loads((SAMPLES / name).read_text()))


def test_answers_are_made_as_the_documented_samples(talk):
    for _ in range(25):
        talk.platform.push("shop", stories=["1234567"])
    commits = read(talk, f"{REPOSITORY}/branches/main/commits?limit=5")
    middle = f"limit=5&cursor={escaped(commits['cursors']['next'])}"
    assert keys_of(read(talk, f"{REPOSITORY}/info")) == sample("repository.json")
    assert keys_of(read(talk, f"{REPOSITORY}/branches/main")) == sample("branch.json")
    assert keys_of(read(talk, f"{REPOSITORY}/branches/main/commits?{middle}")) == sample("commits.json")
    branches = keys_of(read(talk, f"{REPOSITORY}/branches"))
    assert branches["items"] == sample("branches.json")["items"]
    assert branches["cursors"].items() <= sample("branches.json")["cursors"].items()


class TestPages:
    @pytest.fixture
    def ids(self, talk) -> list[str]:
        """Those of 45 commits, newest first."""
        for _ in range(44):
            talk.platform.push("shop")
        return [commit.id for commit in talk.platform.commits("shop")]

    COMMITS = f"{REPOSITORY}/branches/main/commits"

    def page(self, talk: Talk, **query: str) -> tuple[list[str], dict[str, str]]:
        asked = "&".join(f"{name}={escaped(value)}" for name, value in query.items())
        page = read(talk, f"{self.COMMITS}?{asked}")
        return [item["id"] for item in page["items"]], page["cursors"]

    def test_to_the_end(self, talk, ids):
        assert walk(talk, self.COMMITS) == [ids[:20], ids[20:40], ids[40:]]

    def test_all_four_cursors(self, talk, ids):
        first, cursors = self.page(talk)
        assert (first, list(cursors)) == (ids[:20], ["first", "next", "last"])
        second, cursors = self.page(talk, cursor=cursors["next"])
        assert (second, list(cursors)) == (ids[20:40], ["first", "prev", "next", "last"])
        assert self.page(talk, cursor=cursors["first"])[0] == ids[:20]
        assert self.page(talk, cursor=cursors["prev"])[0] == ids[:20]
        last, cursors = self.page(talk, cursor=cursors["last"])
        assert (last, list(cursors)) == (ids[40:], ["first", "prev", "last"])
        assert self.page(talk, cursor=cursors["prev"])[0] == ids[20:40]

    @pytest.mark.parametrize(("limit", "pages"), [(9, 5), (44, 2), (45, 1), (100, 1)])
    def test_an_end_that_fits(self, talk, ids, limit, pages):
        walked = walk(talk, self.COMMITS, limit=limit)
        assert len(walked) == pages
        assert [found for page in walked for found in page] == ids

    def test_one_page_only(self, talk):
        _, cursors = self.page(talk)
        assert list(cursors) == ["first", "last"]
        assert len(self.page(talk, cursor=cursors["last"])[0]) == 1

    def test_pushes_between_two_pages_move_nothing(self, talk, ids):
        first, cursors = self.page(talk)
        for _ in range(3):
            talk.platform.push("shop")
        second, cursors = self.page(talk, cursor=cursors["next"])
        talk.platform.push("shop")
        third, cursors = self.page(talk, cursor=cursors["next"])
        assert first + second + third == ids
        assert "next" not in cursors
        back, cursors = self.page(talk, cursor=cursors["prev"])
        assert back == ids[20:40]
        back, cursors = self.page(talk, cursor=cursors["prev"])
        assert back == ids[:20]
        assert len(self.page(talk, cursor=cursors["prev"], limit="4")[0]) == 4

    def test_branches_come_in_pages_too(self, talk):
        for number in range(24):
            talk.platform.push("shop", branch=f"b{number}")
        first, second = walk(talk, f"{REPOSITORY}/branches")
        assert (len(first), len(second)) == (20, 5)
        assert {*first, *second} == {"main", *(f"branches/b{number}" for number in range(24))}

    def test_over_the_limit(self, talk, talk_with):
        for _ in range(101):
            talk.platform.push("shop")
        assert len(self.page(talk, limit="101")[0]) == 100
        refusing = talk_with(over_limit="refuse")
        assert said_no(refusing, f"{self.COMMITS}?limit=101") == 400
        assert len(self.page(refusing, limit="100")[0]) == 1

    @pytest.mark.parametrize("limit", ["0", "-1", "ten", "1.5", "9" * 30])
    def test_limits_that_are_none(self, talk, limit):
        assert said_no(talk, f"{self.COMMITS}?limit={limit}") == 400
        assert said_no(talk, f"{REPOSITORY}/branches?limit={limit}") == 400

    def test_cursors_that_are_none(self, talk, ids):
        _, cursors = self.page(talk)
        talk.platform.push("shop", branch="x")
        for target in (
            f"{self.COMMITS}?cursor=20",
            f"{self.COMMITS}?cursor={escaped(cursors['next'])[:-1]}",
            f"{REPOSITORY}/branches?cursor={escaped(cursors['next'])}",
            f"{REPOSITORY}/branches/branches%2Fx/commits?cursor={escaped(cursors['next'])}",
        ):
            assert said_no(talk, target) == 400

    def test_a_cursor_has_to_be_escaped(self, talk, ids):
        cursors = {escaped(self.page(talk, limit=str(limit))[1]["next"]) for limit in range(1, 40)}
        assert all(mark in "".join(cursors) for mark in ("%2B", "%2F", "%3D"))


class TestTokens:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            AUTH,
            {"authorization": ""},
            {"authorization": TOKEN},
            {"authorization": "MxToken "},
            {"authorization": f"MxToken {TOKEN}x"},
            {"authorization": f"Bearer {TOKEN}"},
        ],
    )
    @pytest.mark.parametrize("target", [f"{REPOSITORY}/info", f"{NOBODY}/info", "/v1/repositories/shop/info"])
    def test_unknown(self, talk, headers, target):
        assert said_no(talk, target, headers) == 401

    def test_revoked(self, talk):
        talk.platform.revoke_personal_access_token(TOKEN)
        assert said_no(talk, f"{REPOSITORY}/info") == 401
        with pytest.raises(KeyError) as caught:
            talk.platform.revoke_personal_access_token(TOKEN)
        assert TOKEN not in str(caught.value)

    def test_without_the_scope_comes_before_the_id(self, talk):
        talk.platform.add_personal_access_token(TOKEN, scopes=["mx:deployment:read"])
        for target in (f"{REPOSITORY}/info", f"{NOBODY}/info", "/v1/repositories/shop/info"):
            assert said_no(talk, target) == 403

    def test_an_app_of_another_team(self, talk):
        talk.platform.add_app("plan")
        talk.platform.revoke_team_membership("shop")
        for path in ("/info", "/branches", "/branches/a..b", "/branches/main/commits"):
            assert said_no(talk, REPOSITORY + path) == 403
        assert talk.repository(f"/v1/repositories/{talk.platform.apps['plan'].project_id}/info").status == 200
        talk.platform.grant_team_membership("shop")
        assert talk.repository(f"{REPOSITORY}/info").status == 200

    def test_api_rights_are_another_matter(self, talk):
        talk.platform.revoke_api_rights("shop")
        assert talk.repository(f"{REPOSITORY}/info").status == 200

    @pytest.mark.parametrize(
        ("target", "status"),
        [
            ("/v1/repositories/shop/info", 400),
            ("/v1/repositories/shop/branches/main", 400),
            (f"{REPOSITORY}x/branches", 400),
            (f"{REPOSITORY}/branches//commits", 400),
            (f"{REPOSITORY}/branches/a..b", 400),
            (f"{NOBODY}/branches/a~1", 400),
            (f"{NOBODY}/info", 404),
            (f"{NOBODY}/branches", 404),
            (f"{NOBODY}/branches/main", 404),
            (f"{REPOSITORY}/branches/trunk", 404),
            (f"{REPOSITORY}/branches/branches%2Fnope/commits", 404),
        ],
    )
    def test_refusals(self, talk, target, status):
        assert said_no(talk, target) == status


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
def test_the_wrong_host_is_loud(svn, host, target):
    headers = {**AUTH, **TOKEN_AUTH}
    reply = svn.api("GET", target, headers=headers) if host == "api" else svn.repository(target, headers)
    assert reply.status == 501
    assert b"The simulator does not know" in reply.body
    assert target.encode() in reply.body
