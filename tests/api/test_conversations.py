"""Conversations: which calls they yield, what they do about errors, and how they are driven."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api import app_repository, conversations, deploy, team_server
from airflow_provider_mendix.api.call import drive
from airflow_provider_mendix.api.revisions import RepositoryBranch, TeamServerBranch
from airflow_provider_mendix.exceptions import (
    BranchNotFoundError,
    EnvironmentNotFoundError,
    ForbiddenError,
    MalformedResponseError,
    MendixConnectionError,
    NotFoundError,
    RetiredApiError,
    RevisionNotFoundError,
)

PROJECT_ID = "c0af1725-edae-4345-aea7-2f94f7760e33"
ENVIRONMENT_ID = "1c9a4b70-52de-4f1a-8a35-6b0d1e7f2c02"
APP = deploy.App("calc", project_id=PROJECT_ID)
COMMIT = app_repository.Commit("9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3")
GONE = BranchNotFoundError("gone")


class Script:
    """Sends nothing: returns or raises what is listed, and keeps the calls."""

    def __init__(self, *results: object) -> None:
        self.results = list(results)
        self.calls: list[str] = []

    def __call__(self, call):
        self.calls.append(str(call))
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def test_each_result_decides_the_next_call():
    script = Script(APP, NotFoundError("no main"), app_repository.Branch("trunk", COMMIT))

    found = drive(conversations.locate_branch("calc", "main", has_token=True), script)

    assert found.source == RepositoryBranch("calc", PROJECT_ID, "trunk")
    assert found.newest.revision == COMMIT.id
    assert script.calls == [
        "GET /api/1/apps/calc",
        f"GET /v1/repositories/{PROJECT_ID}/branches/main",
        f"GET /v1/repositories/{PROJECT_ID}/branches/trunk",
    ]


def test_the_team_server_api_without_a_token():
    script = Script(GONE, [team_server.Revision(8), team_server.Revision(9)])

    found = drive(conversations.locate_branch("calc", "x", has_token=False), script)

    assert found.source == TeamServerBranch("calc", "x")
    assert found.newest.revision == "9"
    assert script.calls == [
        "GET /api/1/apps/calc/branches/branches%2Fx/revisions",
        "GET /api/1/apps/calc/branches/x/revisions",
    ]


def test_a_missing_branch_is_reported_with_the_existing_ones():
    script = Script(GONE, GONE, [team_server.Branch("trunk"), team_server.Branch("y")])

    with pytest.raises(BranchNotFoundError, match=r"no branch 'branches/x'\. Its branches: trunk, y\."):
        drive(conversations.locate_branch("calc", "x", has_token=False), script)


@pytest.mark.parametrize("error", [MendixConnectionError("reset"), ForbiddenError("no"), NotFoundError("odd")])
def test_an_error_that_a_conversation_does_not_handle_is_raised(error):
    with pytest.raises(type(error)) as raised:
        drive(conversations.latest_revision("calc", "x", has_token=False), Script(error))

    assert raised.value is error


def test_a_retired_team_server_api_ends_at_once():
    script = Script(RetiredApiError("retired"))

    with pytest.raises(RetiredApiError):
        drive(conversations.latest_revision("calc", "x", has_token=False), script)

    assert len(script.calls) == 1


def test_the_list_of_branches_may_be_retired_too():
    with pytest.raises(RetiredApiError):
        drive(
            conversations.latest_revision("calc", "x", has_token=False), Script(GONE, GONE, RetiredApiError("no"))
        )


@pytest.mark.parametrize(
    ("conversation", "results", "expected"),
    [
        (conversations.project_id("calc"), [APP], PROJECT_ID),
        (conversations.app_id(PROJECT_ID.upper()), [[deploy.App("other"), APP]], "calc"),
        (conversations.environment_package("calc", "Test"), [None], None),
        (
            conversations.environment_ids("calc", "Test"),
            [[deploy.Environment("Test", "Running", ENVIRONMENT_ID)], APP],
            (PROJECT_ID, ENVIRONMENT_ID),
        ),
        (
            conversations.start_environment("calc", "Test", auto_sync_db=True),
            [deploy.StartedEnvironment("job")],
            "job",
        ),
    ],
)
def test_the_result_is_returned(conversation, results, expected):
    assert drive(conversation, Script(*results)) == expected


def test_an_environment_without_an_id():
    script = Script([deploy.Environment("Test", "Running")])

    with pytest.raises(EnvironmentNotFoundError, match="no EnvironmentId for environment Test"):
        drive(conversations.environment_ids("calc", "Test"), script)


def test_commits_are_read_page_by_page_until_the_revision():
    pages = [
        app_repository.Page([COMMIT], app_repository.Cursors(next="2")),
        app_repository.Page([app_repository.Commit("a" * 40)], app_repository.Cursors(next=None)),
    ]
    script = Script(APP, app_repository.Branch("main", COMMIT), *pages)

    assert (
        drive(conversations.find_revision("calc", "main", "a" * 40, has_token=True), script).revision == "a" * 40
    )


def test_a_cursor_that_repeats_ends():
    page = app_repository.Page([COMMIT], app_repository.Cursors(next="2"))
    script = Script(APP, app_repository.Branch("main", COMMIT), page, page)

    with pytest.raises(MalformedResponseError, match="the cursor of the page that it just sent"):
        drive(conversations.find_revision("calc", "main", "a" * 40, has_token=True), script)


def test_a_revision_that_is_not_on_the_branch():
    script = Script([team_server.Revision(8)])

    with pytest.raises(RevisionNotFoundError, match="Revision 7 is not on branch trunk.*newest 1"):
        drive(conversations.find_revision("calc", "trunk", 7, has_token=False), script)
