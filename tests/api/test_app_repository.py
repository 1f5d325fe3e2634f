"""The App Repository API: what each call sends and reads, what Mendix refuses, and odd responses."""

from __future__ import annotations

import json
import operator

import msgspec
import pendulum
import pytest

from airflow_provider_mendix.api import app_repository, team_server
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.exceptions import (
    ForbiddenError,
    InvalidConnectionError,
    InvalidInputError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServiceUnavailableError,
    UnauthorizedError,
)

from .checks import (
    CANARY,
    HTML,
    OUTCOME_UNKNOWN,
    check_absent_and_null,
    check_malformed,
    check_unknown_keys,
    documented,
)

PROJECT_ID = "c0af1725-edae-4345-aea7-2f94f7760e33"
PATH = f"/v1/repositories/{PROJECT_ID}"
FIRST_CURSOR = "Rmlyc3RQYWdlQ3Vyc29y"
CURSORS = app_repository.Cursors(
    first=FIRST_CURSOR,
    prev="UHJldmlvdXNQYWdlQ3Vyc29y",
    next="TmV4dFBhZ2VDdXJzb3I=",
    last="TGFzdFBhZ2VDdXJzb3I=",
)
REPOSITORY = app_repository.get_repository(PROJECT_ID)
BRANCHES = app_repository.list_branches(PROJECT_ID)
BRANCH = app_repository.get_branch(PROJECT_ID, "main")
COMMITS = app_repository.list_commits(PROJECT_ID, "main")
HASH = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"
CALLS_WITH_TOKEN = (REPOSITORY, BRANCHES, BRANCH, COMMITS)


def commit_of(name: str) -> app_repository.Commit:
    return app_repository.Commit(
        id="42",
        author=app_repository.Author(name=name, email="john.doe@example.com"),
        date=pendulum.datetime(2021, 5, 31, 15),
        message="My commit message",
        mendix_version="8.18.5.18651",
        related_stories=(app_repository.Story("1234567"), app_repository.Story("2345678")),
    )


CALLS = [
    (
        app_repository.get_repository(PROJECT_ID),
        f"{PATH}/info",
        None,
        "app_repository/repository.json",
        app_repository.Repository(
            app_id=PROJECT_ID, type="svn", url=f"https://teamserver.sprintr.com/{PROJECT_ID}/"
        ),
    ),
    (
        app_repository.list_branches(PROJECT_ID, limit=20, cursor=FIRST_CURSOR),
        f"{PATH}/branches?limit=20&cursor={FIRST_CURSOR}",
        None,
        "app_repository/branches.json",
        app_repository.Page(
            items=[app_repository.Branch(name="trunk", latest_commit=commit_of("John Doe"))], cursors=CURSORS
        ),
    ),
    (
        app_repository.get_branch(PROJECT_ID, "trunk"),
        f"{PATH}/branches/trunk",
        None,
        "app_repository/branch.json",
        app_repository.Branch(name="trunk", latest_commit=commit_of("john.doe@example.com")),
    ),
    (
        app_repository.get_branch(PROJECT_ID, "branches/development"),
        f"{PATH}/branches/branches%2Fdevelopment",
        None,
        "app_repository/branch.json",
        app_repository.Branch(name="trunk", latest_commit=commit_of("john.doe@example.com")),
    ),
    (
        app_repository.list_commits(PROJECT_ID, "trunk", limit=20, cursor=FIRST_CURSOR),
        f"{PATH}/branches/trunk/commits?limit=20&cursor={FIRST_CURSOR}",
        None,
        "app_repository/commits.json",
        app_repository.Page(items=[commit_of("John Doe")], cursors=CURSORS),
    ),
    (
        app_repository.list_commits(PROJECT_ID, "branches/development", limit=20, cursor=FIRST_CURSOR),
        f"{PATH}/branches/branches%2Fdevelopment/commits?limit=20&cursor={FIRST_CURSOR}",
        None,
        "app_repository/commits_last_page.json",
        app_repository.Page(items=[commit_of("John Doe")], cursors=msgspec.structs.replace(CURSORS, next=None)),
    ),
]
FIELDS = [
    (app_repository.Repository, "app_repository/repository.json", ()),
    (app_repository.Page, "app_repository/branches.json", ()),
    (app_repository.Cursors, "app_repository/branches.json", ("cursors",)),
    (app_repository.Branch, "app_repository/branch.json", ()),
    (app_repository.Commit, "app_repository/branch.json", ("latestCommit",)),
    (app_repository.Commit, "app_repository/commits.json", ("items", 0)),
    (app_repository.Author, "app_repository/commits.json", ("items", 0, "author")),
    (app_repository.Story, "app_repository/commits.json", ("items", 0, "relatedStories", 0)),
]


