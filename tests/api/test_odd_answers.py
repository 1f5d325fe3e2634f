"""A success that is not quite what the documentation says: what is put up with, and what is not."""

from __future__ import annotations

import gzip
import json
import operator
import traceback

import pendulum
import pytest

from airflow_provider_mendix.api import app_repository, build, team_server
from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.exceptions import MalformedResponseError

LIST = build.list_packages("calc")
GET = build.get_package("calc", "b3d14e53", url=True)
START = build.start_build("calc", revision=63, version="2.5.4")
PROJECT_ID = "c0af1725-edae-4345-aea7-2f94f7760e33"
REPOSITORY = app_repository.get_repository(PROJECT_ID)
BRANCHES = app_repository.list_branches(PROJECT_ID)
BRANCH = app_repository.get_branch(PROJECT_ID, "main")
COMMITS = app_repository.list_commits(PROJECT_ID, "main")
OLD_BRANCHES = team_server.list_branches("calc")
OLD_BRANCH = team_server.get_branch("calc", "trunk")
REVISIONS = team_server.list_revisions("calc", "trunk")
CANARY = "https://files.example/a.mda?sig=canary"
LEAST = {"PackageId": "b3d14e53", "Status": "Queued"}
HASH = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"


@pytest.fixture
def read(send, wire):
    """Send a call from an account that may use both hosts, and give what is read from an answer."""

    def read(call, answer, **headers):
        wire.answer(answer, **headers)
        return send(call, personal_access_token="pat-1", base_urls=dict.fromkeys(Host, wire.url))

    return read


@pytest.mark.parametrize(
    ("field", "value", "name", "expected"),
    [
        ("Status", "Available", "status", "Available"),
        ("Status", "", "status", ""),
        ("Size", 7731521, "size", 7731521),
        ("Size", 1.057138442993164, "size", 1.057138442993164),
        ("Size", None, "size", None),
        ("Size", "15342295", "size", 15342295),
        ("Size", " 15342295 ", "size", 15342295),
        ("Size", "1.057138442993164", "size", 1.057138442993164),
        *[
            ("Size", odd, "size", None)
            for odd in (0, 0.0, -1, "0", "", "14.6 MB", "15,342", CANARY, "inf", "1e999")
        ],
        *[("Size", odd, "size", None) for odd in (True, False, [1], {"a": 1})],
        ("Version", "", "version", ""),
        ("Version", None, "version", None),
        ("Name", "Main line-", "name", "Main line-"),
        ("Description", None, "description", None),
        ("Creator", None, "creator", None),
        ("CreationDate", None, "creation_date", None),
        ("Url", None, "url", None),
    ],
)
def test_a_field_may_be_odd(send, wire, field, value, name, expected):
    wire.answer({**LEAST, field: value})

    found = getattr(send(GET), name)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(900, 900), (0.5, 0.5), ("900", 900), ("900.5", 900.5), (0, None), (-1, None), ("15m", None), ("", None)]
    + [(odd, None) for odd in (None, True, [900], {"a": 1}, CANARY)],
)
def test_the_time_of_a_link_may_be_odd(send, wire, value, expected):
    wire.answer({**LEAST, "Url": {"Location": CANARY, "TTL": value}})

    assert send(GET).url == build.DownloadUrl(CANARY, expected)


def test_an_odd_size_does_not_hide_other_packages(send, wire):
    sizes = (1, "two", 0)
    wire.answer([{**LEAST, "PackageId": str(number), "Size": size} for number, size in enumerate(sizes)])

    assert [package.size for package in send(LIST)] == [1, None, None]


def test_optional_fields_may_be_absent(send, wire):
    wire.answer(LEAST)

    assert send(GET) == Package(package_id="b3d14e53", status="Queued")


def test_unknown_fields_are_ignored(send, wire):
    wire.answer({**LEAST, "ExpiryDate": None, "Url": {"Location": CANARY, "Region": [1]}, "More": {"a": [1]}})

    package = send(GET)

    assert (package.url.location, package.url.ttl) == (CANARY, None)


def test_an_app_without_packages(send, wire):
    wire.answer([])

    assert send(LIST) == []


def test_a_body_may_be_compressed(send, wire):
    wire.answer(gzip.compress(json.dumps(LEAST).encode()), Content_Encoding="gzip")

    assert send(GET).package_id == "b3d14e53"


