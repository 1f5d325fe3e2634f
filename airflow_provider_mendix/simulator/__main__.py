"""Run the simulator until it is interrupted: ``python -m airflow_provider_mendix.simulator``."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_mendix.simulator import control
from airflow_provider_mendix.simulator.injector import KINDS
from airflow_provider_mendix.simulator.packages import Ending, Timeline
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server

_DEMO_KEY = "demo-api-key"
_MONTH = 30 * 24 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one app until SIGINT or SIGTERM."""
    wish = _parser().parse_args(arguments)
    platform = Platform()
    platform.timeline = Timeline.of(wish.seconds)
    platform.ending = Ending(wish.ending)
    platform.package_size = wish.package_size
    platform.add_account(wish.user, wish.api_key)
    platform.add_app(wish.app)
    for fault in wish.fault:
        platform.faults.add(fault)
    if wish.with_old_package:
        platform.add_package(wish.app, version="0.9.0", revision="5f0c9e1a", description="old", age=_MONTH)

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = Server(platform, port=wish.port, files_port=wish.files_port)
    try:
        server.start()
    except OSError as error:
        print(
            f"Cannot listen: {error.strerror}. Choose other ports with --port and --files-port.", file=sys.stderr
        )
        return 1
    print(_introduction(server, wish), flush=True)
    stopped.wait()
    server.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_mendix.simulator",
        description="A Mendix Cloud on this machine, reachable from this machine only.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=8787, help="port of the APIs; 0 for any")
    add("--files-port", type=int, default=0, help="port of the file host; 0 for any")
    add("--user", default="demo@example.com", help="Mendix user name")
    add("--api-key", default=_DEMO_KEY, help="its API key")
    add("--app", default="shop", help="subdomain of the app")
    add("--seconds", type=float, default=10.0, help="how long a build takes")
    add("--package-size", type=int, default=256 * 1024, help="bytes of each package")
    add("--ending", choices=[str(ending) for ending in Ending], default="succeeds", help="how builds end")
    add(
        "--fault",
        action="append",
        choices=sorted(KINDS),
        default=[],
        metavar="NAME",
        help="something that goes wrong, once or as long as is usual for it; may be repeated",
    )
    add("--with-old-package", action="store_true", help="start with a package that is a month old")
    return parser


def _introduction(server: Server, wish: argparse.Namespace) -> str:
    connection = {
        "conn_type": "mendix",
        "login": wish.user,
        "password": wish.api_key,
        "host": server.api_url,
    }
    return "\n".join(
        [
            f"A simulated Mendix Cloud listens on {server.api_url}, its file host on {server.files_url}.",
            f"User {wish.user}, app {wish.app}. A build takes {wish.seconds:g} s; how it ends: {wish.ending}.",
            f"What happened so far: {server.api_url}{control.PREFIX}journal and {control.PREFIX}packages",
            "For Airflow:",
            f"export AIRFLOW_CONN_MENDIX_DEFAULT={shlex.quote(json.dumps(connection))}",
            "Stop it with Ctrl+C.",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
