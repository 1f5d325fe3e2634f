"""A server process that responds to polls as Mendix, Databricks, dbt Cloud and Airbyte do, over TLS.

Its responses have the JSON of the simulator, but from prepared bytes: the simulator builds each list anew, which
takes longer than what is measured. It reads commands from standard input, one JSON value a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import sys
import time
from collections import Counter

import msgspec

from benchmarks.scenario import Scenario, package_id

RUNNING = {
    "databricks": {
        "run_id": 1,
        "state": {"life_cycle_state": "RUNNING", "result_state": None, "state_message": "In run"},
        "tasks": [],
    },
    "dbt": {"status": {"code": 200, "is_success": True}, "data": {"id": 1, "status": 3, "is_complete": False}},
    "airbyte": {
        "jobId": 1,
        "status": "running",
        "jobType": "sync",
        "startTime": "2026-11-21T00:00:00Z",
        "connectionId": package_id(1),
    },
}


class Mendix:
    """The packages of a scenario."""

    def __init__(self, scenario: Scenario, began: float) -> None:
        self.scenario, self.began = scenario, began
        self.waited: dict[str, list[int]] = {}
        for number in range(scenario.waits):
            self.waited.setdefault(scenario.app(number), []).append(number)
        self.others: dict[str, bytes] = {}
        for app, numbers in self.waited.items():
            others = range(scenario.packages - len(numbers))
            first = 10**9 + 10**5 * int(app.removeprefix("app"))
            self.others[app] = b"".join(b"," + self.shown(first + other, "Succeeded") for other in others)
        self.bodies = [
            (self.shown(number, "Building"), self.shown(number, "Succeeded")) for number in range(scenario.waits)
        ]

    def shown(self, number: int, status: str) -> bytes:
        """Return one package, with as many bytes as the simulator's."""
        package = {
            "PackageId": package_id(number),
            "Name": "main-2.5.4.9f3ab2c1.mda",
            "Description": "Nightly [airflow 0123456789abcdef try 1 of 4]",
            "Version": "2.5.4.9f3ab2c1",
            "Creator": "Demo Engineer",
            "CreationDate": 1_700_000_000_000 + number,
            "Status": status,
        }
        return msgspec.json.encode(package | ({"Size": 1_999_059} if status == "Succeeded" else {}))

    def package(self, number: int) -> bytes:
        return self.bodies[number][time.time() >= self.began + self.scenario.done_after(number)]

    def answer(self, path: str) -> bytes:
        """Return the response for one package, or for the list of an app."""
        _, _, _, _, app, _, *rest = path.split("/")
        if rest:
            return self.package(int(rest[0][-12:]))
        return b"[" + b",".join(map(self.package, self.waited[app])) + self.others[app] + b"]"


class Recorder:
    """The connections and requests so far."""

    def __init__(self) -> None:
        self.mendix: Mendix | None = None
        self.connections = 0
        self.requests: list[float] = []
        self.kinds: Counter[str] = Counter()

    def answer(self, path: str) -> bytes:
        self.requests.append(time.time())
        if "/apps/" in path and self.mendix:
            self.kinds["list" if path.endswith("/packages") else "single"] += 1
            return self.mendix.answer(path)
        return FIXED["databricks" if "/runs/get" in path else "airbyte" if "/jobs/" in path else "dbt"]

    def report(self) -> dict[str, object]:
        return {"connections": self.connections, "requests": self.requests, "kinds": dict(self.kinds)}


FIXED = {name: json.dumps(body).encode() for name, body in RUNNING.items()}
recorder = Recorder()


class Connection(asyncio.Protocol):
    """As much HTTP as a poll needs: complete requests, and keep-alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.received = transport, b""
        recorder.connections += 1

    def data_received(self, data: bytes) -> None:
        self.received += data
        while b"\r\n\r\n" in self.received:
            head, _, rest = self.received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = int(length[1]) if length else 0
            if len(rest) < body:
                return
            self.received = rest[body:]
            answer = recorder.answer(head.split(b" ", 2)[1].decode().partition("?")[0])
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(answer), answer)
            )


async def main(certificate: str, core: str) -> None:
    if core:
        os.sched_setaffinity(0, {int(core)})
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(json.dumps(server.sockets[0].getsockname()[1]), flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        if command == "report":
            print(json.dumps(recorder.report()), flush=True)
            continue
        recorder.__init__()  # type: ignore[misc]
        recorder.mendix = Mendix(msgspec.convert(command["scenario"], Scenario), command["began"])
        print(json.dumps("ready"), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
