"""The platform on three ports of this machine, as Mendix has three hosts."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from typing import Self
from urllib.parse import parse_qsl

from airflow_provider_mendix.simulator import control
from airflow_provider_mendix.simulator.page import page
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.wire import HostName, Reply, Request, headers_of

_LOOPBACK = "127.0.0.1"
_LONGEST_LINE = 65536


class Server:
    """A server of a platform on loopback, with threads of its own.

    It is a context manager, and can also be started and stopped.

    :param port: of the API host and of the control plane; 0 for any free port.
    :param files_port: of the file host; 0 for any free port.
    :param repository_port: of the host of the App Repository API and the Webhooks API; 0 for any free port.
    """

    def __init__(
        self, platform: Platform, *, port: int = 0, files_port: int = 0, repository_port: int = 0
    ) -> None:
        self.platform = platform
        self._ports: dict[HostName, int] = {"api": port, "files": files_port, "repository": repository_port}
        self._listeners: dict[HostName, _Listener] = {}

    @property
    def api_url(self) -> str:
        """Base URL of the API host."""
        return self._listeners["api"].url

    @property
    def files_url(self) -> str:
        """Base URL of the file host."""
        return self._listeners["files"].url

    @property
    def repository_url(self) -> str:
        """Base URL of the host of the App Repository API."""
        return self._listeners["repository"].url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start to listen.

        :raises OSError: if a port is taken.
        """
        try:
            for host, port in self._ports.items():
                self._listeners[host] = _Listener(host, port, self._respond)
        except OSError:
            self.stop()
            raise
        self.platform.cloud.files_url = self.files_url

    def stop(self) -> None:
        """Stop to listen, and close the connections that clients keep open."""
        while self._listeners:
            self._listeners.popitem()[1].stop()

    def _respond(self, request: Request) -> Reply:
        if request.host == "api" and request.path.startswith(control.PREFIX):
            return control.respond(self.platform, request.method, request.path, request.body)
        if request.host == "api" and (request.method, request.path) == ("GET", "/"):
            return page()
        return self.platform.handle(request)


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: HostName, port: int, respond: Callable[[Request], Reply]) -> None:
        self.host = host
        self.respond = respond
        self.connections: set[socket.socket] = set()
        super().__init__((_LOOPBACK, port), _Handler)
        self.url = f"http://{_LOOPBACK}:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def server_bind(self) -> None:
        # The inherited method asks the name service for the name of this machine, which may take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _LOOPBACK, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing when a client closes the connection, and everything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "MendixSimulator"
    sys_version = ""
    # Send headers and body together; apart, the body waits for the acknowledgement of the headers.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the journal has every request."""

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        try:
            body = self._read_body()
        except ValueError:
            self.send_error(400)
            return
        if body is None:
            # The client has closed the connection in the middle of the request: it is not handled.
            self.close_connection = True
            return
        request = Request(
            host=self.server.host,
            method=self.command,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=headers_of(self.headers.items()),
            body=body,
        )
        reply = self.server.respond(request)
        if self._client_closes(within=reply.delay) or reply.drop:
            self._drop(reset=reply.drop == "reset")
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204 and "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
            # Shorter than announced: the connection cannot be used again.
            self.close_connection |= len(reply.body) < int(reply.headers.get("Content-Length", 0))

    def _read_body(self) -> bytes | None:
        """Return the body of the request, or ``None`` if the client has closed the connection before its end.

        :raises ValueError: if its length or a chunk cannot be read.
        """
        if self.headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
            return self._read_chunks()
        length = int(self.headers.get("Content-Length", "0"))
        if length < 0 or "Transfer-Encoding" in self.headers:
            raise ValueError
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def _read_chunks(self) -> bytes | None:
        body = bytearray()
        while line := self.rfile.readline(_LONGEST_LINE):
            size = int(line.partition(b";")[0], 16)
            if size < 0:
                raise ValueError
            if size == 0:
                while self.rfile.readline(_LONGEST_LINE).strip():
                    pass
                return bytes(body)
            body += self.rfile.read(size)
            if self.rfile.read(2) not in (b"\r\n", b""):
                raise ValueError
        return None

    def _client_closes(self, *, within: float) -> bool:
        """Wait in real time, and return whether the client or the server has closed the connection meanwhile."""
        if not within:
            return False
        self.connection.settimeout(within)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        except OSError:
            return True
        else:
            return True
        finally:
            self.connection.settimeout(None)

    def _drop(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # The inherited way to close shuts the connection down first, which prevents the reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.connection.detach())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815
