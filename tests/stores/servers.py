"""Servers that store objects for real: OpenStack Swift, which speaks S3, and Azurite. All on loopback.

Swift checks signatures and checksums, and refuses parts that are too small, as Amazon does; mocks of S3 do not.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from .installing import AZURITE, SWIFT

_LOOPBACK = "127.0.0.1"
_READY_WITHIN = 60.0

_PROXY_FILTERS = {
    "catch_errors": {},
    "gatekeeper": {},
    "healthcheck": {},
    "cache": {"use": "egg:swift#memcache"},
    "listing_formats": {},
    "bulk": {},
    "s3api": {"location": "us-east-1", "check_bucket_owner": "false"},
    "tempauth": {},
    "copy": {},
    "slo": {},
    "dlo": {},
}

_RINGS = """
import json, sys
from swift.common.ring import RingBuilder
for kind, port in json.loads(sys.argv[1]):
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    place = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port}
    copy = {"replication_ip": "127.0.0.1", "replication_port": port}
    builder.add_dev({"id": 0, "device": "disk", "weight": 1.0, "meta": "", **place, **copy})
    builder.rebalance()
    builder.get_ring().save(f"{kind}.ring.gz")
"""


class Swift:
    """One proxy, one server each for objects, containers and accounts, one copy. Use it as a context manager.

    :ivar port: where it speaks S3.
    """

    def __init__(self, login: str, password: str) -> None:
        self._account, _, self._user = login.partition(":")
        self._password = password
        self._stack = ExitStack()
        self._ports = dict(
            zip(("proxy", "object", "container", "account", "memcached"), _free_ports(5), strict=True)
        )
        self.port = self._ports["proxy"]

    def __enter__(self) -> Swift:
        try:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="swift-")))
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        (self._folder / "node" / "disk").mkdir(parents=True)
        hashes = {"swift-hash": {"swift_hash_path_suffix": "tests", "swift_hash_path_prefix": "tests"}}
        self._write("swift.conf", {**hashes, "storage-policy:0": {"name": "one", "default": "yes"}})
        self._write("proxy.conf", self._proxy())
        for kind in ("object", "container", "account"):
            self._write(f"{kind}.conf", self._server(kind))
        self._make_rings()
        memcached = ["memcached", "-u", "nobody", "-l", _LOOPBACK, "-p", str(self._ports["memcached"]), "-m", "32"]
        _start(self._stack, memcached, self._folder / "memcached.log", {})
        for kind in ("object", "container", "account", "proxy"):
            command = [SWIFT / "bin" / f"swift-{kind}-server", self._folder / f"{kind}.conf"]
            _start(self._stack, command, self._folder / f"{kind}.log", {"SWIFT_DIR": str(self._folder)})
        _wait(self._ports.values(), self._folder)

    def _proxy(self) -> dict[str, dict[str, str]]:
        filters = {
            f"filter:{name}": {"use": f"egg:swift#{name}", **options} for name, options in _PROXY_FILTERS.items()
        }
        filters["filter:cache"]["memcache_servers"] = f"{_LOOPBACK}:{self._ports['memcached']}"
        filters["filter:tempauth"][f"user_{self._account}_{self._user}"] = f"{self._password} .admin"
        return {
            "DEFAULT": self._default("proxy", workers="1"),
            "pipeline:main": {"pipeline": " ".join([*_PROXY_FILTERS, "proxy-server"])},
            "app:proxy-server": {
                "use": "egg:swift#proxy",
                "allow_account_management": "true",
                "account_autocreate": "true",
            },
            **filters,
        }

    def _server(self, kind: str) -> dict[str, dict[str, str]]:
        devices = {"devices": str(self._folder / "node"), "mount_check": "false", "disable_fallocate": "true"}
        return {
            "DEFAULT": {**self._default(kind, workers="1"), **devices, "recon_cache_path": str(self._folder)},
            "pipeline:main": {"pipeline": f"{kind}-server"},
            f"app:{kind}-server": {"use": f"egg:swift#{kind}"},
        }

    def _default(self, kind: str, workers: str) -> dict[str, str]:
        address = {"bind_ip": _LOOPBACK, "bind_port": str(self._ports[kind])}
        user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        folder = {"swift_dir": str(self._folder), "user": user, "log_level": "WARNING"}
        return {**address, **folder, "workers": workers}

    def _make_rings(self) -> None:
        """One process for all of them: Swift's own program takes a second for each of nine commands."""
        servers = [[kind, self._ports[kind]] for kind in ("object", "container", "account")]
        command = [SWIFT / "bin" / "python", "-c", _RINGS, json.dumps(servers)]
        subprocess.run(command, cwd=self._folder, check=True, stdout=subprocess.DEVNULL)

    def _write(self, name: str, sections: dict[str, dict[str, str]]) -> None:
        lines = []
        for section, options in sections.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in options.items())]
        (self._folder / name).write_text("\n".join(lines) + "\n")


class Azurite:
    """Microsoft's own simulator of Azure's blobs. Use it as a context manager.

    :ivar port: where it answers.
    """

    def __init__(self) -> None:
        (self.port,) = _free_ports(1)
        self._stack = ExitStack()

    def __enter__(self) -> Azurite:
        try:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="azurite-")))
            program = AZURITE / "node_modules" / ".bin" / "azurite-blob"
            options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
            command = [program, "--blobHost", _LOOPBACK, "--blobPort", str(self.port), *options]
            _start(self._stack, command, folder / "azurite.log", {})
            _wait([self.port], folder)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def _start(stack: ExitStack, command: list[str | Path], log: Path, environment: dict[str, str]) -> None:
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    stack.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server and its workers, which are the only ones in its session."""
    try:
        os.killpg(process.pid, 15)
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait(10)
    except ProcessLookupError:
        process.wait(10)


def _wait(ports: object, folder: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    for port in ports:
        while socket.socket().connect_ex((_LOOPBACK, port)):
            if time.monotonic() > deadline:
                said = "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in folder.glob("*.log"))
                raise RuntimeError(f"Nothing answers on port {port}.\n{said}")
            time.sleep(0.1)
