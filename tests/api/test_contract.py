"""What goes over the wire for each call, and what is read from the documented answers."""

from __future__ import annotations

import json

import msgspec
import pendulum
import pytest
from rich.pretty import pretty_repr

from airflow_provider_mendix import __version__
from airflow_provider_mendix.api import app_repository, backups, build, deploy, deploy_v2, team_server
from airflow_provider_mendix.api.build import DownloadUrl, Package, StartedBuild
from airflow_provider_mendix.api.call import Endpoint, Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.exceptions import InvalidConnectionError, InvalidInputError

TOKEN = "7LJE-token-that-nobody-may-see"
PACKAGE_ID = "b3d14e53-2654-4534-b374-9179a69ef3cf"
JOB_ID = "66046953-ecf7-4550-a889-4b7e9f1e1705"
PROJECT_ID = "c0af1725-edae-4345-aea7-2f94f7760e33"
REPOSITORY = f"/v1/repositories/{PROJECT_ID}"
PACKAGE = Package(
    package_id=PACKAGE_ID,
    status="Succeeded",
    name="Main line-2.5.4.63.mda",
    description="Add scientific mode",
    version="2.5.4.63",
    creator="Richard Ford",
    creation_date=pendulum.datetime(2014, 7, 10, 11, 4, 31, 835000),
    size=15342295,
)
FIRST_PACKAGE = Package(
    package_id="4ee10492-6cfc-4582-b825-a9040c0988ad",
    status="Succeeded",
    name="Main line-1.1.5.9.mda",
    description="Initial app",
    version="1.1.5.9",
    creator="Richard Ford",
    creation_date=pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000),
    size=1999059,
)
START = build.start_build(
    "calc", branch="feature", revision=63, version="2.5.4", description="Add scientific mode"
)

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
REVISIONS = [
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


def commit_of(name: str) -> app_repository.Commit:
    return app_repository.Commit(
        id="42",
        author=app_repository.Author(name=name, email="john.doe@example.com"),
        date=pendulum.datetime(2021, 5, 31, 15),
        message="My commit message",
        mendix_version="8.18.5.18651",
        related_stories=(app_repository.Story("1234567"), app_repository.Story("2345678")),
    )


FIRST_CURSOR = "Rmlyc3RQYWdlQ3Vyc29y"
CURSORS = app_repository.Cursors(
    first=FIRST_CURSOR,
    prev="UHJldmlvdXNQYWdlQ3Vyc29y",
    next="TmV4dFBhZ2VDdXJzb3I=",
    last="TGFzdFBhZ2VDdXJzb3I=",
)


def with_fields(package: Package, **fields: object) -> Package:
    return Package(**{**{name: getattr(package, name) for name in package.__struct_fields__}, **fields})


CALLS = [
    pytest.param(
        build.list_packages("calc"),
        "GET",
        "/api/1/apps/calc/packages",
        "build/packages.json",
        [FIRST_PACKAGE, with_fields(PACKAGE, size=7731521)],
        id="list packages",
    ),
    pytest.param(
        build.get_package("calc", PACKAGE_ID),
        "GET",
        f"/api/1/apps/calc/packages/{PACKAGE_ID}",
        "build/package.json",
        PACKAGE,
        id="get package",
    ),
    pytest.param(
        build.get_package("calc", PACKAGE_ID, url=True),
        "GET",
        f"/api/1/apps/calc/packages/{PACKAGE_ID}?url=true",
        "build/package_with_url.json",
        with_fields(PACKAGE, url=DownloadUrl(location="https://url/to/download/the/package/file", ttl=900)),
        id="get package with its link",
    ),
    pytest.param(
        START,
        "POST",
        "/api/1/apps/calc/packages",
        "build/started_build.json",
        StartedBuild(package_id=PACKAGE_ID),
        id="start build",
    ),
    pytest.param(
        deploy_v2.get_job("calc", JOB_ID),
        "GET",
        f"/api/v2/apps/calc/jobs/{JOB_ID}",
        "deploy_v2/job.json",
        deploy_v2.Job(status="Completed"),
        id="get job",
    ),
    pytest.param(
        team_server.list_branches("calc"),
        "GET",
        "/api/1/apps/calc/branches",
        "team_server/branches.json",
        [MAIN_LINE, STATISTICS],
        id="list branches of the Team Server",
    ),
    pytest.param(
        team_server.get_branch("calc", "statistical functions"),
        "GET",
        "/api/1/apps/calc/branches/statistical%20functions",
        "team_server/branch.json",
        STATISTICS,
        id="get branch of the Team Server",
    ),
    pytest.param(
        team_server.list_revisions("calc", "trunk"),
        "GET",
        "/api/1/apps/calc/branches/trunk/revisions",
        "team_server/revisions.json",
        REVISIONS,
        id="list revisions",
    ),
    pytest.param(
        team_server.list_revisions("calc", "branches/development"),
        "GET",
        "/api/1/apps/calc/branches/branches%2Fdevelopment/revisions",
        "team_server/revisions.json",
        REVISIONS,
        id="list revisions of another branch",
    ),
    pytest.param(
        app_repository.get_repository(PROJECT_ID),
        "GET",
        f"{REPOSITORY}/info",
        "app_repository/repository.json",
        app_repository.Repository(
            app_id=PROJECT_ID, type="svn", url=f"https://teamserver.sprintr.com/{PROJECT_ID}/"
        ),
        id="get repository",
    ),
    pytest.param(
        app_repository.list_branches(PROJECT_ID, limit=20, cursor=FIRST_CURSOR),
        "GET",
        f"{REPOSITORY}/branches?limit=20&cursor={FIRST_CURSOR}",
        "app_repository/branches.json",
        app_repository.Page(
            items=[app_repository.Branch(name="trunk", latest_commit=commit_of("John Doe"))], cursors=CURSORS
        ),
        id="list branches of the repository",
    ),
    pytest.param(
        app_repository.get_branch(PROJECT_ID, "trunk"),
        "GET",
        f"{REPOSITORY}/branches/trunk",
        "app_repository/branch.json",
        app_repository.Branch(name="trunk", latest_commit=commit_of("john.doe@example.com")),
        id="get branch of the repository",
    ),
    pytest.param(
        app_repository.get_branch(PROJECT_ID, "branches/development"),
        "GET",
        f"{REPOSITORY}/branches/branches%2Fdevelopment",
        "app_repository/branch.json",
        app_repository.Branch(name="trunk", latest_commit=commit_of("john.doe@example.com")),
        id="get another branch of the repository",
    ),
    pytest.param(
        app_repository.list_commits(PROJECT_ID, "trunk", limit=20, cursor=FIRST_CURSOR),
        "GET",
        f"{REPOSITORY}/branches/trunk/commits?limit=20&cursor={FIRST_CURSOR}",
        "app_repository/commits.json",
        app_repository.Page(items=[commit_of("John Doe")], cursors=CURSORS),
        id="list commits",
    ),
    pytest.param(
        app_repository.list_commits(PROJECT_ID, "branches/development", limit=20, cursor=FIRST_CURSOR),
        "GET",
        f"{REPOSITORY}/branches/branches%2Fdevelopment/commits?limit=20&cursor={FIRST_CURSOR}",
        "app_repository/commits_last_page.json",
        app_repository.Page(items=[commit_of("John Doe")], cursors=msgspec.structs.replace(CURSORS, next=None)),
        id="list commits of another branch, last page",
    ),
]
UNDOCUMENTED = {team_server.Branch: {"LatestTaggedVersion"}}
WITHOUT_A_SAMPLE = (build.DELETE_PACKAGE, build.DOWNLOAD_PACKAGE)
"""What they answer is no JSON."""
WITH_A_FILE = (deploy_v2.UPLOAD_PACKAGE,)
"""What goes over the wire is in `test_upload.py`."""


@pytest.fixture
def hosts(wire, new_wire):
    """Both of Mendix's hosts: neither may see the credentials of the other."""
    return {Host.DEPLOY: wire, Host.REPOSITORY: new_wire()}


def both(hosts):
    """What an account with a token says about them."""
    return {
        "personal_access_token": TOKEN,
        "base_urls": {host: wire.url for host, wire in hosts.items()},
    }


def credentials(request) -> dict[str, str]:
    names = ("authorization", "cookie", "proxy-authorization")
    return {n: v for n, v in request.headers.items() if n in names or n.startswith("mendix")}


@pytest.mark.parametrize(("call", "method", "target", "answer", "expected"), CALLS)
def test_documented_call(send, hosts, sample, call, method, target, answer, expected):
    host = call.endpoint.api.host
    hosts[host].answer(sample(answer))

    assert send(call, **both(hosts)) == expected

    request = hosts[host].request
    assert (request.method, request.target) == (method, target)
    assert (
        credentials(request)
        == {
            Host.DEPLOY: {"mendix-username": send.account.username, "mendix-apikey": send.account.api_key},
            Host.REPOSITORY: {"authorization": f"MxToken {TOKEN}"},
        }[host]
    )
    assert request.headers["user-agent"] == f"airflow-provider-mendix/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{hosts[host].port}"
    assert request.headers.get("content-type") == ("application/json" if method == "POST" else None)
    assert bool(request.body) == (method == "POST")
    assert [other for other in hosts if hosts[other].requests] == [host]


def test_every_endpoint_is_called():
    """Those of the Deploy API and the Backups API are in `test_deploy_contract.py`."""
    families = (app_repository, build, deploy_v2, team_server)
    declared = [value for family in families for value in vars(family).values() if isinstance(value, Endpoint)]
    called = [*(call.values[0].endpoint for call in CALLS), *WITHOUT_A_SAMPLE, *WITH_A_FILE]

    assert [endpoint for endpoint in declared if endpoint not in called] == []


def test_start_build_sends_the_documented_body(send, wire, sample):
    wire.answer(sample("build/started_build.json"))

    send(START)

    assert json.loads(wire.request.body) == json.loads(sample("build/start_build_request.json"))


def test_start_build_leaves_out_what_was_not_given(send, wire, sample):
    wire.answer(sample("build/started_build.json"))

    send(build.start_build("calc", revision="9f3ab2c1", version="1.4.2", description=""))

    assert json.loads(wire.request.body) == {"Revision": "9f3ab2c1", "Version": "1.4.2"}


def test_start_build_sends_text_as_utf_8(send, wire, sample):
    wire.answer(sample("build/started_build.json"))

    send(build.start_build("calc", branch="größe", revision=1, version="1.0.0", description="für Zoë"))

    sent = json.loads(wire.request.body.decode("utf-8"))
    assert (sent["Branch"], sent["Description"]) == ("branches/größe", "für Zoë")


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b'{"PackageId": "x"}'), (200, b""), (200, b"gone"), (202, b""), (204, b"")],
)
def test_delete_package_accepts_any_success(send, wire, status, body):
    wire.answer(body, status)

    assert send(build.delete_package("calc", PACKAGE_ID)) is None

    assert (wire.request.method, wire.request.target) == ("DELETE", f"/api/1/apps/calc/packages/{PACKAGE_ID}")
    assert wire.request.headers["mendix-apikey"] == send.account.api_key
    assert wire.request.body == b""


