"""The wire: a real web server on the loopback interface that sends what a test queues, and both senders."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import trustme

from airflow_provider_mendix.api.call import Call, Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.aiohttp_client import AsyncMendixClient
from airflow_provider_mendix.client.requests_client import MendixClient

SAMPLES = Path(__file__).parent / "samples"
USERNAME = "ana.dev@example.com"
API_KEY = "0f6d2c1e-key-that-must-not-be-shown"
MAX_STALL = 8.0
"""Seconds after which a slow server gives up, so that a client without a time limit fails its test."""

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Request(NamedTuple):
    """One request as it arrived; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Wire:
    """A web server that sends the queued responses in order and keeps the requests."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.over = threading.Event()
        self._queue: deque[Callable[[_Handler], None]] = deque()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.wire = self
        self._scheme = "http"
        if tls:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def request(self) -> Request:
        """The only request there was."""
        assert len(self.requests) == 1, self.requests
        return self.requests[0]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, body: Any = b"", status: int = 200, **headers: str) -> None:
        """Queue a complete response; a body that is not bytes is sent as JSON. `retry_after` is `Retry-After`."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        named = {"Content-Type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}}

        def behave(handler: _Handler) -> None:
            length = {} if status == 204 else {"Content-Length": str(len(body))}
            handler.start(status, {**named, **length})
            handler.wfile.write(body)

        self._queue.append(behave)

    def say(self, data: bytes) -> None:
        """Queue raw bytes, after which the connection is closed."""
        self._queue.append(lambda handler: handler.close_after(data))

    def hang_up(self) -> None:
        """Queue a closed connection instead of a response."""
        self.say(b"")

    def reset(self, after: bytes = b"") -> None:
        """Queue a TCP reset, at once or after some bytes."""

        def behave(handler: _Handler) -> None:
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.close_after(after)

        self._queue.append(behave)

    def cut(self, body: bytes, *, announced: int) -> None:
        """Queue a response that ends before its announced length."""
        self.say(_head(f"Content-Length: {announced}") + body)

    def stall(self, after: bytes = b"") -> None:
        """Queue a response that stops, until the test ends or the server gives up."""

        def behave(handler: _Handler) -> None:
            handler.wfile.write(after)
            self.over.wait(MAX_STALL)
            handler.close_connection = True

        self._queue.append(behave)

    def drip(self, *, status: int = 200, chunked: bool = False) -> None:
        """Queue a body that keeps coming slowly and does not end in time."""
        length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000"
        head = _head(length, "Location: /elsewhere", status=status)
        self.repeat(b"1\r\n \r\n" if chunked else b" ", after=head, pause=0.02)

    def repeat(self, piece: bytes, *, after: bytes, pause: float = 0) -> None:
        """Queue some bytes, and then others over and over, until the client leaves or the test ends."""

        def behave(handler: _Handler) -> None:
            handler.close_after(after)
            with contextlib.suppress(OSError):
                give_up_at = time.monotonic() + MAX_STALL
                while time.monotonic() < give_up_at and not self.over.wait(pause):
                    handler.wfile.write(piece)

        self._queue.append(behave)

    def trickle(self, body: bytes, *, pause: float) -> None:
        """Queue a complete response with a pause before each byte of its body."""

        def behave(handler: _Handler) -> None:
            handler.start(200, {"Content-Length": str(len(body))})
            for byte in body:
                self.over.wait(pause)
                handler.wfile.write(bytes([byte]))

        self._queue.append(behave)

    def serve(self, handler: _Handler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append(
            Request(handler.command, handler.requestline.split()[1], headers, handler.rfile.read(length))
        )
        if self._queue:
            self._queue.popleft()(handler)
        else:
            handler.start(500, {"Content-Length": "0", "X-Test": "no answer was queued"})


class _Server(ThreadingHTTPServer):
    wire: Wire
    daemon_threads = True
    block_on_close = False

    def shutdown_request(self, request: Any) -> None:
        request.close()  # the default shuts the connection down first, and then there is no reset


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):
            super().handle_one_request()
            return
        self.close_connection = True

    def do_GET(self) -> None:
        self.server.wire.serve(self)

    do_POST = do_PUT = do_DELETE = do_CONNECT = do_GET

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def close_after(self, data: bytes) -> None:
        self.close_connection = True
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _head(*headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode()


class Send:
    """Sends calls through one of the two senders, each time from a fresh client."""

    def __init__(self, library: str, account: Account) -> None:
        self.library = library
        self.account = account

    def __call__(self, call: Call[Any], **account: Any) -> Any:
        """Send one call; keyword arguments change the account."""
        return self.all([call], **account)[0]

    def all(self, calls: list[Call[Any]], **account: Any) -> list[Any]:
        """Send several calls, one after the other, from one client."""
        changed = msgspec.structs.replace(self.account, **account)
        if self.library == "aiohttp":
            return asyncio.run(_send_all(calls, changed))
        with MendixClient(changed) as client:
            return [client.send(call) for call in calls]


async def _send_all(calls: list[Call[Any]], account: Account) -> list[Any]:
    async with AsyncMendixClient(account) as client:
        return [await client.send(call) for call in calls]


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxies and certificates of the machine that runs the tests are not under test."""
    for name in (*_PROXY_VARIABLES, *(name.upper() for name in _PROXY_VARIABLES), *_CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """Read a sample that was typed from Mendix's documentation."""
    return lambda name: (SAMPLES / name).read_bytes()


@pytest.fixture(scope="session")
def private_ca() -> trustme.CA:
    """A certificate authority that is not trusted by default."""
    return trustme.CA()


@pytest.fixture(scope="session")
def bundle(private_ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CA bundle that makes it trusted."""
    path = tmp_path_factory.mktemp("tls") / "bundle.pem"
    private_ca.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def new_wire() -> Iterator[Callable[..., Wire]]:
    wires: list[Wire] = []

    def new(tls: ssl.SSLContext | None = None) -> Wire:
        wires.append(Wire(tls))
        return wires[-1]

    yield new
    for wire in wires:
        wire.close()


@pytest.fixture
def wire(new_wire: Callable[..., Wire]) -> Wire:
    """The API host."""
    return new_wire()


@pytest.fixture
def file_host(new_wire: Callable[..., Wire]) -> Wire:
    """Another host, which must get no credentials of Mendix."""
    return new_wire()


@pytest.fixture
def tls_host(new_wire: Callable[..., Wire], private_ca: trustme.CA) -> Wire:
    """A host with a certificate of the private authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    private_ca.issue_cert("127.0.0.1").configure_cert(context)
    return new_wire(context)


@pytest.fixture
def closed_port() -> int:
    """A port without a server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def account(wire: Wire) -> Account:
    return Account(username=USERNAME, api_key=API_KEY, base_urls={Host.DEPLOY: wire.url}, timeout=10)


@pytest.fixture(params=["requests", "aiohttp"])
def send(request: pytest.FixtureRequest, account: Account) -> Send:
    """One of the two senders, facing the API host."""
    return Send(request.param, account)
