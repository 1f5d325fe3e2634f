"""A connection to an S3 server on which each call can be seen, refused, lost or cut, by any client."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trustme import LeafCert

REFUSED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>not today</Message></Error>"
READING = ("Head", "List", "Get")


def operation(method: str, target: str) -> str:
    """Name a call as Amazon does."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    is_object = "/" in parts.path.strip("/")
    if "uploads" in query:
        return {"POST": "CreateMultipartUpload", "GET": "ListMultipartUploads"}[method]
    if "uploadId" in query:
        uploads = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
        return uploads.get(method, "ListParts")
    if method == "POST":
        return "DeleteObjects"
    if method == "GET" and not is_object:
        return "ListObjectsV2"
    return {"HEAD": "Head", "GET": "Get", "PUT": "Put", "DELETE": "Delete"}[method] + (
        "Object" if is_object else "Bucket"
    )


class Wire:
    """Forwards calls to a server on loopback. Use it as a context manager.

    :ivar calls: the names of all calls, in order.
    :ivar paths: the paths of all calls, in order.
    :ivar before: called with the name and the number of each call, from 1; what it returns is done to the call:
        ``refuse`` it, ``lose`` its answer once it is carried out, ``cut`` the connection in the middle of it, or
        ``fail`` as a server in trouble does, ``flip`` a bit of what it sends,
        ``frame`` it in chunks, or ``break`` its answer off; or a
        status and an error code to answer with.
    :ivar watch: called with the name, the headers and the body of each call.
    """

    def __init__(self, target: int, certificate: LeafCert | None = None) -> None:
        self.calls: list[str] = []
        self.paths: list[str] = []
        self.watch: Callable[[str, Any, bytes], None] = lambda name, headers, body: None
        self.before: Callable[[str, int], str | tuple[int, str] | None] = lambda name, number: None
        self._lock = threading.Lock()
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_call(self) -> None:
                name = operation(self.command, self.path)
                with wire._lock:
                    wire.calls.append(name)
                    wire.paths.append(urlsplit(self.path).path)
                    number = len(wire.calls)
                fate = wire.before(name, number)
                length = int(self.headers.get("Content-Length", 0))
                if fate == "cut":
                    self.rfile.read(length // 2)
                    self.hang_up()
                    return
                body = self.rfile.read(length)
                wire.watch(name, self.headers, body)
                if fate == "flip" and body:
                    body = body[:-1] + bytes([body[-1] ^ 1])
                if isinstance(fate, tuple):
                    status, code = fate
                    self.answer(
                        status,
                        {"Content-Type": "application/xml"},
                        b"<Error><Code>%s</Code></Error>" % code.encode(),
                    )
                    return
                if fate == "frame":
                    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
                    self.headers.replace_header("Content-Length", str(len(body)))
                if fate == "refuse":
                    self.answer(403, {"Content-Type": "application/xml"}, REFUSED)
                    return
                if fate == "fail":
                    self.answer(503, {}, b"")
                    return
                server = http.client.HTTPConnection("127.0.0.1", target, timeout=60)
                try:
                    server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for header, value in self.headers.items():
                        if header.lower() not in ("connection", "expect"):
                            server.putheader(header, value)
                    server.endheaders(body or None)
                    reply = server.getresponse()
                    content = reply.read()
                finally:
                    server.close()
                if fate == "lose":
                    self.answer(403, {"Content-Type": "application/xml"}, REFUSED)
                    return
                headers = dict(reply.headers.items())
                import sys

                print(name, reply.status, headers, file=sys.stderr)
                if "Content-Range" in headers:
                    # rclone sends the checksum of the whole object with a part of it; Amazon does not.
                    headers = {name: value for name, value in headers.items() if "checksum" not in name.lower()}
                if fate == "break":
                    self.wfile.write(b"HTTP/1.1 206 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
                    self.wfile.write(content[: len(content) // 2])
                    self.hang_up()
                    return
                self.answer(reply.status, headers, content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_call

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                kept = {name.lower(): value for name, value in headers.items()}
                length = kept.pop("content-length", None) if self.command == "HEAD" else str(len(body))
                for name in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    kept.pop(name, None)
                for name, value in kept.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def hang_up(self) -> None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

            def log_message(self, *_: Any) -> None:
                pass

        class Listening(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients that hang up in the middle of a call are expected here."""

        self._server = Listening(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Wire:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        """Count anew, and let everything pass."""
        self.calls.clear()
        self.paths.clear()
        self.before = lambda name, number: None

    def at(self, number: int, fate: str) -> None:
        """Count anew, and do something to one call."""
        self.forget()
        self.before = lambda name, count: fate if count == number else None
