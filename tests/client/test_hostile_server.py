"""A hostile server costs bounded time and memory, and gets no secret: one table for all of its ways."""

from __future__ import annotations

import gzip
import time
import tracemalloc

import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.client import exchange
from airflow_provider_mendix.exceptions import MalformedResponseError, MendixConnectionError, RedirectedError

LIST = build.list_packages("calc")
MEBIBYTE = 1024 * 1024
START = b"HTTP/1.1 200 OK\r\n"
HEAD = START + b"Content-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
SPACES = b" " * 0x10000
BOMB = gzip.compress(bytes(100 * MEBIBYTE))
DRIP = 0.02

# Each takes the API host and another one.
ENDLESS = {
    "body": lambda wire, _: wire.repeat(SPACES, after=HEAD + b"\r\n"),
    "body of a refusal": lambda wire, _: wire.repeat(SPACES, after=b"HTTP/1.1 500 No\r\n\r\n"),
    "chunks": lambda wire, _: wire.repeat(b"10000\r\n" + SPACES + b"\r\n", after=CHUNKED),
    "gzip bomb": lambda wire, _: wire.answer(BOMB, Content_Encoding="gzip"),
    "gzip bomb in a refusal": lambda wire, _: wire.answer(BOMB, 500, Content_Encoding="gzip"),
    "deep JSON": lambda wire, _: wire.answer(b"[" * 500_000),
    "deep JSON in an unknown field": lambda wire, _: wire.answer(
        b'[{"PackageId": "1", "Status": "Queued", "More": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]"
    ),
}
# http.client has a time limit for each packet only.
ENDLESS_HEAD = {
    "promises": lambda wire, _: wire.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, after=b""),
    "trailers": lambda wire, _: wire.repeat(b"X: y\r\n" * 100, after=CHUNKED + b"2\r\n[]\r\n0\r\n"),
    "dripping status line": lambda wire, _: wire.repeat(b"K", after=b"HTTP/1.1 200 O", pause=DRIP),
    "dripping header": lambda wire, _: wire.repeat(b"a", after=HEAD + b"X-Slow: ", pause=DRIP),
    "dripping length of a chunk": lambda wire, _: wire.repeat(b"0", after=CHUNKED, pause=DRIP),
}
HUGE_HEAD = {
    "status line": lambda wire, _: wire.say(b"HTTP/1.1 200 " + b"K" * 0x20000 + b"\r\n\r\n"),
    "endless status line": lambda wire, _: wire.repeat(SPACES, after=b"HTTP/1.1 200 OK"),
    "header": lambda wire, _: wire.say(HEAD + b"X-Long: " + b"a" * 0x20000 + b"\r\n\r\n"),
    "endless header": lambda wire, _: wire.repeat(b"a" * 0x10000, after=HEAD + b"X-Long: "),
    "name of a header": lambda wire, _: wire.say(HEAD + b"X" * 0x20000 + b": a\r\n\r\n"),
    "many headers": lambda wire, _: wire.answer([], **{f"X-{n}": "a" * 1000 for n in range(1000)}),
    "endless headers": lambda wire, _: wire.repeat(b"X-Many: a\r\n" * 1000, after=HEAD),
    "endless length of a chunk": lambda wire, _: wire.repeat(b"0" * 0x10000, after=CHUNKED),
}
DRIPPING = {
    "body": lambda wire, _: wire.repeat(b" ", after=HEAD + b"\r\n", pause=DRIP),
    "body of known length": lambda wire, _: wire.drip(),
    "body of a refusal": lambda wire, _: wire.drip(status=500),
    "body of a redirect": lambda wire, _: wire.drip(status=302),
    "chunks": lambda wire, _: wire.drip(chunked=True),
    "gzip that never unpacks": lambda wire, _: wire.repeat(
        gzip.compress(b""), after=HEAD + b"Content-Encoding: gzip\r\n\r\n", pause=DRIP
    ),
}
REDIRECTING = {
    status: lambda wire, other, status=status: wire.answer(b"", status, Location=f"{other.url}/api/1/apps")
    for status in (301, 302, 303, 307, 308)
}
TABLE = [
    pytest.param(behave, kind, id=f"{name}: {what}")
    for name, rows, kind in (
        ("endless", ENDLESS, MalformedResponseError),
        ("huge head", HUGE_HEAD, MendixConnectionError),
        ("endless head", ENDLESS_HEAD, MendixConnectionError),
        ("dripping", DRIPPING, MendixConnectionError),
        ("redirecting", REDIRECTING, RedirectedError),
    )
    for what, behave in rows.items()
]


@pytest.mark.parametrize(("behave", "kind"), TABLE)
def test_a_hostile_server(send, wire, file_host, monkeypatch, behave, kind):
    monkeypatch.setattr(exchange, "MAX_BODY_SIZE", MEBIBYTE)
    wire.answer([])
    send(LIST)  # what the libraries take when they are loaded is not the server's doing
    behave(wire, file_host)
    tracemalloc.start()
    began = time.monotonic()

    try:
        with pytest.raises(kind) as raised:
            send(LIST, timeout=1)
        took = time.monotonic() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert type(raised.value) is kind
    assert took < 4
    assert peak < 10 * MEBIBYTE
    assert len(wire.requests) == 2
    assert file_host.requests == []
    assert len(str(raised.value)) < 1000
    assert send.account.api_key not in str(raised.value)
