"""What a transfer goes from and to: a file host with the API of Mendix in front of it, and an S3 server."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

MIB = 1024 * 1024
LOGIN, PASSWORD, BUCKET = "bench", "secret-of-bench", "releases"


def make_zip(path: Path, size: int) -> None:
    """Write a zip of about that size: half of it stored and random, half deflated from what repeats itself."""
    noise = random.Random(1).randbytes(MIB)
    text = b"".join(b"%d: some words of a model, %d\n" % (line, line * 7919 % 1009) for line in range(200_000))
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    entries = [(0, noise, noise), (8, packer.compress(text) + packer.flush(), text)]
    sums = [zlib.crc32(plain) for _, _, plain in entries]
    directory = bytearray()
    written, number, of_kind = 0, 0, [0, 0]
    with path.open("wb") as file:
        while written + len(directory) < size - 2 * MIB or (number == 0 and size > MIB):
            kind = int(of_kind[1] < of_kind[0])
            method, packed, plain = entries[kind]
            name = b"model/file-%06d" % number
            common = struct.pack("<2H", 0, method) + struct.pack(
                "<2H3I2H", 0, 33, sums[kind], len(packed), len(plain), len(name), 0
            )
            directory += b"PK\1\2" + struct.pack("<H", 20) + struct.pack("<H", 20) + common
            directory += struct.pack("<3H2I", 0, 0, 0, 0, written) + name
            written += file.write(b"PK\3\4" + struct.pack("<H", 20) + common + name + packed)
            of_kind[kind] += len(packed)
            number += 1
        file.write(directory)
        file.write(b"PK\5\6" + struct.pack("<4H2IH", 0, 0, number, number, len(directory), written, 0))


@contextlib.contextmanager
def served(file: Path) -> Iterator[dict[str, str]]:
    """Serve a file as a package of Mendix's, in a process of its own; yield its URL, its id and the API's URL."""
    command = [sys.executable, __file__, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """Yield the URL of something like S3 that throws away what it gets."""
    command = [sys.executable, Path(__file__).with_name("sink.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


@contextlib.contextmanager
def rclone() -> Iterator[str]:
    """Yield the URL of an S3 server whose objects are in memory, if this machine can do that."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="bench-s3-", dir=memory) as root, socket.socket() as free:
        (Path(root) / BUCKET).mkdir()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        program = Path(sys.executable).with_name("rclone")
        command = [
            program,
            *("serve", "s3"),
            # Otherwise it reads all of an object for its MD5 with each HEAD, as no real store does.
            *("--etag-hash", ""),
            "--auth-key",
            f"{LOGIN},{PASSWORD}",
            "--addr",
            f"127.0.0.1:{port}",
            root,
        ]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                while socket.socket().connect_ex(("127.0.0.1", port)):
                    time.sleep(0.1)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.kill()


S3 = {"sink": sink, "rclone": rclone}


def serve(file: Path) -> None:
    """Run in a process of its own until standard input ends."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    from airflow_provider_mendix.simulator.platform import Platform
    from airflow_provider_mendix.simulator.server import Server

    size = file.stat().st_size

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("ETag", '"1"')
            self.end_headers()
            with file.open("rb") as body:
                self.connection.sendfile(body)

        def log_message(self, *_: object) -> None:
            pass

    host = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    platform = Platform()
    platform.permissions.add_account("bench", PASSWORD)
    platform.add_app("shop")
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    platform.packages[package_id].size = size
    with Server(platform) as server:
        platform.cloud.files_url = f"http://127.0.0.1:{host.server_port}"
        url = f"{platform.cloud.files_url}/file"
        print(json.dumps({"api": server.api_url, "url": url, "package_id": package_id}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
