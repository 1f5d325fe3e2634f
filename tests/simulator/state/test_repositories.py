"""Branches and commits."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from airflow_provider_mendix.simulator.state.repositories import InvalidBranchError

from ..talking import NOW, PROJECT, Talk, svn_with

REPOSITORY = f"/v1/repositories/{PROJECT}"


YEAR = 365 * 24 * 3600


def read(talk: Talk, target: str) -> Any:
    reply = talk.repository(target)
    assert reply.status == 200, reply
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
    return json.loads(reply.body)


class TestPushing:
    def test_a_new_app_has_one_old_commit(self, talk, svn):
        (commit,) = talk.platform.repositories.commits("shop")
        assert re.fullmatch("[0-9a-f]{40}", commit.id)
        assert commit.date == NOW - YEAR
        (commit,) = svn.platform.repositories.commits("shop", "trunk")
        assert (commit.id, commit.author_name) == ("1", commit.author)

    def test_hashes_are_the_same_every_time_and_no_two_are(self):
        def hashes() -> list[str]:
            talk = Talk()
            talk.platform.add_app("plan")
            pushed = [talk.platform.repositories.push(app) for app in ("shop", "shop", "plan")]
            talk.clock.sleep(1)
            return [
                *pushed,
                talk.platform.repositories.push("shop", branch="x"),
                talk.platform.repositories.push("shop"),
            ]

        assert hashes() == hashes()
        assert len(set(hashes())) == 5

    def test_git_branches_share_the_history_of_the_main_line(self, talk):
        first = talk.platform.repositories.push("shop")
        second = talk.platform.repositories.push("shop", branch="branches/x")
        third = talk.platform.repositories.push("shop", branch="x")
        talk.platform.repositories.push("shop", branch="main")
        begin = talk.platform.repositories.commits("shop")[-1].id
        assert [commit.id for commit in talk.platform.repositories.commits("shop", "x")] == [
            third,
            second,
            first,
            begin,
        ]
        assert len(talk.platform.repositories.commits("shop", "main")) == 3

    def test_svn_numbers_go_over_all_branches_and_a_copy_has_its_own(self, svn):
        pushed = [svn.platform.repositories.push("shop", branch=name) for name in (None, "x", "trunk", "x", "y")]
        assert pushed == ["2", "4", "5", "6", "8"]
        assert [commit.id for commit in svn.platform.repositories.commits("shop", "branches/x")] == [
            "6",
            "4",
            "3",
            "2",
            "1",
        ]
        assert svn.platform.repositories.commits("shop", "x")[2].message == "Create branch x"

    def test_age(self, talk):
        talk.platform.repositories.push("shop", age=60)
        assert talk.platform.repositories.commits("shop")[0].date == NOW - 60

    @pytest.mark.parametrize(
        "name",
        ["trunk", "branches/main", "branches/", "a..b", "a//b", "/a", "a/", ".a", "a~1", "a:b", "a\nb", " "],
    )
    def test_impossible_names(self, talk, name):
        with pytest.raises(InvalidBranchError, match=re.escape(repr(name))):
            talk.platform.repositories.push("shop", branch=name)
        assert len(read(talk, f"{REPOSITORY}/branches")["items"]) == 1

    def test_an_app_that_is_added_again_begins_anew(self, talk):
        talk.platform.repositories.push("shop")
        svn_with(talk)
        assert [commit.id for commit in talk.platform.repositories.commits("shop")] == ["1"]