def test_download_package_gives_the_bytes(send, wire):
    wire.answer(b"PK\x03\x04 not text \xff", Content_Type="application/octet-stream")

    assert send(build.download_package("calc", PACKAGE_ID)) == b"PK\x03\x04 not text \xff"

    assert wire.request.target == f"/api/1/apps/calc/packages/{PACKAGE_ID}/download"


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
def test_a_branch_travels_as_one_segment(send, hosts, branch, segment):
    hosts[Host.DEPLOY].answer({"Name": branch})
    hosts[Host.DEPLOY].answer([])
    hosts[Host.REPOSITORY].answer({"name": branch})
    hosts[Host.REPOSITORY].answer({"items": []})

    send.all([call(branch) for call in BRANCH_CALLS], **both(hosts))

    assert [request.target for wire in hosts.values() for request in wire.requests] == [
        f"/api/1/apps/calc/branches/{segment}",
        f"/api/1/apps/calc/branches/{segment}/revisions",
        f"{REPOSITORY}/branches/{segment}",
        f"{REPOSITORY}/branches/{segment}/commits?limit=100",
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
def test_a_page_is_asked_for_in_the_query(send, hosts, page, query):
    calls = [
        app_repository.list_branches(PROJECT_ID, **page),
        app_repository.list_commits(PROJECT_ID, "main", **page),
    ]
    for _ in calls:
        hosts[Host.REPOSITORY].answer({"items": []})

    send.all(calls, **both(hosts))

    assert [request.target for request in hosts[Host.REPOSITORY].requests] == [
        f"{REPOSITORY}/branches?{query}",
        f"{REPOSITORY}/branches/main/commits?{query}",
    ]


def test_a_cursor_leads_to_the_next_page(send, hosts, sample):
    hosts[Host.REPOSITORY].answer(sample("app_repository/commits.json"))
    hosts[Host.REPOSITORY].answer(sample("app_repository/commits_last_page.json"))

    page = send(app_repository.list_commits(PROJECT_ID, "trunk"), **both(hosts))
    last = send(app_repository.list_commits(PROJECT_ID, "trunk", cursor=page.cursors.next), **both(hosts))

    assert hosts[Host.REPOSITORY].requests[1].target.endswith("/commits?limit=100&cursor=TmV4dFBhZ2VDdXJzb3I%3D")
    assert last.cursors.next is None


def test_cookies_are_not_kept(send, wire):
    wire.answer([], Set_Cookie="session=1; Path=/")
    wire.answer([])

    assert send.all([build.list_packages("calc"), build.list_packages("calc")]) == [[], []]

    assert [request.headers.get("cookie") for request in wire.requests] == [None, None]


def test_netrc_is_not_read(send, wire, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    wire.answer([])

    send(build.list_packages("calc"))

    assert "authorization" not in wire.request.headers
    assert wire.request.headers["mendix-apikey"] == send.account.api_key


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
def test_without_a_token_nothing_is_sent(send, hosts, call, token):
    with pytest.raises(InvalidConnectionError, match="App Repository API needs a personal access token") as raised:
        send(call, **{**both(hosts), "personal_access_token": token})

    assert "extra: personal_access_token" in str(raised.value)
    assert [wire.requests for wire in hosts.values()] == [[], []]


@pytest.mark.parametrize(
    ("call", "url"),
    [
        (build.list_packages("calc"), "https://deploy.mendix.com/api/1/apps/calc/packages"),
        (deploy.list_apps(), "https://deploy.mendix.com/api/1/apps"),
        (
            backups.create_snapshot(PROJECT_ID, JOB_ID),
            f"https://deploy.mendix.com/api/v2/apps/{PROJECT_ID}/environments/{JOB_ID}/snapshots",
        ),
        (
            deploy_v2.upload_package("calc", "calc_1.0.0.45.mda"),
            "https://deploy.mendix.com/api/v2/apps/calc/packages/upload?name=calc_1.0.0.45.mda",
        ),
        (team_server.list_branches("calc"), "https://deploy.mendix.com/api/1/apps/calc/branches"),
        (
            app_repository.get_repository(PROJECT_ID),
            f"https://repository.api.mendix.com/v1/repositories/{PROJECT_ID}/info",
        ),
    ],
    ids=str,
)
def test_the_public_hosts_are_the_default(call, url):
    account = Account(username="ana", api_key="key")

    assert account.base_url(call.endpoint.api) + call.target == url


@pytest.mark.parametrize(
    ("kind", "answer", "way"),
    [
        (Package, "build/package_with_url.json", ()),
        (DownloadUrl, "build/package_with_url.json", ("Url",)),
        (StartedBuild, "build/started_build.json", ()),
        (deploy_v2.StartedUpload, "deploy_v2/started_upload.json", ()),
        (deploy_v2.Job, "deploy_v2/job.json", ()),
        (team_server.Branch, "team_server/branch.json", ()),
        (team_server.Revision, "team_server/revisions.json", (0,)),
        (app_repository.Repository, "app_repository/repository.json", ()),
        (app_repository.Page, "app_repository/branches.json", ()),
        (app_repository.Cursors, "app_repository/branches.json", ("cursors",)),
        (app_repository.Branch, "app_repository/branch.json", ()),
        (app_repository.Commit, "app_repository/branch.json", ("latestCommit",)),
        (app_repository.Commit, "app_repository/commits.json", ("items", 0)),
        (app_repository.Author, "app_repository/commits.json", ("items", 0, "author")),
        (app_repository.Story, "app_repository/commits.json", ("items", 0, "relatedStories", 0)),
    ],
)
def test_every_documented_field_is_read(sample, kind, answer, way):
    """A field that Mendix documents and nobody reads would go unnoticed otherwise."""
    documented = json.loads(sample(answer))
    for step in way:
        documented = documented[step]

    read = {field.encode_name for field in msgspec.structs.fields(kind)}

    assert read == set(documented) | UNDOCUMENTED.get(kind, set())


@pytest.mark.parametrize("show", [repr, str, pretty_repr], ids=["repr", "str", "rich"])
def test_a_signed_link_is_never_shown(show):
    linked = with_fields(PACKAGE, url=DownloadUrl(location="https://files.example/?sig=canary", ttl=900))

    assert "900" in show(linked)
    assert "canary" not in show(linked)
