"""Try this package on every minor version of Airflow that it claims, and print a table of what works where.

Each Airflow gets an environment of its own below `.matrix/`, as a user had it at that Airflow's time: no
dependency is younger than the cut-off date, because an old Airflow breaks with dependencies that it has never met.
What we declare is installed at its floor (`name>=1.2` as `name==1.2`), and we ourselves as the wheel.

Exit code 0 only if all that the table claims is true. What was printed on the way is in `.matrix/<minor>/log`.
"""
# It starts programs, and asks one of them over HTTP.
# ruff: noqa: S310, S603

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MATRIX = ROOT / ".matrix"
UV = Path(sys.executable).with_name("uv")
PACKAGE = "airflow_provider_mendix"
COLUMNS = ("Airflow", "Python", "our floors used", "import", "unit tests", "dags test", "form fields", "seconds")
TOOLS = ("pytest", "pytest-timeout", "requests-mock", "hypothesis", "jsonschema", "trustme", "proxy.py")


@dataclass(frozen=True)
class Airflow:
    """One minor version of Airflow: its last release, and a day on which that was the newest.

    :param form: whether it reads the fields of the connection form from `conn-fields`.
    """

    version: str
    cut_off: str
    form: bool


AIRFLOWS = {
    "3.0": Airflow("3.0.6", "2025-09-15", form=False),
    "3.1": Airflow("3.1.8", "2026-03-20", form=False),
    "3.2": Airflow("3.2.2", "2026-06-10", form=True),
    "3.3": Airflow("3.3.2", "2026-11-20", form=True),
}
# Floors that are younger than some of these Airflows, and a day by which they were out: they are let through.
YOUNG = {
    "apache-airflow-providers-common-compat": "2026-11-01",
    "aiohttp": "2026-06-01",
    "urllib3": "2025-12-07",
}

LEFT_OUT = {
    "tests/on_airflow": "they drive the airflow command; `dags test` here does that",
    "tests/system": "they need a scheduler and a triggerer",
    "tests/crashes": "they need a scheduler and PostgreSQL, to kill processes",
    "tests/chaos": "random schedules of faults, which take long",
}
LEFT_OUT_BY_NAME = {
    "[s3]": "need an S3 server and the amazon provider",
    "[s3-": "need an S3 server and the amazon provider",
    "upload_cut_after_its_first_part": "need an S3 server and the amazon provider",
    "wheel": "need `build`; here the wheel is what is tested",
}

IMPORT_ALL = f"""
import importlib, pkgutil, {PACKAGE} as package
names = [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(package.__file__, len(names))
"""


class FailedError(Exception):
    """A step did not show what the table claims; the message says what."""


@dataclass
class Trial:
    """One Airflow in its environment."""

    minor: str
    airflow: Airflow
    latest: bool
    row: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its environment, its Airflow home and its log are."""
        return MATRIX / (f"{self.minor}-latest" if self.latest else self.minor)

    @property
    def python(self) -> Path:
        """The Python of its environment."""
        return self.folder / "venv" / "bin" / "python"

    def command(self, *arguments: str | Path, said: str, cwd: Path = MATRIX, **environment: str) -> str:
        """Run a command that must succeed, and give what it printed.

        :param said: what has failed if it does not succeed.
        """
        foreign = ("AIRFLOW", "MENDIX", "PYTHON")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        ran = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=cwd,
            env={
                **inherited,
                "AIRFLOW_HOME": str(self.folder / "home"),
                "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
                "NO_COLOR": "1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        with (self.folder / "log").open("a") as log:
            log.write(f"\n$ {shlex.join(ran.args)}\n{ran.stdout}")
        if ran.returncode:
            raise FailedError(said)
        return ran.stdout

    def airflow_command(self, *arguments: str, **environment: str) -> str:
        """Run the `airflow` command of the environment."""
        said = f"`airflow {' '.join(arguments[:2])}` failed"
        return self.command(self.python.with_name("airflow"), *arguments, said=said, **environment)


def main() -> int:
    """Run the matrix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", choices=AIRFLOWS, action="append", help="this minor version only; may be repeated")
    add("--latest", action="store_true", help="the newest dependencies of that time, instead of our floors")
    wish = parser.parse_args()
    MATRIX.mkdir(exist_ok=True)
    (MATRIX / ".gitignore").write_text("*\n")
    wheel = build_wheel()
    copy_tests()
    trials = [Trial(minor, AIRFLOWS[minor], wish.latest) for minor in wish.only or AIRFLOWS]
    passed = [run(trial, wheel) for trial in trials]
    table = as_markdown(trials)
    (MATRIX / "table.md").write_text(table)
    print(f"\n{table}")
    return 0 if all(passed) else 1


