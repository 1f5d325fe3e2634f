"""Build and archive on real Airflow: against the bundled simulator, or against Mendix with your credentials.

The screen shows a summary, `.demo/airflow.log` all of Airflow's output. Exit code 0 only if the archived
object is the package, byte for byte by the simulator's own record.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
LOG = HOME / "airflow.log"
DAG_ID = "example_mendix_archive"
REAL = ("MENDIX_USERNAME", "MENDIX_API_KEY", "MENDIX_APP_ID", "MENDIX_REVISION")
TOLD = re.compile(
    r"T(?P<time>[\d:]{8})\S* \[\w+ *\] (?P<what>Started package|Package [\w-]+ of app|Pausing task as DEFERRED"
    r"|\[DAG TEST\] running trigger|\[DAG TEST\] Trigger completed|Streaming package|Stored \d+ bytes"
    r"|Deleted package)(?P<more>.*?) +\["
)
IN_PLAIN_WORDS = {
    "Pausing task as DEFERRED": "The task defers: it frees its worker slot, and a trigger waits instead.",
    "[DAG TEST] running trigger": "The trigger polls every 10 seconds …",
    "[DAG TEST] Trigger completed": "The trigger has fired: the task resumes.",
}


class DemoError(Exception):
    """The demo did not show what it promises; the message says why."""


@dataclass
class Plan:
    """The package to release, and the connection to use."""

    connection: dict[str, object]
    conf: dict[str, str]


def main() -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", choices=["succeeds", "fails"], default="succeeds", help="how the build ends")
    parser.add_argument(
        "--team-server", choices=["serves", "retired"], default="serves", help="that API of Mendix"
    )
    arguments = parser.parse_args()
    HOME.mkdir(exist_ok=True)
    try:
        given = [name for name in REAL if os.environ.get(name)]
        if not given:
            return simulated(fails=arguments.build == "fails", team_server=arguments.team_server)
        if len(given) < len(REAL):
            missing = ", ".join(name for name in REAL if name not in given)
            raise DemoError(f"{', '.join(given)} set, but not {missing}: to talk to Mendix, set all of them.")
        return real()
    except DemoError as error:
        say("")
        say(f"FAILED: {error}")
        return 1


def simulated(*, fails: bool, team_server: Literal["serves", "retired"]) -> int:
    """Release an app of the simulator, which is told how the build ends."""
    platform = Platform(options=Options(team_server=team_server))
    platform.permissions.add_account("demo@example.com", "demo-key-not-a-secret")
    platform.permissions.add_personal_access_token("demo-token-not-a-secret")
    platform.add_app("shop", name="Web Shop")
    revision = platform.repositories.push("shop", message="Let the till round correctly", author="ana@example.com")
    old = platform.packages.add("shop", version="2.5.3", revision="0badc0de")
    platform.packages.timeline = Timeline.of(seconds=18)
    platform.packages.outcome = BuildOutcome.FAILS_WHILE_BUILDING if fails else BuildOutcome.SUCCEEDS
    with Server(platform) as server:
        say(f"A simulated Mendix Cloud listens on {server.api_url}: app 'shop' with one old package, {old}.")
        if fails:
            say("As requested, its next build will fail.")
        archived = release(
            Plan(
                connection={
                    "conn_type": "mendix",
                    "login": "demo@example.com",
                    "password": "demo-key-not-a-secret",
                    "host": server.api_url,
                    "extra": {
                        "personal_access_token": "demo-token-not-a-secret",
                        "repository_url": server.repository_url,
                    },
                },
                conf={
                    "app_id": "shop",
                    "revision": revision,
                    "version": "2.5.4",
                    "old_package_id": old,
                },
            )
        )
        package_id = archived["package_id"]
        content = platform.packages.content(package_id)
        recorded = (str(len(content)), hashlib.sha256(content).hexdigest())
        left = list(platform.packages)
    say("")
    say(f"{'':22}{'in the archive':<68}by the simulator's record")
    say(f"{'size (bytes)':22}{archived['size']:<68}{recorded[0]}")
    say(f"{'sha256':22}{archived['sha256']:<68}{recorded[1]}")
    say(f"{'path':22}{archived['path']}")
    if (archived["size"], archived["sha256"]) != recorded:
        raise DemoError(f"package {package_id}: the archived object is not what the simulator built.")
    if left != [package_id]:
        raise DemoError(f"the old package {old} should be gone, and {package_id} be left; there are {left}.")
    say(f"{'old package':22}deleted; the simulator is left with {package_id}")
    return 0


def real() -> int:
    """Release an app of Mendix. Nothing is deleted."""
    username, app_id = os.environ["MENDIX_USERNAME"], os.environ["MENDIX_APP_ID"]
    version = os.environ.get("MENDIX_VERSION", "0.1.0")
    host = os.environ.get("MENDIX_HOST", "")
    say(f"THIS TALKS TO {host or 'MENDIX ITSELF'}, as {username}: it builds app {app_id}, version {version}.")
    say("It deletes nothing. (If the app is a Free App, Mendix deploys what it builds.)")
    conf = {"app_id": app_id, "revision": os.environ["MENDIX_REVISION"], "version": version}
    conf["branch"] = os.environ.get("MENDIX_BRANCH", "main")
    connection = {"conn_type": "mendix", "login": username, "password": os.environ["MENDIX_API_KEY"]}
    archived = release(Plan({**connection, "host": host}, conf))
    say("")
    for name, value in archived.items():
        say(f"{name:22}{value}")
    return 0


def release(plan: Plan) -> dict[str, str]:
    """Run the DAG and read what it archived."""
    folder = HOME / "archive"
    shutil.rmtree(folder, ignore_errors=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MENDIX_", "AIRFLOW"))},
        "AIRFLOW_HOME": str(HOME / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
        "NO_COLOR": "1",
        "AIRFLOW_CONN_MENDIX_DEFAULT": json.dumps(plan.connection),
    }
    say("Preparing Airflow's database (about 10 seconds) …")
    with LOG.open("w") as log:
        migrated = subprocess.run(
            [airflow(), "db", "migrate"], env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        )
    if migrated.returncode:
        raise DemoError(f"`airflow db migrate` failed; see {LOG}.")
    conf = json.dumps({**plan.conf, "archive": folder.as_uri()})
    say(f"Running the DAG {DAG_ID} on real Airflow. What it says:")
    command = [airflow(), "dags", "test", DAG_ID, "--conf", conf]
    package_id, reason = "", ""
    with (
        LOG.open("a") as log,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run,
    ):
        for line in run.stdout or ():
            log.write(line)
            if told := TOLD.search(line):
                say(f"  {told['time']}  {IN_PLAIN_WORDS.get(told['what'], told['what'] + told['more'])}")
            if started := re.search(r"Started package ([\w-]+)", line):
                package_id = started[1]
            if failed := re.search(r"(?<!Type)Error: (.+)", line):
                reason = reason or failed[1].strip()
    target = next((folder / plan.conf["app_id"]).glob("*.mda"), None)
    if run.returncode or target is None:
        raise DemoError(f"package {package_id or '(none was made)'}: {reason or f'see {LOG}'}")
    content = target.read_bytes()
    return {
        "package_id": package_id,
        "path": str(target),
        "size": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def airflow() -> str:
    """The airflow command of the environment that runs this."""
    return str(Path(sys.executable).with_name("airflow"))


def say(line: str) -> None:
    """Tell the person at the screen."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
