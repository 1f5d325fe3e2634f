"""Run the simulator until it is interrupted: ``python -m airflow_provider_mendix.simulator``."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_mendix.simulator.apis import control
from airflow_provider_mendix.simulator.faults.registry import KINDS
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.environments import USUAL_ENVIRONMENTS, DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import Ending, Timeline
from airflow_provider_mendix.simulator.state.platform import Platform
from airflow_provider_mendix.simulator.state.repositories import MAIN_LINES

_DEMO_KEY = "demo-api-key"
_DEMO_TOKEN = "demo-token"  # noqa: S105
_DEMO_APP = "shop"
_MONTH = 30 * 24 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve some apps until SIGINT or SIGTERM."""
    wish = _parser().parse_args(arguments)
    wish.app = wish.app or [_DEMO_APP]
    platform = Platform()
    platform.timeline = Timeline.of(wish.seconds)
    platform.deployment = DeploymentTimeline.of(wish.seconds)
    platform.ending = Ending(wish.ending)
    platform.package_size = wish.package_size
    platform.add_account(wish.user, wish.api_key)
    platform.add_personal_access_token(wish.personal_access_token)
    for app_id in wish.app:
        platform.add_app(app_id, repository=wish.repository)
    for fault in wish.fault:
        platform.faults.add(fault)
    if wish.with_old_package:
        for app_id in wish.app:
            _build_and_go_on(platform, app_id)

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = Server(platform, port=wish.port, files_port=wish.files_port, repository_port=wish.repository_port)
    try:
        server.start()
    except OSError as error:
        ports = "--port, --files-port and --repository-port"
        print(f"Cannot listen: {error.strerror}. Choose other ports with {ports}.", file=sys.stderr)
        return 1
    print(_introduction(server, wish), flush=True)
    stopped.wait()
    server.stop()
    return 0


def _build_and_go_on(platform: Platform, app_id: str) -> None:
    """Put a package of the first commit there, and a commit that is not built."""
    first = platform.commits(app_id)[-1]
    platform.add_package(app_id, version="0.9.0", revision=first.id, description="old", age=_MONTH)
    platform.push(app_id)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_mendix.simulator",
        description="A Mendix Cloud on this machine, reachable from this machine only.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=8787, help="port of the Deploy, Build and Team Server APIs; 0 for any")
    add("--repository-port", type=int, default=0, help="port of the App Repository API; 0 for any")
    add("--files-port", type=int, default=0, help="port of the file host; 0 for any")
    add("--user", default="demo@example.com", help="Mendix user name")
    add("--api-key", default=_DEMO_KEY, help="its API key")
    add("--personal-access-token", default=_DEMO_TOKEN, help="personal access token for the App Repository API")
    add("--app", action="append", default=[], help=f"subdomain of an app; may be repeated; {_DEMO_APP} if none is")
    add("--repository", choices=sorted(MAIN_LINES), default="git", help="kind of the apps' repositories")
    add("--seconds", type=float, default=10.0, help="how long a build takes, and a whole deployment")
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
    add(
        "--with-old-package",
        action="store_true",
        help="start with a package that is a month old, and a newer commit",
    )
    return parser


def _introduction(server: Server, wish: argparse.Namespace) -> str:
    connection = {
        "conn_type": "mendix",
        "login": wish.user,
        "password": wish.api_key,
        "host": server.api_url,
        "extra": {
            "personal_access_token": wish.personal_access_token,
            "repository_url": server.repository_url,
        },
    }
    return "\n".join(
        [
            f"A simulated Mendix Cloud listens on {server.api_url}, its repository host on"
            f" {server.repository_url}, its file host on {server.files_url}.",
            f"User {wish.user}, {wish.repository} {'app' if len(wish.app) == 1 else 'apps'} {', '.join(wish.app)}."
            f" A build takes {wish.seconds:g} s; how it ends: {wish.ending}.",
            f"Environments: {', '.join(USUAL_ENVIRONMENTS)}, with nothing on them.",
            f"What happened so far: {server.api_url}{control.PREFIX}journal, {control.PREFIX}packages and"
            f" {control.PREFIX}environments",
            "For Airflow:",
            f"export AIRFLOW_CONN_MENDIX_DEFAULT={shlex.quote(json.dumps(connection))}",
            "Stop it with Ctrl+C.",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
