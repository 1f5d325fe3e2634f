"""A PostgreSQL server for the tests, with its own data, on a port of loopback."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2

INSTALLED_WITHIN = 600.0
READY_WITHIN = 60.0
_LOOPBACK = "127.0.0.1"
_OWNER = "airflow"


class Postgres:
    """One server process. Its data is deleted at the end, so nothing is synced to disk.

    :raises RuntimeError: if there is no PostgreSQL, and it cannot be installed.
    """

    def __init__(self) -> None:
        self._programs = find_programs() or install()
        self._password = secrets.token_hex(16)
        self._port = _free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="crashes-postgresql-"))
        self._server: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root; Debian's package creates a user for it.
        self._user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}

    @property
    def url(self) -> str:
        """The URL that Airflow connects to."""
        return f"postgresql+psycopg2://{_OWNER}:{self._password}@{_LOOPBACK}:{self._port}/postgres"

    def start(self) -> None:
        """Create a database cluster and start its server.

        :raises RuntimeError: if it is not ready in time; with its output.
        """
        if self._user:
            shutil.chown(self._folder, "postgres", "postgres")
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        if self._user:
            shutil.chown(password_file, "postgres")
        data = self._folder / "data"
        made = subprocess.run(
            [
                *(self._programs / "initdb", "-D", data, "-U", _OWNER, "-E", "UTF8", "--locale=C.UTF-8"),
                *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync"),
            ],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            **self._user,
        )
        password_file.unlink()
        if made.returncode:
            raise RuntimeError(f"initdb has ended with {made.returncode}.\n{made.stdout}{made.stderr}")
        settings = {
            "listen_addresses": _LOOPBACK,
            "port": self._port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 200,
        }
        log = self._folder / "server.log"
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                [
                    *(self._programs / "postgres", "-D", data),
                    *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._user,
            )
        deadline = time.monotonic() + READY_WITHIN
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL is not ready after {READY_WITHIN:.0f} s.\n{log.read_text()}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop the server, even with clients connected, and delete its data."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._server.wait(timeout=30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def version(self) -> str:
        """Return its version."""
        with contextlib.closing(self._connect()) as connection:
            return f"{connection.server_version // 10000}.{connection.server_version % 10000}"

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host=_LOOPBACK, port=self._port, user=_OWNER, password=self._password, dbname="postgres"
        )


def find_programs() -> Path | None:
    """Return the folder with PostgreSQL's programs, the newest if there are several."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def install() -> Path:
    """Install Debian's package.

    :raises RuntimeError: if that is not possible.
    """
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError("These tests need PostgreSQL's server programs: install the package postgresql.")
    for words in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
        done = subprocess.run(
            ["apt-get", "-q", *words],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=INSTALLED_WITHIN,
            capture_output=True,
            text=True,
            check=False,
        )
    programs = find_programs()
    if programs is None:
        raise RuntimeError(
            f"PostgreSQL is missing, and apt-get could not install it ({done.returncode}).\n{done.stderr}"
        )
    return programs


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
