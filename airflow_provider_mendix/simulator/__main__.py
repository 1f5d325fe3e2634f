"""Run the simulator until it is interrupted: ``python -m airflow_provider_mendix.simulator``."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

import msgspec

from airflow_provider_mendix.simulator import control
from airflow_provider_mendix.simulator.faults.registry import KINDS
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.apps import InvalidAppError
from airflow_provider_mendix.simulator.state.environments import DEFAULT_ENVIRONMENTS, DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline
from airflow_provider_mendix.simulator.state.repositories import MAIN_LINES

_DEMO_KEY = "demo-api-key"
_DEMO_TOKEN = "demo-token"  # noqa: S105
_DEMO_APP = "shop"
_MONTH = 30 * 24 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve some apps until SIGINT or SIGTERM."""
    options = parser().parse_args(arguments)
    options.app = options.app or [_DEMO_APP]
    try:
        platform = Platform(options=_open_questions(options.option))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    platform.packages.timeline = Timeline.of(options.seconds)
    platform.environments.timeline = DeploymentTimeline.of(options.seconds)
    platform.packages.outcome = BuildOutcome(options.outcome)
    platform.packages.default_size = options.package_size
    platform.permissions.add_account(options.user, options.api_key)
    platform.permissions.add_personal_access_token(options.personal_access_token)
    try:
        for app_id in options.app:
            platform.add_app(app_id, repository=options.repository)
    except InvalidAppError as error:
        print(error, file=sys.stderr)
        return 2
    for fault in options.fault:
        platform.faults.add(fault)
    if options.with_old_package:
        for app_id in options.app:
            _add_old_package(platform, app_id)

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server = Server(
        platform, port=options.port, files_port=options.files_port, repository_port=options.repository_port
    )
    try:
        server.start()
    except OSError as error:
        ports = "--port, --files-port and --repository-port"
        print(f"Cannot listen: {error.strerror}. Choose other ports with {ports}.", file=sys.stderr)
        return 1
    print(_banner(server, options), flush=True)
    stopped.wait()
    server.stop()
    return 0


def _add_old_package(platform: Platform, app_id: str) -> None:
    """Add a package of the first commit, and a commit without a package."""
    first = platform.repositories.commits(app_id)[-1]
    platform.packages.add(app_id, version="0.9.0", revision=first.id, description="old", age=_MONTH)
    platform.repositories.push(app_id)


def parser() -> argparse.ArgumentParser:
    commands = argparse.ArgumentParser(
        prog="python -m airflow_provider_mendix.simulator",
        description="A Mendix Cloud on this machine, reachable from this machine only.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = commands.add_argument
    add(
        "--port",
        type=int,
        default=8787,
        help="port of the other APIs; 0 for any free port",
    )
    add("--repository-port", type=int, default=8788, help="port of the App Repository API; 0 for any free port")
    add("--files-port", type=int, default=8789, help="port of the file host; 0 for any free port")
    add("--user", default="demo@example.com", help="Mendix user name")
    add("--api-key", default=_DEMO_KEY, help="its API key")
    add("--personal-access-token", default=_DEMO_TOKEN, help="personal access token for the App Repository API")
    add("--app", action="append", default=[], help=f"subdomain of an app; may be repeated (default: {_DEMO_APP})")
    add("--repository", choices=sorted(MAIN_LINES), default="git", help="kind of the apps' repositories")
    add("--seconds", type=float, default=10.0, help="how long a build takes, and a whole deployment")
    add("--package-size", type=int, default=256 * 1024, help="bytes of each package")
    add("--outcome", choices=[str(outcome) for outcome in BuildOutcome], default="succeeds", help="how builds end")
    add(
        "--fault",
        action="append",
        choices=sorted(KINDS),
        default=[],
        metavar="NAME",
        help="a fault, which strikes once, or until it is removed if that is its default; may be repeated",
    )
    add(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what Mendix's documentation leaves open, such as stop=asynchronous; may be repeated",
    )
    add(
        "--with-old-package",
        action="store_true",
        help="start with a package that is a month old, and a newer commit",
    )
    return commands


def _open_questions(given: Sequence[str]) -> Options:
    fields = {field.name: field for field in msgspec.structs.fields(Options)}
    values: dict[str, str] = {}
    for pair in given:
        name, _, value = pair.partition("=")
        if name not in fields:
            raise ValueError(f"There is no option {name!r}. There are: {', '.join(sorted(fields))}.")
        values[name] = value
    try:
        return msgspec.convert(values, Options, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("$.")[2].rstrip("`")
        kind = fields[name].type
        is_word = get_origin(kind) is Literal
        choices = "true, false" if kind is bool else ", ".join(map(str, get_args(kind))) if is_word else "a number"
        raise ValueError(f"--option {name} cannot be {values[name]!r}. It can be: {choices}.") from None


def _newest(platform: Platform, app_id: str) -> str:
    repository = platform.repositories[app_id]
    return f"{repository.type}, newest revision {repository.commits()[0].id} of {repository.main_line}"


def _banner(server: Server, options: argparse.Namespace) -> str:
    connection = {
        "conn_type": "mendix",
        "login": options.user,
        "password": options.api_key,
        "host": server.api_url,
        "extra": {
            "personal_access_token": options.personal_access_token,
            "repository_url": server.repository_url,
            "webhooks_url": server.repository_url,
        },
    }
    return "\n".join(
        [
            f"A simulated Mendix Cloud listens on {server.api_url}, its repository host on"
            f" {server.repository_url}, its file host on {server.files_url}.",
            f"User {options.user}. A build takes {options.seconds:g} s; its outcome: {options.outcome}.",
            *(f"App {app_id}: {_newest(server.platform, app_id)}." for app_id in options.app),
            f"Environments: {', '.join(DEFAULT_ENVIRONMENTS)}, with no package on them.",
            f"See it in a browser: {server.api_url}/",
            f"Requests and state as JSON: {server.api_url}{control.PREFIX}journal, apps, packages and others",
            "For Airflow:",
            f"export AIRFLOW_CONN_MENDIX_DEFAULT={shlex.quote(json.dumps(connection))}",
            "Stop it with Ctrl+C.",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
