"""The Team Server API: what each call sends and reads, what Mendix refuses, and odd responses."""

from __future__ import annotations

import operator

import pendulum
import pytest

from airflow_provider_mendix.api import team_server
from airflow_provider_mendix.exceptions import (
    BranchNotFoundError,
    InvalidRequestError,
    RetiredApiError,
    ServiceUnavailableError,
    UnauthorizedError,
)

from .checks import CANARY, HTML, check_absent_and_null, check_malformed, check_unknown_keys, documented, refused

MAIN_LINE = team_server.Branch(
    name="trunk",
    display_name="Main line",
    latest_revision_number=9,
    latest_revision_mendix_version="5.6.0",
)
STATISTICS = team_server.Branch(
    name="statistical functions",
    display_name="statistical functions",
    latest_revision_number=13,
    latest_revision_mendix_version="5.6.0",
)
EXPECTED_REVISIONS = [
    team_server.Revision(
        number=8,
        commit_message="Implement C key",
        date=pendulum.datetime(2014, 3, 5, 14, 57, 30, 618000),
        author="richard.ford51@example.com",
        mendix_version="5.6.0",
    ),
    team_server.Revision(
        number=9,
        commit_message="Implement ^ key",
        date=pendulum.datetime(2014, 3, 5, 14, 57, 40, 618000),
        author="richard.ford51@example.com",
        mendix_version="5.6.0",
    ),
]
RETIRED = (
    "Mendix has retired the Team Server API: add to the connection a personal access token with the scope"
    " mx:modelrepository:repo:read, from https://user-settings.mendix.com/link/developersettings."
)
BRANCHES = team_server.list_branches("calc")
BRANCH = team_server.get_branch("calc", "statistical functions")
REVISIONS = team_server.list_revisions("calc", "branches/development")
HASH = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"
CALLS = [
    (
        team_server.list_branches("calc"),
        "/api/1/apps/calc/branches",
        None,
        "team_server/branches.json",
        [MAIN_LINE, STATISTICS],
    ),
    (
        team_server.get_branch("calc", "statistical functions"),
        "/api/1/apps/calc/branches/statistical%20functions",
        None,
        "team_server/branch.json",
        STATISTICS,
    ),
    (
        team_server.list_revisions("calc", "trunk"),
        "/api/1/apps/calc/branches/trunk/revisions",
        None,
        "team_server/revisions.json",
        EXPECTED_REVISIONS,
    ),
    (
        team_server.list_revisions("calc", "branches/development"),
        "/api/1/apps/calc/branches/branches%2Fdevelopment/revisions",
        None,
        "team_server/revisions.json",
        EXPECTED_REVISIONS,
    ),
]
FIELDS = [
    (team_server.Branch, "team_server/branch.json", ()),
    (team_server.Revision, "team_server/revisions.json", (0,)),
]
UNDOCUMENTED = {team_server.Branch: {"LatestTaggedVersion"}}
REFUSALS = [
    (BRANCHES, 400, "invalid_appid", InvalidRequestError, InvalidRequestError.advice),
    (BRANCHES, 404, "app_not_found", RetiredApiError, RETIRED),
    (BRANCH, 400, "invalid_appid", InvalidRequestError, InvalidRequestError.advice),
    (BRANCH, 404, "app_not_found", RetiredApiError, RETIRED),
    (BRANCH, 404, "branch_not_found", BranchNotFoundError, BranchNotFoundError.advice),
    (REVISIONS, 400, "invalid_appid", InvalidRequestError, InvalidRequestError.advice),
    (REVISIONS, 404, "app_not_found", RetiredApiError, RETIRED),
    (REVISIONS, 404, "branch_not_found", BranchNotFoundError, BranchNotFoundError.advice),
]


TestDocumented = documented(team_server, CALLS, FIELDS, undocumented=UNDOCUMENTED)
TestRefused = refused("team_server", REFUSALS)


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        (BRANCH, {"Name": "trunk"}, team_server.Branch(name="trunk")),
        (BRANCHES, [{"Name": "trunk"}], [team_server.Branch(name="trunk")]),
        (REVISIONS, [{"Number": 9}], [team_server.Revision(number=9)]),
        (BRANCHES, [], []),
        (REVISIONS, [], []),
    ],
)
def test_only_required_fields_must_be_there(mendix, call, answer, expected):
    assert mendix.read(call, answer) == expected


