"""Wait for a revision: it is located first, and then polled."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api.app_repository import Branch, Commit
from airflow_provider_mendix.api.deploy import App
from airflow_provider_mendix.api.revisions import RepositoryBranch, TeamServerBranch
from airflow_provider_mendix.exceptions import BranchNotFoundError, MendixConnectionError
from airflow_provider_mendix.waits.revision import RevisionWait

PROJECT = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
LOCATED = RevisionWait("calc", "next", "9f3ab2c1", source=RepositoryBranch("calc", PROJECT, "branches/next"))
COMMIT = "9f3ab2c1" + 32 * "0"


def drive(conversation, *responses):
    """Answer a conversation's calls, and return its calls and its result."""
    calls, given = [], iter(responses)
    try:
        calls.append(next(conversation))
        while True:
            response = next(given)
            raised = isinstance(response, Exception)
            calls.append(conversation.throw(response) if raised else conversation.send(response))
    except StopIteration as end:
        return [call.target for call in calls], end.value


def test_it_is_located_by_the_token_of_the_connection():
    wait = RevisionWait("calc", "next", "9f3ab2c1", has_token=True)
    targets, found = drive(wait.resolve(), App("calc", project_id=PROJECT), Branch("next"))
    assert targets == ["/api/1/apps/calc", f"/v1/repositories/{PROJECT}/branches/branches%2Fnext"]
    assert found.source == RepositoryBranch("calc", PROJECT, "branches/next")
    assert (found.app_id, found.newer_than) == ("calc", "9f3ab2c1")


def test_without_a_token_it_is_located_by_the_team_server():
    targets, found = drive(RevisionWait("calc", "next").resolve(), [])
    assert targets == ["/api/1/apps/calc/branches/branches%2Fnext/revisions"]
    assert found.source == TeamServerBranch("calc", "branches/next")


def test_an_error_of_the_lookup_is_raised():
    with pytest.raises(MendixConnectionError):
        drive(RevisionWait("calc", "next").resolve(), MendixConnectionError("reset"))
    missing = BranchNotFoundError("no")
    with pytest.raises(BranchNotFoundError, match="has no branch"):
        drive(RevisionWait("calc", "next").resolve(), missing, missing, [])


def test_a_located_wait_needs_no_lookup():
    assert drive(LOCATED.resolve()) == ([], LOCATED)


def test_a_wait_must_be_located_before_it_is_polled():
    with pytest.raises(RuntimeError, match="resolve the wait first"):
        RevisionWait("calc", "next").call()


def test_waits_for_one_branch_share_a_request():
    assert LOCATED.batch_key == RevisionWait("calc", "next", source=LOCATED.source).batch_key
    assert RevisionWait("calc", "a").batch_key != RevisionWait("calc", "b").batch_key


def test_what_the_response_means():
    assert LOCATED.judge(Branch("next")).state == "no revision yet"
    assert not LOCATED.judge(Branch("next", latest_commit=Commit(COMMIT))).done
    newer = LOCATED.judge(Branch("next", latest_commit=Commit(40 * "1")))
    assert (newer.state, newer.done) == (f"at revision {40 * '1'}", True)
    assert newer.result["revision"] == 40 * "1"
