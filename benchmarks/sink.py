"""As much of S3 as uploads need, which throws the bytes away: what is left to measure is the client alone.

It checks nothing, so nothing is proved here but speed. ``python benchmarks/sink.py`` prints its port.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_KEPT = 1024 * 1024
_upload_ids = itertools.count(1)
_sizes: dict[str, int] = {}
_small: dict[str, bytes] = {}
_parts: dict[str, dict[int, int]] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        path, query = self._target()
        size, content = self._receive()
        if "uploadId" in query:
            _parts[query["uploadId"]][int(query["partNumber"])] = size
        else:
            _sizes[path], _small[path] = size, content
        self._answer(200, b"", ETag='"1"')

    def do_POST(self) -> None:
        path, query = self._target()
        self._receive()
        bucket, _, key = path.strip("/").partition("/")
        if "uploadId" in query:
            _sizes[path] = sum(_parts.pop(query["uploadId"]).values())
            done = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>1</ETag>"
            self._answer(200, f"<CompleteMultipartUploadResult>{done}</CompleteMultipartUploadResult>".encode())
            return
        upload_id = hashlib.md5(str(next(_upload_ids)).encode(), usedforsecurity=False).hexdigest()
        _parts[upload_id] = {}
        begun = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{upload_id}</UploadId>"
        self._answer(200, f"<InitiateMultipartUploadResult>{begun}</InitiateMultipartUploadResult>".encode())

    def do_GET(self) -> None:
        path, query = self._target()
        if path in _small:
            self._answer(200, _small[path], ETag='"1"')
        elif "uploads" in query:
            self._answer(200, b"<ListMultipartUploadsResult></ListMultipartUploadsResult>")
        elif "list-type" in query:
            self._answer(200, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>")
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def do_HEAD(self) -> None:
        path, _ = self._target()
        if path in _sizes:
            self._answer(200, b"", length=_sizes[path], ETag='"1"', **{"Last-Modified": self.date_time_string()})
        else:
            self._answer(404, b"")

    def do_DELETE(self) -> None:
        path, _ = self._target()
        _sizes.pop(path, None)
        _small.pop(path, None)
        self._answer(204, b"")

    def _target(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        return parts.path, {name: values[0] for name, values in parse_qs(parts.query, True).items()}

    def _receive(self) -> tuple[int, bytes]:
        left = size = int(self.headers.get("Content-Length", 0))
        if size <= _KEPT:
            return size, self.rfile.read(size)
        buffer = memoryview(bytearray(_KEPT))
        while left:
            left -= self.rfile.readinto(buffer[: min(left, _KEPT)])
        return size, b""

    def _answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
