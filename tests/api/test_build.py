"""The Build API: what each call sends and reads, what Mendix refuses, and odd responses."""

from __future__ import annotations

import gzip
import json

import pendulum
import pytest
from rich.pretty import pretty_repr

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.build import DownloadUrl, Package, StartedBuild
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    BuildFailedError,
    BuildNotSucceededError,
    InvalidRequestError,
    MalformedResponseError,
    PackageInUseError,
    PackageNotFoundError,
)

from ..wire import SAMPLES
from .checks import CANARY, check_malformed, documented, refused

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
START_BODY = json.loads((SAMPLES / "build/start_build_request.json").read_bytes())
LIST = build.list_packages("calc")
GET = build.get_package("calc", PACKAGE_ID)
DELETE = build.delete_package("calc", PACKAGE_ID)
DOWNLOAD = build.download_package("calc", PACKAGE_ID)
PATH = "/api/1/apps/calc/packages"
LEAST = {"PackageId": "b3d14e53-2654-4534-b374-9179a69ef3cf", "Status": "Queued"}


def with_fields(package: Package, **fields: object) -> Package:
    return Package(**{**{name: getattr(package, name) for name in package.__struct_fields__}, **fields})


CALLS = [
    (
        build.list_packages("calc"),
        "/api/1/apps/calc/packages",
        None,
        "build/packages.json",
        [FIRST_PACKAGE, with_fields(PACKAGE, size=7731521)],
    ),
    (
        build.get_package("calc", PACKAGE_ID),
        f"/api/1/apps/calc/packages/{PACKAGE_ID}",
        None,
        "build/package.json",
        PACKAGE,
    ),
    (
        build.get_package("calc", PACKAGE_ID, url=True),
        f"/api/1/apps/calc/packages/{PACKAGE_ID}?url=true",
        None,
        "build/package_with_url.json",
        with_fields(PACKAGE, url=DownloadUrl(location="https://url/to/download/the/package/file", ttl=900)),
    ),
    (
        START,
        "/api/1/apps/calc/packages",
        START_BODY,
        "build/started_build.json",
        StartedBuild(package_id=PACKAGE_ID),
    ),
]
ELSEWHERE = (build.DELETE_PACKAGE, build.DOWNLOAD_PACKAGE)
"""Their responses are no JSON."""
FIELDS = [
    (Package, "build/package_with_url.json", ()),
    (DownloadUrl, "build/package_with_url.json", ("Url",)),
    (StartedBuild, "build/started_build.json", ()),
]
UNDOCUMENTED: dict[type, set[str]] = {Package: {"ExpiryDate"}}
REFUSALS = [
    (LIST, 400, "invalid_appid", InvalidRequestError, InvalidRequestError.advice),
    (GET, 400, "invalid_parameters_package", InvalidRequestError, InvalidRequestError.advice),
    (GET, 404, "package_not_found", PackageNotFoundError, PackageNotFoundError.advice),
    (DELETE, 400, "invalid_parameters_package", InvalidRequestError, InvalidRequestError.advice),
    (DELETE, 404, "package_not_found", PackageNotFoundError, PackageNotFoundError.advice),
    (DELETE, 409, "package_in_use", PackageInUseError, PackageInUseError.advice),
    (DOWNLOAD, 400, "invalid_parameters_package", InvalidRequestError, InvalidRequestError.advice),
    (DOWNLOAD, 404, "package_not_found", PackageNotFoundError, PackageNotFoundError.advice),
    (DOWNLOAD, 500, "build_not_succeeded", BuildNotSucceededError, BuildNotSucceededError.advice),
    (START, 400, "invalid_appid", InvalidRequestError, InvalidRequestError.advice),
    (START, 400, "invalid_parameters_start", InvalidRequestError, InvalidRequestError.advice),
    (START, 400, "invalid_version", InvalidRequestError, InvalidRequestError.advice),
    (START, 404, "app_not_found", AppNotFoundError, AppNotFoundError.advice),
    (START, 500, "build_failed", BuildFailedError, BuildFailedError.advice),
]


TestDocumented = documented(build, CALLS, FIELDS, elsewhere=ELSEWHERE, undocumented=UNDOCUMENTED)
TestRefused = refused("build", REFUSALS)


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


@pytest.mark.parametrize("show", [repr, str, pretty_repr], ids=["repr", "str", "rich"])
def test_a_signed_link_is_never_shown(show):
    linked = with_fields(PACKAGE, url=DownloadUrl(location="https://files.example/?sig=canary", ttl=900))

    assert "900" in show(linked)
    assert "canary" not in show(linked)


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1767225600000, "2026-01-01T00:00:00+00:00"),
        ("1767225600000", "2026-01-01T00:00:00+00:00"),
        (1767225600, "2026-01-01T00:00:00+00:00"),
        (1767225600000.5, "2026-01-01T00:00:00+00:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"),
        (" 2026-01-01T01:00:00.000+01:00", "2026-01-01T01:00:00+01:00"),
        ("2026-01-01", "2026-01-01T00:00:00+00:00"),
        *(
            (odd, None)
            for odd in (None, "", "now", "never", "2026-", "P15D", "2026-13-01", 0, -1, 15, True, 1e300)
        ),
        *((odd, None) for odd in ([1767225600000], {"date": 1}, CANARY, "9" * 400)),
    ],
)
def test_an_expiry_date_has_any_form_and_hides_no_package(send, wire, value, expected):
    wire.answer([{**LEAST, "ExpiryDate": value}, LEAST])

    expiring, other = send(LIST)

    found = expiring.expiry_date
    assert (found and found.replace(microsecond=0).isoformat()) == expected
    assert expiring.summary()["expiry_date"] == (found.isoformat() if found else None)
    assert other.expiry_date is None


def test_an_odd_size_does_not_hide_other_packages(send, wire):
    sizes = (1, "two", 0)
    wire.answer([{**LEAST, "PackageId": str(number), "Size": size} for number, size in enumerate(sizes)])

    assert [package.size for package in send(LIST)] == [1, None, None]


def test_optional_fields_may_be_absent(send, wire):
    wire.answer(LEAST)

    assert send(GET) == Package(package_id="b3d14e53-2654-4534-b374-9179a69ef3cf", status="Queued")


def test_unknown_fields_are_ignored(send, wire):
    wire.answer({**LEAST, "ExpiryDate": None, "Url": {"Location": CANARY, "Region": [1]}, "More": {"a": [1]}})

    package = send(GET)

    assert (package.url.location, package.url.ttl) == (CANARY, None)


def test_an_app_without_packages(send, wire):
    wire.answer([])

    assert send(LIST) == []


def test_a_body_may_be_compressed(send, wire):
    wire.answer(gzip.compress(json.dumps(LEAST).encode()), Content_Encoding="gzip")

    assert send(GET).package_id == "b3d14e53-2654-4534-b374-9179a69ef3cf"


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
def test_a_success_that_cannot_be_read(mendix, answer):
    check_malformed(mendix, GET, answer, f", {len(answer)} bytes, application/json)")


def test_one_package_that_cannot_be_read_spoils_the_list(send, wire):
    wire.answer([LEAST, {"Status": "Queued"}])

    with pytest.raises(MalformedResponseError, match="PackageId"):
        send(LIST)


def test_a_started_build_without_an_id(send, wire):
    wire.answer({})

    with pytest.raises(MalformedResponseError, match=r"\(POST /api/1/apps/calc/packages: HTTP 200, ") as raised:
        send(START)

    assert "Mendix may still have processed the request" in str(raised.value)
