"""A real proxy in a process of its own: it says its port, writes down what it is asked, and ends with its input.

Arguments: the file to write to, and ``user:password``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from proxy import Proxy
from proxy.http.parser import HttpParser
from proxy.http.proxy import HttpProxyBasePlugin

SEEN = "PROXY_SEEN"


class Recorder(HttpProxyBasePlugin):
    """Writes a line for each request whose password was right, before it goes on."""

    def before_upstream_connection(self, request: HttpParser) -> HttpParser:
        names = sorted(name.decode().lower() for name in request.headers or {})
        record = [request.method.decode(), f"{request.host.decode()}:{request.port}", names]
        with open(os.environ[SEEN], "a", encoding="utf-8") as seen:
            seen.write(json.dumps(record) + "\n")
        return request


def main(seen: str, password: str) -> None:
    os.environ[SEEN] = seen
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--hostname", "127.0.0.1", "--port", "0", "--num-acceptors", "1", "--num-workers", "1"]
        arguments += ["--basic-auth", password, "--data-dir", folder, "--log-level", "critical"]
        with Proxy(arguments, plugins=[Recorder]) as proxy:
            print(proxy.flags.port, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