TestDocumented = documented(app_repository, CALLS, FIELDS)


BRANCH_CALLS = (
    lambda branch: team_server.get_branch("calc", branch),
    lambda branch: team_server.list_revisions("calc", branch),
    lambda branch: app_repository.get_branch(PROJECT_ID, branch),
    lambda branch: app_repository.list_commits(PROJECT_ID, branch),
)


@pytest.mark.parametrize(
    ("branch", "segment"),
    [
        ("branches/development", "branches%2Fdevelopment"),
        ("branches/a/b", "branches%2Fa%2Fb"),
        ("statistical functions", "statistical%20functions"),
        ("100%?&#+;", "100%25%3F%26%23%2B%3B"),
        ("50%2Foff", "50%252Foff"),
        ("größe-Ω", "gr%C3%B6%C3%9Fe-%CE%A9"),
        ("\U0001f680", "%F0%9F%9A%80"),
        ("a/../b", "a%2F..%2Fb"),
        ("~a-b_c.d", "~a-b_c.d"),
    ],
)
def test_a_branch_is_sent_as_one_segment(mendix, branch, segment):
    mendix.wires[Host.DEPLOY].answer({"Name": branch})
    mendix.wires[Host.DEPLOY].answer([])
    mendix.wires[Host.REPOSITORY].answer({"name": branch})
    mendix.wires[Host.REPOSITORY].answer({"items": []})

    mendix.send_all([call(branch) for call in BRANCH_CALLS])

    assert [request.target for wire in mendix.wires.values() for request in wire.requests] == [
        f"/api/1/apps/calc/branches/{segment}",
        f"/api/1/apps/calc/branches/{segment}/revisions",
        f"{PATH}/branches/{segment}",
        f"{PATH}/branches/{segment}/commits?limit=100",
    ]


@pytest.mark.parametrize("call", BRANCH_CALLS)
@pytest.mark.parametrize("branch", ["", ".", ".."])
def test_a_segment_that_would_change_the_path_is_refused(call, branch):
    with pytest.raises(InvalidInputError, match=r"^branch "):
        call(branch)


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ({}, "limit=100"),
        ({"cursor": None}, "limit=100"),
        ({"cursor": ""}, "limit=100"),
        ({"limit": 20}, "limit=20"),
        ({"limit": 1, "cursor": "TmV4dFBhZ2VDdXJzb3I="}, "limit=1&cursor=TmV4dFBhZ2VDdXJzb3I%3D"),
        ({"cursor": "a+b/c_d-e=="}, "limit=100&cursor=a%2Bb%2Fc_d-e%3D%3D"),
        ({"cursor": "a b&limit=1#%3D"}, "limit=100&cursor=a+b%26limit%3D1%23%253D"),
    ],
)
def test_a_page_is_requested_in_the_query(mendix, page, query):
    calls = [
        app_repository.list_branches(PROJECT_ID, **page),
        app_repository.list_commits(PROJECT_ID, "main", **page),
    ]
    for _ in calls:
        mendix.wires[Host.REPOSITORY].answer({"items": []})

    mendix.send_all(calls)

    assert [request.target for request in mendix.wires[Host.REPOSITORY].requests] == [
        f"{PATH}/branches?{query}",
        f"{PATH}/branches/main/commits?{query}",
    ]


def test_a_cursor_leads_to_the_next_page(mendix, sample):
    mendix.wires[Host.REPOSITORY].answer(sample("app_repository/commits.json"))
    mendix.wires[Host.REPOSITORY].answer(sample("app_repository/commits_last_page.json"))

    page = mendix.send(app_repository.list_commits(PROJECT_ID, "trunk"))
    last = mendix.send(app_repository.list_commits(PROJECT_ID, "trunk", cursor=page.cursors.next))

    assert (
        mendix.wires[Host.REPOSITORY]
        .requests[1]
        .target.endswith("/commits?limit=100&cursor=TmV4dFBhZ2VDdXJzb3I%3D")
    )
    assert last.cursors.next is None


