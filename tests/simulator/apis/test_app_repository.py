"""The App Repository API; paths are written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..talking import PROJECT, TOKEN_AUTH, Talk, keys_of, refusal, svn_with

REPOSITORY = f"/v1/repositories/{PROJECT}"


UNKNOWN_ID = "/v1/repositories/00000000-0000-4000-8000-000000000000"


SAMPLES = Path(__file__).parents[2] / "samples" / "app_repository"


YEAR = 365 * 24 * 3600


def read(talk: Talk, target: str) -> Any:
    reply = talk.repository(target)
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return json.loads(reply.body)


def said_no(talk: Talk, target: str, headers: dict[str, str] = TOKEN_AUTH) -> int:
    reply = talk.repository(target, headers)
    assert refusal(reply) == (reply.status, f"RS{reply.status}")
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return reply.status


def walk(talk: Talk, target: str, *, by: str = "next", limit: int = 20) -> list[list[str]]:
    """Read all pages, and return the ids or names on each."""
    pages, cursor = [], ""
    while True:
        page = read(talk, f"{target}?limit={limit}{cursor}")
        pages.append([item.get("id") or item["name"] for item in page["items"]])
        if by not in page["cursors"]:
            return pages
        cursor = f"&cursor={escaped(page['cursors'][by])}"


def escaped(cursor: str) -> str:
    return cursor.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


class TestAppRepository:
    @pytest.mark.parametrize("kind", ["git", "svn"])
    def test_info(self, talk, kind):
        talk.platform.add_app("shop", project_id=PROJECT, repository=kind)
        info = read(talk, f"{REPOSITORY}/info")
        assert list(info) == ["appId", "type", "url"]
        assert (info["appId"], info["type"]) == (PROJECT, kind)
        assert PROJECT in info["url"]

    def test_a_commit_with_everything(self, talk):
        pushed = talk.platform.repositories.push(
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
        talk.platform.repositories.push("shop", mendix_version=None)
        commit = read(talk, f"{REPOSITORY}/branches/main")["latestCommit"]
        assert list(commit) == ["id", "author", "date", "message"]
        assert commit["date"] == "2023-11-14T22:13:20.000Z"

    def test_svn(self, svn):
        svn.platform.repositories.push("shop", branch="x", author="bob@example.com", author_name="Bob Dev")
        trunk, x = read(svn, f"{REPOSITORY}/branches")["items"]
        assert (trunk["name"], trunk["latestCommit"]["id"]) == ("trunk", "1")
        assert (x["name"], x["latestCommit"]["id"]) == ("branches/x", "3")
        assert x["latestCommit"]["author"] == {"name": "bob@example.com", "email": "bob@example.com"}
        assert walk(svn, f"{REPOSITORY}/branches/branches%2Fx/commits") == [["3", "2", "1"]]

    def test_forms_of_names(self, talk, talk_with):
        def found(talk: Talk) -> tuple[list[str], list[int]]:
            talk.platform.repositories.push("shop", branch="x/y")
            paths = [f"{REPOSITORY}/branches/{name}" for name in ("branches%2Fx%2Fy", "x%2Fy", "branches%2Fmain")]
            (names,) = walk(talk, f"{REPOSITORY}/branches")
            return names, [talk.repository(path).status for path in paths]

        assert found(talk) == (["main", "branches/x/y"], [200, 200, 404])
        assert found(talk_with(git_branch_names="bare")) == (["main", "x/y"], [200, 200, 404])
        only = {"git_branch_paths": "as_shown"}
        assert found(talk_with(**only)) == (["main", "branches/x/y"], [200, 404, 404])
        assert found(talk_with(git_branch_names="bare", **only)) == (["main", "x/y"], [404, 200, 404])
        # The options are about Git.
        names, statuses = found(svn_with(talk_with(git_branch_names="bare")))
        assert (names, statuses) == (["trunk", "branches/x/y"], [200, 404, 404])

    def test_a_branch_is_shown_by_one_name_and_read_by_both(self, talk):
        for _ in range(3):
            talk.platform.repositories.push("shop", branch="x")
        bare = read(talk, f"{REPOSITORY}/branches/x/commits?limit=2")
        prefixed = read(talk, f"{REPOSITORY}/branches/branches%2Fx/commits?limit=2")
        assert bare == prefixed
        assert read(talk, f"{REPOSITORY}/branches/x")["name"] == "branches/x"
        cursor = escaped(bare["cursors"]["next"])
        assert len(read(talk, f"{REPOSITORY}/branches/branches%2Fx/commits?limit=2&cursor={cursor}")["items"]) == 2

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
        talk.platform.repositories.push("shop", branch=name)
        assert read(talk, f"{REPOSITORY}/branches/{path}")["name"] == f"branches/{name}"
        assert len(read(talk, f"{REPOSITORY}/branches/{path}/commits")["items"]) == 2
        in_two = path.replace("%2F", "/").replace("%2f", "/")
        assert talk.repository(f"{REPOSITORY}/branches/{in_two}/commits").status == 501


def sample(name: str) -> Any:
    return keys_of(json.loads((SAMPLES / name).read_text()))


def test_responses_are_like_the_documented_samples(talk):
    for _ in range(25):
        talk.platform.repositories.push("shop", stories=["1234567"])
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
            talk.platform.repositories.push("shop")
        return [commit.id for commit in talk.platform.repositories.commits("shop")]

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
            talk.platform.repositories.push("shop")
        second, cursors = self.page(talk, cursor=cursors["next"])
        talk.platform.repositories.push("shop")
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
            talk.platform.repositories.push("shop", branch=f"b{number}")
        first, second = walk(talk, f"{REPOSITORY}/branches")
        assert (len(first), len(second)) == (20, 5)
        assert {*first, *second} == {"main", *(f"branches/b{number}" for number in range(24))}

    def test_over_the_limit(self, talk, talk_with):
        for _ in range(101):
            talk.platform.repositories.push("shop")
        assert len(self.page(talk, limit="101")[0]) == 100
        refusing = talk_with(over_limit="refuse")
        assert said_no(refusing, f"{self.COMMITS}?limit=101") == 400
        assert len(self.page(refusing, limit="100")[0]) == 1

    @pytest.mark.parametrize("limit", ["0", "-1", "ten", "1.5", "9" * 30])
    def test_invalid_limits(self, talk, limit):
        assert said_no(talk, f"{self.COMMITS}?limit={limit}") == 400
        assert said_no(talk, f"{REPOSITORY}/branches?limit={limit}") == 400

    def test_invalid_cursors(self, talk, ids):
        _, cursors = self.page(talk)
        talk.platform.repositories.push("shop", branch="x")
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