@pytest.mark.parametrize(
    ("call", "sample_name", "field"),
    [
        (BRANCH, "team_server/branch.json", "DisplayName"),
        (BRANCH, "team_server/branch.json", "LatestRevisionNumber"),
        (BRANCH, "team_server/branch.json", "LatestRevisionMendixVersion"),
        (BRANCH, "team_server/branch.json", "LatestTaggedVersion"),
        (REVISIONS, "team_server/revisions.json", "0.CommitMessage"),
        (REVISIONS, "team_server/revisions.json", "0.Date"),
        (REVISIONS, "team_server/revisions.json", "0.Author"),
        (REVISIONS, "team_server/revisions.json", "0.MendixVersion"),
    ],
)
def test_absent_and_null_are_the_same(mendix, sample, call, sample_name, field):
    check_absent_and_null(mendix, call, sample(sample_name), field)


@pytest.mark.parametrize(
    ("call", "answer", "pick", "expected"),
    [
        (BRANCH, {"Name": "x", "LatestTaggedVersion": "1.4.2.63"}, "latest_tagged_version", "1.4.2.63"),
        (BRANCH, {"Name": "x", "LatestTaggedVersion": ""}, "latest_tagged_version", ""),
        (BRANCH, {"Name": "x", "LatestRevisionNumber": 2**40}, "latest_revision_number", 2**40),
        (
            BRANCH,
            {"Name": "x", "LatestRevisionMendixVersion": "8.18.5.18651"},
            "latest_revision_mendix_version",
            "8.18.5.18651",
        ),
    ],
)
def test_a_field_may_be_odd(mendix, call, answer, pick, expected):
    assert operator.attrgetter(pick)(mendix.read(call, answer)) == expected


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (BRANCH, {"Name": "trunk"}),
        (BRANCHES, [{"Name": "trunk"}]),
        (REVISIONS, [{"Number": 9}]),
    ],
)
def test_unknown_keys_are_ignored_at_any_depth(mendix, call, answer):
    check_unknown_keys(mendix, call, answer)


@pytest.mark.parametrize(
    ("call", "answer", "says"),
    [
        (BRANCH, {"DisplayName": CANARY}, "`Name`"),
        (BRANCH, [{"Name": CANARY}], "Expected `object`"),
        (BRANCH, {"Name": "x", "LatestRevisionNumber": CANARY}, "$.LatestRevisionNumber"),
        (BRANCHES, {"Name": CANARY}, "Expected `array`"),
        (BRANCHES, [{"Name": "trunk"}, {"DisplayName": CANARY}], "$[1]"),
        (REVISIONS, [{"Number": None, "Author": CANARY}], "$[0].Number"),
        (REVISIONS, [{"Number": HASH}], "$[0].Number"),
        (REVISIONS, [{"Number": 9, "Date": CANARY}], "$[0].Date"),
    ],
)
def test_a_success_that_cannot_be_read(mendix, call, answer, says):
    check_malformed(mendix, call, answer, says)


@pytest.mark.parametrize("call", [BRANCHES, BRANCH, REVISIONS], ids=str)
@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (404, b"", {}),
        (404, HTML, {"content_type": "text/html"}),
        (404, {"errorCode": "NOT_FOUND"}, {}),
        (410, b"", {}),
        (501, b"", {}),
        (403, b"", {}),
        (403, {"errorCode": "NO_ACCESS"}, {}),
        (301, b"", {"location": "https://docs.mendix.com/"}),
        (400, {"errorCode": "API_REMOVED"}, {}),
        (200, HTML, {"content_type": "text/html"}),
        (200, b"", {"content_type": "text/plain"}),
    ],
)
def test_whatever_a_retired_api_answers_is_one_final_error(mendix, call, status, body, headers):
    error = mendix.refusal(call, body, status, **headers)

    assert type(error) is RetiredApiError
    assert error.final
    assert error.status == status
    assert f" ({call}: HTTP {status}" in str(error)
    assert error.message.endswith(f". {RETIRED}")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"", UnauthorizedError),
        (503, b"", ServiceUnavailableError),
        (500, HTML, ServiceUnavailableError),
        (404, {"errorCode": "BRANCH_NOT_FOUND"}, BranchNotFoundError),
    ],
)
def test_what_says_nothing_about_the_api_is_no_retirement(mendix, status, body, kind):
    assert type(mendix.refusal(BRANCH, body, status)) is kind