def build_wheel() -> Path:
    """Build what users get."""
    folder = MATRIX / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode:
        sys.exit(built.stdout)
    (wheel,) = folder.iterdir()
    return wheel


def copy_tests() -> None:
    """Take the tests away from the sources: beside them pytest would import those, and not the wheel.

    Some tests read what the documentation says.
    """
    folder = MATRIX / "tests"
    shutil.rmtree(folder, ignore_errors=True)
    for copied in ("tests", "docs"):
        shutil.copytree(ROOT / copied, folder / copied, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def run(trial: Trial, wheel: Path) -> bool:
    """Fill in one row; after a step that fails the others run all the same, unless nothing is installed."""
    began = time.monotonic()
    trial.folder.mkdir(parents=True, exist_ok=True)
    (trial.folder / "log").write_text("")
    trial.row.update(dict.fromkeys(COLUMNS, "not run"))
    trial.row["Airflow"] = trial.airflow.version
    passed = True
    steps = [
        ("our floors used", lambda: install(trial, wheel)),
        ("import", lambda: import_everything(trial)),
        ("unit tests", lambda: run_unit_tests(trial)),
        ("dags test", lambda: run_release(trial)),
        ("form fields", lambda: look_for_form_fields(trial)),
    ]
    for column, step in steps:
        print(f"{trial.airflow.version}: {column} …", flush=True)
        try:
            trial.row[column] = step()
        except (FailedError, subprocess.TimeoutExpired, OSError) as error:
            passed = False
            trial.row[column] = "FAILED"
            print(f"{trial.airflow.version}: {column} FAILED: {error}; see {trial.folder / 'log'}", flush=True)
            if column == "our floors used":
                break
    trial.row["seconds"] = f"{time.monotonic() - began:.0f}"
    return passed


def floors() -> dict[str, str]:
    """Read what we declare as our oldest dependencies; that of Airflow itself is the first of the matrix."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    if odd := [requirement for requirement in declared if not re.fullmatch(r"[\w.-]+>=[\d.]+", requirement)]:
        sys.exit(f"The matrix cannot read {odd}: it expects name>=version.")
    ours = dict(requirement.split(">=") for requirement in declared)
    declared_airflow, oldest = ours.pop("apache-airflow"), next(iter(AIRFLOWS.values())).version
    if declared_airflow != oldest:
        sys.exit(f"We declare apache-airflow>={declared_airflow}; the oldest that the matrix tries is {oldest}.")
    return ours


def install(trial: Trial, wheel: Path) -> str:
    """Make or renew the environment."""
    if not trial.python.exists():
        trial.command(UV, "venv", "-q", "--python", sys.executable, trial.folder / "venv", said="no environment")
    ours = floors()
    wanted = [name if trial.latest else f"{name}=={version}" for name, version in ours.items()]
    young = [name for name, day in YOUNG.items() if day > trial.airflow.cut_off]
    trial.command(
        *(UV, "pip", "install", "--exact", "--python", trial.python),
        *("--exclude-newer", trial.airflow.cut_off),
        *(part for name in young for part in ("--exclude-newer-package", f"{name}={YOUNG[name]}")),
        *("--reinstall-package", PACKAGE.replace("_", "-")),
        *(f"apache-airflow=={trial.airflow.version}", *wanted, *TOOLS, wheel),
        said="these versions do not install together",
    )
    listed = trial.command(UV, "pip", "list", "--format", "json", "--python", trial.python, said="no list")
    installed = {package["name"]: package["version"] for package in json.loads(listed[listed.index("[") :])}
    trial.row["Python"] = platform.python_version()
    if trial.latest:
        return ", ".join(f"{short(name)} {installed[name]}" for name in ours)
    younger = ", ".join(f"{short(name)} {ours[name]}" for name in young)
    return f"all {len(ours)}" + (f"; younger than this Airflow: {younger}" if younger else "")


def short(name: str) -> str:
    """Name a distribution as the table does."""
    return name.removeprefix("apache-airflow-providers-")


def import_everything(trial: Trial) -> str:
    """Import every module of the wheel, and let Airflow find the provider."""
    printed = trial.command(trial.python, "-c", IMPORT_ALL, said="a module cannot be imported").split()
    file, number = printed[-2:]
    if not Path(file).is_relative_to(trial.folder):
        raise FailedError(f"{file} was imported, not the wheel")
    if PACKAGE.replace("_", "-") not in trial.airflow_command("providers", "list", "-o", "plain"):
        raise FailedError("`airflow providers list` does not show us")
    return f"{number} modules"


def run_unit_tests(trial: Trial) -> str:
    """Run the tests that need neither an object store nor a running Airflow."""
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    names = " and ".join(f"not {name}" for name in LEFT_OUT_BY_NAME)
    printed = trial.command(
        *(trial.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=120", *ignored, "-k", names),
        said="unit tests failed",
        cwd=MATRIX / "tests",
    )
    counted = re.findall(r"\d+ (?:passed|skipped|xfailed)", printed.splitlines()[-1])
    if not counted:
        raise FailedError("no test ran")
    return ", ".join(counted)


def run_release(trial: Trial) -> str:
    """Let that Airflow release an app of the simulator; the archived object must be what the simulator built."""
    archive = trial.folder / "archive"
    for left in (archive, trial.folder / "home"):
        shutil.rmtree(left, ignore_errors=True)
    trial.airflow_command("db", "migrate")
    with simulator(trial) as (connection, packages_url):
        conf = {"revision": "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3", "archive": archive.as_uri()}
        # Where there are no fields in the form, users give these as JSON.
        connection["extra"] = {"timeout": 45, "verify": True}
        ran = trial.airflow_command(
            *("dags", "test", "example_mendix_archive", "--conf", json.dumps(conf)),
            AIRFLOW_CONN_MENDIX_DEFAULT=json.dumps(connection),
        )
        with urllib.request.urlopen(packages_url, timeout=30) as answer:
            built = [package["sha256"] for package in json.load(answer)]
    stored = [hashlib.sha256(path.read_bytes()).hexdigest() for path in archive.rglob("*.mda")]
    if len(built) != 1 or stored != built:
        raise FailedError(f"the simulator built {built}, the archive holds {stored}")
    if "DEFERRED" not in ran:
        raise FailedError("the sensor did not defer")
    return "ok, sha256 equal"


@contextmanager
def simulator(trial: Trial) -> Iterator[tuple[dict[str, object], str]]:
    """Run the wheel's simulator; give the connection it asks for, and where it tells of its packages."""
    command = [str(trial.python), "-m", f"{PACKAGE}.simulator", "--port=0", "--seconds=30"]
    with subprocess.Popen(command, cwd=MATRIX, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = ""
            for line in process.stdout or ():
                said += line
                if line.startswith("Stop it"):
                    break
            connection = re.search(r"AIRFLOW_CONN_MENDIX_DEFAULT=(.+)", said)
            if connection is None:
                raise FailedError("the simulator did not start")
            values = json.loads("".join(shlex.split(connection[1])))
            yield values, f"{values['host']}/_simulator/packages"
        finally:
            process.terminate()


def look_for_form_fields(trial: Trial) -> str:
    """See whether the form of that Airflow has our fields, as the table of versions above says."""
    seen = "extra__mendix__timeout" in trial.airflow_command("providers", "widgets", "-o", "plain")
    if seen != trial.airflow.form:
        raise FailedError(f"form fields seen: {seen}")
    return "yes" if seen else "no"


def as_markdown(trials: list[Trial]) -> str:
    """Write the table, and what it does not say."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *([trial.row[column] for column in COLUMNS] for trial in trials)]
    ours = ", ".join(f"{short(name)} {floor}" for name, floor in floors().items())
    lines = [
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *(f"- Airflow {trial.airflow.version} with packages as of {trial.airflow.cut_off}." for trial in trials),
        *([] if trials[0].latest else [f"- Our floors: {ours}."]),
        *(f"- Unit tests without `{name}`: {why}." for name, why in (LEFT_OUT | LEFT_OUT_BY_NAME).items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