@pytest.mark.parametrize(
    ("call", "answer", "expected"),
    [
        # Only what nobody can do without.
        (OLD_BRANCH, {"Name": "trunk"}, team_server.Branch(name="trunk")),
        (OLD_BRANCHES, [{"Name": "trunk"}], [team_server.Branch(name="trunk")]),
        (REVISIONS, [{"Number": 9}], [team_server.Revision(number=9)]),
        (REPOSITORY, {"appId": "x", "type": "git"}, app_repository.Repository(app_id="x", type="git")),
        (BRANCH, {"name": "main"}, app_repository.Branch(name="main")),
        (
            BRANCH,
            {"name": "main", "latestCommit": {"id": HASH}},
            app_repository.Branch(name="main", latest_commit=app_repository.Commit(id=HASH)),
        ),
        (COMMITS, {"items": [{"id": HASH}]}, app_repository.Page(items=[app_repository.Commit(id=HASH)])),
        # Nothing at all.
        (OLD_BRANCHES, [], []),
        (REVISIONS, [], []),
        (BRANCHES, {"items": [], "cursors": {}}, app_repository.Page(items=[])),
        (COMMITS, {"items": []}, app_repository.Page(items=[])),
    ],
)
def test_only_what_matters_must_be_there(read, call, answer, expected):
    assert read(call, answer) == expected


