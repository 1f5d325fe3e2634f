"""What goes over the wire for each call, and what is read from the documented answers."""

from __future__ import annotations

import json
import re

import pendulum
import pytest

from airflow_provider_mendix import __version__
from airflow_provider_mendix.api import build, deploy
from airflow_provider_mendix.api.account import Account
from airflow_provider_mendix.api.build import DownloadUrl, Package, StartedBuild
from airflow_provider_mendix.api.core import Api, Call, Endpoint, Host
from airflow_provider_mendix.api.deploy import App
from airflow_provider_mendix.api.errors import InvalidConnectionError, InvalidInputError

PACKAGE_ID = "b3d14e53-2654-4534-b374-9179a69ef3cf"
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
        deploy.list_apps(),
        "GET",
        "/api/1/apps",
        "deploy/apps.json",
        [
            App(
                app_id="calc",
                name="Calculation App",
                project_id="fae5de74-69c2-4488-a4de-abf89daac63e",
                url="https://calc.mendixcloud.com",
            ),
            App(
                app_id="tictactoc",
                name="Tic Tac Toc",
                project_id="f5129445-b638-42f4-8108-5f370c85dc57",
                url="https://tictactoc.mendixcloud.com",
            ),
        ],
        id="list apps",
    ),
    pytest.param(
        deploy.get_app("calc"),
        "GET",
        "/api/1/apps/calc",
        "deploy/app.json",
        App(
            app_id="calc",
            name="Calculation App",
            project_id="543857rfds-dfsfsd12c5e24-3224d32eg",
            url="https://calc.mendixcloud.com",
        ),
        id="get app",
    ),
]


@pytest.mark.parametrize(("call", "method", "target", "answer", "expected"), CALLS)
def test_documented_call(send, wire, sample, call, method, target, answer, expected):
    wire.answer(sample(answer))

    assert send(call) == expected

    request = wire.request
    assert (request.method, request.target) == (method, target)
    assert request.headers["mendix-username"] == send.account.username
    assert request.headers["mendix-apikey"] == send.account.api_key
    assert request.headers["user-agent"] == f"airflow-provider-mendix/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{wire.port}"
    assert "authorization" not in request.headers
    assert send.account.api_key not in request.target
    assert request.headers.get("content-type") == ("application/json" if method == "POST" else None)
    assert bool(request.body) == (method == "POST")


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


BRANCH = Endpoint[dict](
    Api(name="Team Server API", host=Host.DEPLOY, prefix="/api/1", docs=""),
    "GET",
    "/apps/{app_id}/branches/{name}",
    returns=dict,
    repeatable=True,
)


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("branches/development", "branches%2Fdevelopment"),
        ("statistical functions", "statistical%20functions"),
        ("100%?&#+;", "100%25%3F%26%23%2B%3B"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a/../b", "a%2F..%2Fb"),
    ],
)
def test_a_value_travels_as_one_segment(send, wire, name, segment):
    wire.answer({})

    send(BRANCH.call({"app_id": "calc", "name": name}))

    assert wire.request.target == f"/api/1/apps/calc/branches/{segment}"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_segment_that_would_change_the_path_is_refused(name):
    with pytest.raises(InvalidInputError, match=r"^name cannot be"):
        BRANCH.call({"app_id": "calc", "name": name})


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


class TestTokenFamily:
    """The families that want a personal access token instead of a key."""

    call: Call[dict] = Endpoint[dict](
        Api(name="App Repository API", host=Host.REPOSITORY, prefix="/v1", docs=""),
        "GET",
        "/repositories/{project_id}/info",
        returns=dict,
        repeatable=True,
    ).call({"project_id": "fae5de74"})

    def test_the_token_goes_alone(self, send, file_host):
        file_host.answer({})

        send(self.call, personal_access_token="pat-1", base_urls={Host.REPOSITORY: file_host.url})

        assert file_host.request.headers["authorization"] == "MxToken pat-1"
        assert not [name for name in file_host.request.headers if name.startswith("mendix-")]

    def test_without_a_token_nothing_is_sent(self, send, file_host):
        with pytest.raises(InvalidConnectionError, match="App Repository API needs a personal access token"):
            send(self.call, base_urls={Host.REPOSITORY: file_host.url})

        assert file_host.requests == []


def test_the_public_hosts_are_the_default():
    account = Account(username="ana", api_key="key")

    assert account.base_url(build.BUILD_API) == "https://deploy.mendix.com"
    assert account.base_url(TestTokenFamily.call.endpoint.api) == "https://repository.api.mendix.com"


def test_every_documented_field_of_a_package_is_read(sample):
    """A field that Mendix documents and nobody reads would go unnoticed otherwise."""
    documented = set(json.loads(sample("build/package_with_url.json")))
    read = {re.sub(r"(?:^|_)(\w)", lambda m: m[1].upper(), name) for name in Package.__struct_fields__}

    assert read == documented
