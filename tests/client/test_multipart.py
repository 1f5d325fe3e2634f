"""The upload of a file: what is sent, connections that break, and servers that refuse."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import msgspec
import pytest

from airflow_provider_mendix.api import deploy_v2
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.api.deploy_v2 import StartedUpload
from airflow_provider_mendix.client.multipart import FileForm
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import (
    DamagedFileError,
    ForbiddenError,
    MalformedResponseError,
    MendixConnectionError,
    MendixResponseError,
    RateLimitedError,
    RedirectedError,
    ServiceUnavailableError,
    UnauthorizedError,
)

MIB = 1024 * 1024
NAME = "calc_1.0.0.45.mda"
UPLOAD = deploy_v2.upload_package("calc", NAME)
PATH = "/api/v2/apps/calc/packages/upload"
OUTCOME_UNKNOWN = "Mendix may still have processed the request; check before sending it again."
CONTENT = b"PK\x03\x04" + bytes(range(256)) * 1000 + b"\r\n--\r\n"


def form(content: bytes = CONTENT, *, size: int | None = None, name: str = NAME) -> FileForm:
    pieces = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]
    return FileForm(name, len(content) if size is None else size, pieces)


def upload(account, body: FileForm, **changes):
    with MendixClient(msgspec.structs.replace(account, **changes)) as client:
        return client.upload(UPLOAD, body)


def test_documented_upload(account, wire, sample):
    wire.answer(sample("deploy_v2/started_upload.json"))

    assert upload(account, form()) == StartedUpload(
        package_id="b3d14e53-2654-4534-b374-9179a69ef3cf", job_id="66046953-ecf7-4550-a889-4b7e9f1e1705"
    )

    request = wire.request
    assert (request.method, request.target) == ("POST", f"{PATH}?name={NAME}")
    assert request.headers["mendix-username"] == account.username
    assert request.headers["mendix-apikey"] == account.api_key
    assert "authorization" not in request.headers
    assert "transfer-encoding" not in request.headers
    boundary = re.fullmatch(
        r"multipart/form-data; boundary=(mendix-[0-9a-f]{32})", request.headers["content-type"]
    )[1]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{NAME}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    assert request.body == head.encode() + CONTENT + f"\r\n--{boundary}--\r\n".encode()
    assert request.headers["content-length"] == str(len(request.body))


def test_each_form_has_a_boundary_of_its_own():
    assert form().content_type != form().content_type


@pytest.mark.parametrize(
    ("name", "query", "filename"),
    [
        ("Main line-2.5.4.63.mda", "Main+line-2.5.4.63.mda", "Main line-2.5.4.63.mda"),
        ('a"b&c=d.mda', "a%22b%26c%3Dd.mda", "a%22b&c=d.mda"),
        ("größe.mda", "gr%C3%B6%C3%9Fe.mda", "größe.mda"),
    ],
)
def test_odd_names(account, wire, sample, name, query, filename):
    wire.answer(sample("deploy_v2/started_upload.json"))

    with MendixClient(account) as client:
        client.upload(deploy_v2.upload_package("calc", name), form(name=name))

    assert wire.request.target == f"{PATH}?name={query}"
    assert f'filename="{filename}"\r\n'.encode() in wire.request.body


@pytest.mark.parametrize(
    ("status", "body", "kind", "doubt"),
    [
        (400, {"errorCode": "INVALID_PARAMETERS"}, MendixResponseError, False),
        (401, b"", UnauthorizedError, False),
        (403, b"", ForbiddenError, False),
        (413, b"<html>", MendixResponseError, False),
        (429, b"", RateLimitedError, False),
        (302, b"", RedirectedError, False),
        (500, {"errorCode": "UPLOAD_COPY_FAILED"}, MendixResponseError, False),
        (502, b"", ServiceUnavailableError, True),
        (504, b"", ServiceUnavailableError, True),
        (200, b"", MalformedResponseError, True),
        (200, {"PackageId": "p"}, MalformedResponseError, True),
    ],
)
def test_refused(account, wire, status, body, kind, doubt):
    wire.answer(body, status)

    with pytest.raises(kind) as raised:
        upload(account, form())

    assert f" (POST {PATH}: HTTP {status}" in str(raised.value)
    assert (OUTCOME_UNKNOWN in str(raised.value)) == doubt
    assert len(wire.requests) == 1


def test_a_file_that_is_too_big_is_called_so(account, wire):
    wire.answer(b"", 413)

    with pytest.raises(MendixResponseError, match=r"The file is too big: .* limit of 1 GB.* HTTP 413\)$"):
        upload(account, form())


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_interim_response_is_not_the_response(account, wire, sample, status):
    body = sample("deploy_v2/started_upload.json")
    interim, head = f"HTTP/1.1 {status} Interim\r\n\r\n", f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    wire.say((interim + head).encode() + body)

    assert upload(account, form()).job_id == "66046953-ecf7-4550-a889-4b7e9f1e1705"


def test_the_outcome_of_a_lost_response_is_unknown(account, wire):
    wire.hang_up()

    with pytest.raises(MendixConnectionError, match=re.escape(OUTCOME_UNKNOWN)):
        upload(account, form())

    assert len(wire.requests) == 1


def test_the_outcome_of_a_timeout_is_unknown(account, wire):
    wire.stall()

    with pytest.raises(MendixConnectionError, match=f"timed out. {re.escape(OUTCOME_UNKNOWN)}"):
        upload(account, form(), timeout=1)


def test_a_closed_port(account, closed_port):
    urls = {Host.DEPLOY: f"http://127.0.0.1:{closed_port}"}

    with pytest.raises(
        MendixConnectionError, match=r"broke off after 0 of .* refused\. Mendix did not get the whole"
    ):
        upload(account, form(), base_urls=urls)


class BrokenError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [BrokenError("no"), OSError(5, "disk"), BrokenPipeError(32, "pipe"), TimeoutError("late")]
)
def test_an_error_of_the_source_is_raised(account, wire, error):
    def pieces() -> Iterator[bytes]:
        yield CONTENT
        raise error

    with pytest.raises(type(error)) as raised:
        upload(account, FileForm(NAME, 2 * len(CONTENT), pieces()), timeout=1)

    assert raised.value is error


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_source_of_another_length_sends_no_complete_request(account, wire, size):
    with pytest.raises(DamagedFileError, match=f"no longer {size} bytes long"):
        upload(account, form(size=size))


class Line:
    """A host that reads what it is told to, and then does what it is told to."""

    def __init__(self, behave: Callable[[Line], None]) -> None:
        self.received = 0
        self.over = threading.Event()
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def read(self, count: int, pause: float = 0) -> None:
        buffer = bytearray(64 * 1024)
        while self.received < count and (got := self.connection.recv_into(buffer)):
            self.received += got
            if pause:
                time.sleep(pause)

    def answer(self, body: object, status: int = 200) -> None:
        said = json.dumps(body).encode()
        self.connection.sendall(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(said)}\r\n\r\n".encode() + said)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def close(self) -> None:
        self.over.set()
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        self.connection, _ = self._listener.accept()
        with self.connection:
            self._behave(self)


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    lines: list[Line] = []

    def new(behave: Callable[[Line], None]) -> Line:
        lines.append(Line(behave))
        return lines[-1]

    yield new
    for opened in lines:
        opened.close()


def big(size: int) -> FileForm:
    piece = bytes(MIB)
    return FileForm(NAME, size, (piece for _ in range(size // MIB)))


STARTED = {"PackageId": "p", "JobId": "j"}


def test_the_outcome_of_a_reset_in_the_file_is_known(account, line):
    def behave(line: Line) -> None:
        line.read(2 * MIB)
        line.reset()

    host = line(behave)

    with pytest.raises(
        MendixConnectionError, match=r"broke off after \d+ of \d+ bytes: .*Mendix did not get"
    ) as raised:
        upload(account, big(64 * MIB), base_urls={Host.DEPLOY: host.url})

    assert OUTCOME_UNKNOWN not in str(raised.value)


@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (413, MendixResponseError)])
@pytest.mark.parametrize("then", ["closes", "reads on"])
def test_an_early_refusal_is_read(account, line, status, kind, then):
    def behave(line: Line) -> None:
        line.read(MIB)
        line.answer({"errorMessage": "No."}, status)
        if then == "reads on":
            line.read(2**40)

    host = line(behave)
    base_urls = {Host.DEPLOY: host.url}

    with pytest.raises(kind, match=f": No\\. .*HTTP {status}"):
        upload(account, big(48 * MIB), base_urls=base_urls, timeout=1)


def test_a_host_that_stops_reading(account, line):
    def behave(line: Line) -> None:
        line.read(MIB)
        line.over.wait(10)

    host = line(behave)
    began = time.monotonic()

    with pytest.raises(MendixConnectionError, match="broke off after .* timed out"):
        upload(account, big(64 * MIB), base_urls={Host.DEPLOY: host.url}, timeout=1)

    assert time.monotonic() - began < 5


def test_a_long_upload(account, line):
    """Twice the time-out passes, but never at once."""

    def behave(line: Line) -> None:
        line.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        line.read(24 * MIB, pause=0.005)
        line.answer(STARTED)

    host = line(behave)
    began = time.monotonic()

    assert upload(account, big(24 * MIB), base_urls={Host.DEPLOY: host.url}, timeout=1).job_id == "j"

    assert time.monotonic() - began > 1.5


def test_memory_does_not_grow_with_the_file(account, line):
    size = 64 * MIB

    def behave(line: Line) -> None:
        line.read(size)
        line.answer(STARTED)

    host = line(behave)
    upload_once = big(size)
    tracemalloc.start()
    try:
        upload(account, upload_once, base_urls={Host.DEPLOY: host.url})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert host.received > size
    assert peak < 8 * MIB


def test_it_goes_by_tls_and_by_the_proxy_of_the_account(account, tls_host, bundle, sample, new_wire):
    tls_host.answer(sample("deploy_v2/started_upload.json"))

    upload(account, form(), base_urls={Host.DEPLOY: tls_host.url}, verify=str(bundle))

    assert CONTENT in tls_host.request.body
    proxy = new_wire()
    proxy.answer(sample("deploy_v2/started_upload.json"))
    upload(account, form(), base_urls={Host.DEPLOY: "http://localhost:1"}, proxy=proxy.url)
    assert proxy.request.target == f"http://localhost:1{PATH}?name={NAME}"
    assert CONTENT in proxy.request.body
