"""A success that is not quite what the documentation says: what is put up with, and what is not."""

from __future__ import annotations

import gzip
import json
import traceback

import pendulum
import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.api.errors import MalformedResponseError

LIST = build.list_packages("calc")
GET = build.get_package("calc", "b3d14e53", url=True)
START = build.start_build("calc", revision=63, version="2.5.4")
CANARY = "https://files.example/a.mda?sig=canary"
LEAST = {"PackageId": "b3d14e53", "Status": "Queued"}


@pytest.mark.parametrize(
    ("field", "value", "name", "expected"),
    [
        ("Status", "Available", "status", "Available"),
        ("Status", "", "status", ""),
        ("Size", 7731521, "size", 7731521),
        ("Size", 1.057138442993164, "size", 1.057138442993164),
        ("Size", 0, "size", 0),
        ("Size", None, "size", None),
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
    ("value", "expected"),
    [
        (1404739654045, pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        (1404739654045.0, pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        (0, pendulum.datetime(1970, 1, 1)),
        ("2014-07-07T13:27:34.045Z", pendulum.datetime(2014, 7, 7, 13, 27, 34, 45000)),
        ("2014-07-07T15:27:34+02:00", pendulum.datetime(2014, 7, 7, 13, 27, 34)),
        ("2014-07-07T13:27:34", pendulum.datetime(2014, 7, 7, 13, 27, 34)),
        ("2014-07-07", pendulum.datetime(2014, 7, 7)),
    ],
)
def test_dates_are_timezone_aware(send, wire, value, expected):
    wire.answer({**LEAST, "CreationDate": value})

    found = send(GET).creation_date

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
        pytest.param(body(Size=CANARY), id="size of another type"),
        pytest.param(body(Size=True), id="size of yet another type"),
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
    assert "may have carried it out" not in message
    assert "canary" not in "".join(traceback.format_exception(error))


def test_one_package_that_cannot_be_read_spoils_the_list(send, wire):
    wire.answer([LEAST, {"Status": "Queued"}])

    with pytest.raises(MalformedResponseError, match="PackageId"):
        send(LIST)


def test_a_started_build_without_an_id(send, wire):
    wire.answer({})

    with pytest.raises(MalformedResponseError, match=r"^POST /api/1/apps/calc/packages: HTTP 200") as raised:
        send(START)

    assert "Mendix may have carried it out all the same" in str(raised.value)