@pytest.mark.parametrize("token", [None, ""])
@pytest.mark.parametrize(
    "call",
    [
        app_repository.get_repository(PROJECT_ID),
        app_repository.list_branches(PROJECT_ID),
        app_repository.get_branch(PROJECT_ID, "main"),
        app_repository.list_commits(PROJECT_ID, "main"),
    ],
    ids=str,
)
def test_without_a_token_nothing_is_sent(mendix, call, token):
    with pytest.raises(InvalidConnectionError, match="App Repository API needs a personal access token") as raised:
        mendix.send(call, personal_access_token=token)

    assert "extra: personal_access_token" in str(raised.value)
    assert [wire.requests for wire in mendix.wires.values()] == [[], [], []]


@pytest.mark.parametrize("call", CALLS_WITH_TOKEN, ids=str)
@pytest.mark.parametrize(
    ("status", "kind", "transient", "advice"),
    [
        (400, InvalidRequestError, False, "Check the branch, and that the project's UUID is the App ID"),
        (
            401,
            UnauthorizedError,
            False,
            "Check the personal access token of the connection: Mendix does not know it",
        ),
        (403, ForbiddenError, False, "Check that the personal access token of the connection has the scope"),
        (404, NotFoundError, False, "Mendix does not say whether the repository or the branch is missing"),
        (500, ServiceUnavailableError, True, None),
    ],
)
def test_documented_status_of_the_repository(mendix, sample, call, status, kind, transient, advice):
    """Mendix documents these statuses and the code RS400; that the others are called alike is inferred."""
    body = sample(f"app_repository/error_rs{status}.json")
    error = mendix.refusal(call, body, status, Content_Type="application/json; charset=utf-8")

    assert type(error) is kind
    assert (error.status, error.code, error.transient) == (status, f"RS{status}", transient)
    said = f"{kind.summary}: {json.loads(body)['errorMessage']}."
    assert str(error).startswith(f"{said} {advice}" if advice else said)
    assert str(error).endswith(f" ({call}: HTTP {status} RS{status})")
    assert advice or error.message == said
    assert "API key" not in str(error)
    assert "subdomain" not in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "transient"),
    [
        (400, b"", InvalidRequestError, None, False),
        (404, HTML, NotFoundError, None, False),
        (404, {"errorCode": "SOMETHING_NEW"}, NotFoundError, "SOMETHING_NEW", False),
        (429, {"errorCode": "RS429"}, RateLimitedError, "RS429", True),
        (500, b"", ServiceUnavailableError, None, True),
        (500, HTML, ServiceUnavailableError, None, True),
        (500, {"errorMessage": "Something went wrong"}, ServiceUnavailableError, None, True),
        (500, {"errorCode": "rs500 "}, ServiceUnavailableError, "RS500", True),
        (502, HTML, ServiceUnavailableError, None, True),
        (503, {"errorCode": "RS503"}, ServiceUnavailableError, "RS503", True),
        (504, b"", ServiceUnavailableError, None, True),
    ],
)
def test_classification_of_the_repository(mendix, status, body, kind, code, transient):
    error = mendix.refusal(COMMITS, body, status)

    assert type(error) is kind
    assert (error.status, error.code, error.transient) == (status, code, transient)
    assert OUTCOME_UNKNOWN not in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [(401, UnauthorizedError, "revoked"), (403, ForbiddenError, "mx:modelrepository:repo:read")],
)
@pytest.mark.parametrize("body", [b"", HTML, {"errorCode": "NO_ACCESS", "errorMessage": "Not for you."}])
def test_a_refused_token_is_named_with_its_scope(mendix, status, kind, says, body):
    error = mendix.refusal(COMMITS, body, status)

    assert type(error) is kind
    assert error.transient is False
    assert "the personal access token of the connection" in str(error)
    assert says in str(error)
    assert "API key" not in str(error)
    assert "API Rights" not in str(error)


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        (REPOSITORY, {"appId": "x", "type": "git"}, app_repository.Repository(app_id="x", type="git")),
        (BRANCH, {"name": "main"}, app_repository.Branch(name="main")),
        (
            BRANCH,
            {"name": "main", "latestCommit": {"id": HASH}},
            app_repository.Branch(name="main", latest_commit=app_repository.Commit(id=HASH)),
        ),
        (COMMITS, {"items": [{"id": HASH}]}, app_repository.Page(items=[app_repository.Commit(id=HASH)])),
        (BRANCHES, {"items": [], "cursors": {}}, app_repository.Page(items=[])),
        (COMMITS, {"items": []}, app_repository.Page(items=[])),
    ],
)
def test_only_required_fields_must_be_there(mendix, call, answer, expected):
    assert mendix.read(call, answer) == expected