@pytest.mark.parametrize(
    ("call", "sample_name", "field"),
    [
        (OLD_BRANCH, "team_server/branch.json", "DisplayName"),
        (OLD_BRANCH, "team_server/branch.json", "LatestRevisionNumber"),
        (OLD_BRANCH, "team_server/branch.json", "LatestRevisionMendixVersion"),
        (OLD_BRANCH, "team_server/branch.json", "LatestTaggedVersion"),
        (REVISIONS, "team_server/revisions.json", "0.CommitMessage"),
        (REVISIONS, "team_server/revisions.json", "0.Date"),
        (REVISIONS, "team_server/revisions.json", "0.Author"),
        (REVISIONS, "team_server/revisions.json", "0.MendixVersion"),
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
def test_absent_and_null_are_the_same(read, sample, call, sample_name, field):
    """And neither spoils what stands beside it."""
    found = []
    for change in (dict.pop, dict.__setitem__):
        answer = json.loads(sample(sample_name))
        *way, name = field.split(".")
        holder = answer
        for step in way:
            holder = holder[int(step) if step.isdigit() else step]
        change(holder, name, None)
        found.append(read(call, answer))

    assert found[0] == found[1]
    if field != "LatestTaggedVersion":
        assert found[0] != read(call, sample(sample_name))


@pytest.mark.parametrize(
    ("call", "answer", "pick", "expected"),
    [
        (OLD_BRANCH, {"Name": "x", "LatestTaggedVersion": "1.4.2.63"}, "latest_tagged_version", "1.4.2.63"),
        (OLD_BRANCH, {"Name": "x", "LatestTaggedVersion": ""}, "latest_tagged_version", ""),
        (OLD_BRANCH, {"Name": "x", "LatestRevisionNumber": 2**40}, "latest_revision_number", 2**40),
        (
            OLD_BRANCH,
            {"Name": "x", "LatestRevisionMendixVersion": "8.18.5.18651"},
            "latest_revision_mendix_version",
            "8.18.5.18651",
        ),
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
def test_a_field_of_a_branch_may_be_odd(read, call, answer, pick, expected):
    assert operator.attrgetter(pick)(read(call, answer)) == expected


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (OLD_BRANCH, {"Name": "trunk"}),
        (OLD_BRANCHES, [{"Name": "trunk"}]),
        (REVISIONS, [{"Number": 9}]),
        (REPOSITORY, {"appId": "x", "type": "git"}),
        (BRANCH, {"name": "main", "latestCommit": {"id": "1", "author": {}, "relatedStories": [{"id": "7"}]}}),
        (BRANCHES, {"items": [{"name": "main"}], "cursors": {"next": "x"}}),
        (COMMITS, {"items": [{"id": "1"}], "cursors": {}}),
    ],
)
def test_unknown_keys_are_ignored_at_any_depth(read, call, answer):
    assert read(call, with_more(answer)) == read(call, answer)


def with_more(answer):
    if isinstance(answer, dict):
        return {**{name: with_more(value) for name, value in answer.items()}, "More": {"a": [1]}, "more": None}
    return [with_more(value) for value in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize(
    ("call", "answer", "pick"),
    [
        (GET, lambda date: {**LEAST, "CreationDate": date}, lambda package: package.creation_date),
        (REVISIONS, lambda date: [{"Number": 9, "Date": date}], lambda revisions: revisions[0].date),
        (COMMITS, lambda date: {"items": [{"id": "1", "date": date}]}, lambda page: page.items[0].date),
    ],
    ids=["package", "revision", "commit"],
)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1404739654045, pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        (1404739654045.0, pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        (0, pendulum.datetime(1970, 1, 1)),
        ("2014-07-07T13:27:34.045Z", pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        ("2014-07-07T13:27:34.045678901Z", pendulum.datetime(2014, 7, 7, 13, 27, 34, 45678)),
        ("2014-07-07T15:27:34+02:00", pendulum.datetime(2014, 7, 7, 13, 27, 34)),
        ("2014-07-07T13:27:34", pendulum.datetime(2014, 7, 7, 13, 27, 34)),
        ("2014-07-07", pendulum.datetime(2014, 7, 7)),
    ],
)
def test_dates_are_timezone_aware(read, call, answer, pick, value, expected):
    found = pick(read(call, answer(value)))

    assert isinstance(found, pendulum.DateTime)
    assert found == expected
    assert found.utcoffset() is not None


def body(**fields: object) -> bytes:
    return json.dumps({**LEAST, "Url": {"Location": CANARY, "TTL": 900}, **fields}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(body().replace(b'"Queued"', b'"Queued", "Size": 15342295S'), id="size with a letter"),
        pytest.param(b"", id="empty"),
        pytest.param(b" ", id="blank"),
        pytest.param(f"<html><body>{CANARY}</body></html>".encode(), id="html"),
        pytest.param(body()[:-1], id="truncated"),
        pytest.param(body() + b"}", id="trailing"),
        pytest.param(b"[" + body() + b"]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(json.dumps(CANARY).encode(), id="a string"),
        pytest.param(body(PackageId=None), id="no id"),
        pytest.param(body(PackageId=[CANARY]), id="id of another type"),
        pytest.param(body(Status=None), id="no status"),
        pytest.param(body(Url=CANARY), id="link of another type"),
        pytest.param(body(Url={"TTL": 900, "Place": CANARY}), id="link without a location"),
        pytest.param(body(More="x").replace(b'"x"', b"[" * 100_000 + b"]" * 100_000), id="deep unknown field"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(body(Name="x").replace(b'"x"', b'"\xff\xfe"'), id="not utf-8"),
        pytest.param(body(Name="x").replace(b'"x"', b'"\\ud800"'), id="half a character"),
        pytest.param(body(CreationDate=10**18), id="date far away"),
        pytest.param(body(CreationDate=-(10**18)), id="date long ago"),
        pytest.param(body(CreationDate=1).replace(b": 1}", b": 1e400}"), id="date out of range"),
        pytest.param(body(CreationDate=[CANARY]), id="date of another type"),
        pytest.param(body(CreationDate=CANARY), id="date that is no date"),
        pytest.param(body(CreationDate=""), id="empty date"),
        pytest.param(body(CreationDate="P1Y"), id="duration"),
        pytest.param(body(CreationDate="2014-07-07/2014-07-08"), id="interval"),
    ],
)
def test_a_success_that_cannot_be_read(send, wire, answer):
    wire.answer(answer, 200, Content_Type="application/json")

    with pytest.raises(MalformedResponseError) as raised:
        send(GET)

    error = raised.value
    assert error.status == 200
    assert error.transient is True
    message = str(error)
    assert message.startswith("GET /api/1/apps/calc/packages/b3d14e53: HTTP 200, but the body")
    assert f"({len(answer)} bytes, application/json)" in message
    assert "may still have processed the request" not in message
    assert "canary" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("call", "answer", "says"),
    [
        (OLD_BRANCH, {"DisplayName": CANARY}, "`Name`"),
        (OLD_BRANCH, [{"Name": CANARY}], "Expected `object`"),
        (OLD_BRANCH, {"Name": "x", "LatestRevisionNumber": CANARY}, "$.LatestRevisionNumber"),
        (OLD_BRANCHES, {"Name": CANARY}, "Expected `array`"),
        (OLD_BRANCHES, [{"Name": "trunk"}, {"DisplayName": CANARY}], "$[1]"),
        (REVISIONS, [{"Number": None, "Author": CANARY}], "$[0].Number"),
        (REVISIONS, [{"Number": HASH}], "$[0].Number"),
        (REVISIONS, [{"Number": 9, "Date": CANARY}], "$[0].Date"),
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
def test_branches_and_commits_that_cannot_be_read(read, call, answer, says):
    with pytest.raises(MalformedResponseError) as raised:
        read(call, answer, Content_Type="application/json; charset=utf-8")

    error = raised.value
    assert (error.status, error.transient) == (200, True)
    assert str(error).startswith(f"{call}: HTTP 200, but the body (")
    assert says in str(error)
    assert "canary" not in "".join(traceback.format_exception(error))


def test_one_package_that_cannot_be_read_spoils_the_list(send, wire):
    wire.answer([LEAST, {"Status": "Queued"}])

    with pytest.raises(MalformedResponseError, match="PackageId"):
        send(LIST)


def test_a_started_build_without_an_id(send, wire):
    wire.answer({})

    with pytest.raises(MalformedResponseError, match=r"^POST /api/1/apps/calc/packages: HTTP 200") as raised:
        send(START)

    assert "Mendix may still have processed the request" in str(raised.value)