@pytest.mark.parametrize(
    ("call", "sample_name", "field"),
    [
        (REPOSITORY, "app_repository/repository.json", "url"),
        (BRANCH, "app_repository/branch.json", "latestCommit"),
        (BRANCH, "app_repository/branch.json", "latestCommit.author"),
        (BRANCH, "app_repository/branch.json", "latestCommit.author.name"),
        (BRANCH, "app_repository/branch.json", "latestCommit.author.email"),
        (BRANCH, "app_repository/branch.json", "latestCommit.date"),
        (BRANCH, "app_repository/branch.json", "latestCommit.message"),
        (BRANCH, "app_repository/branch.json", "latestCommit.mendixVersion"),
        (BRANCH, "app_repository/branch.json", "latestCommit.relatedStories"),
        (COMMITS, "app_repository/commits.json", "cursors.first"),
        (COMMITS, "app_repository/commits.json", "cursors.prev"),
        (COMMITS, "app_repository/commits.json", "cursors.next"),
        (COMMITS, "app_repository/commits.json", "cursors.last"),
    ],
)
def test_absent_and_null_are_the_same(mendix, sample, call, sample_name, field):
    check_absent_and_null(mendix, call, sample(sample_name), field)


@pytest.mark.parametrize(
    ("call", "answer", "pick", "expected"),
    [
        (REPOSITORY, {"appId": "x", "type": "hg"}, "type", "hg"),
        (REPOSITORY, {"appId": "x", "type": "git", "url": "https://git.example/x.git"}, "type", "git"),
        (BRANCH, {"name": "branches/größe"}, "name", "branches/größe"),
        (BRANCH, {"name": "x", "latestCommit": {"id": HASH}}, "latest_commit.id", HASH),
        (
            BRANCH,
            {"name": "x", "latestCommit": {"id": "1", "mendixVersion": "9.24.0"}},
            "latest_commit.mendix_version",
            "9.24.0",
        ),
        (BRANCH, {"name": "x", "latestCommit": {"id": "1", "message": ""}}, "latest_commit.message", ""),
        (
            BRANCH,
            {"name": "x", "latestCommit": {"id": "1", "relatedStories": []}},
            "latest_commit.related_stories",
            (),
        ),
    ],
)
def test_a_field_may_be_odd(mendix, call, answer, pick, expected):
    assert operator.attrgetter(pick)(mendix.read(call, answer)) == expected


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (REPOSITORY, {"appId": "x", "type": "git"}),
        (BRANCH, {"name": "main", "latestCommit": {"id": "1", "author": {}, "relatedStories": [{"id": "7"}]}}),
        (BRANCHES, {"items": [{"name": "main"}], "cursors": {"next": "x"}}),
        (COMMITS, {"items": [{"id": "1"}], "cursors": {}}),
    ],
)
def test_unknown_keys_are_ignored_at_any_depth(mendix, call, answer):
    check_unknown_keys(mendix, call, answer)


@pytest.mark.parametrize(
    ("call", "answer", "says"),
    [
        (REPOSITORY, {"appId": CANARY}, "`type`"),
        (REPOSITORY, {"type": "git", "url": CANARY}, "`appId`"),
        (BRANCH, {"latestCommit": {"id": CANARY}}, "`name`"),
        (BRANCH, {"name": "x", "latestCommit": {"message": CANARY}}, "$.latestCommit"),
        (BRANCH, {"name": "x", "latestCommit": {"id": "1", "date": CANARY}}, "$.latestCommit.date"),
        (BRANCHES, [{"name": CANARY}], "Expected `object`"),
        (BRANCHES, {"cursors": {"first": CANARY}}, "`items`"),
        (COMMITS, {"items": [{"id": 42, "message": CANARY}]}, "$.items[0].id"),
        (COMMITS, b"<html>" + CANARY.encode(), "malformed"),
        (COMMITS, b"", "truncated"),
    ],
)
def test_a_success_that_cannot_be_read(mendix, call, answer, says):
    check_malformed(mendix, call, answer, says)
