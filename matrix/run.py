"""Test this package on every minor version of Airflow that it supports, and print a table of the results.

Each Airflow gets its own environment in `.matrix/`, with packages as they were at the time of that release: no
dependency is newer than the cut-off date, because an old Airflow breaks with newer dependencies. The package is
installed as its wheel, and its declared dependencies at their floor (`name>=1.2` as `name==1.2`).

The exit code is 0 only if every step passed. The output of all commands is in `.matrix/<minor>/log`.
"""
# It starts programs, and sends one of them an HTTP request.
# ruff: noqa: S310, S603

from __future__ import annotations

import argparse
import hashlib
import json
import os
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
TOOLS = (
    *("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "jsonschema"),
    *("proxy.py", "requests-mock", "trustme"),
)


@dataclass(frozen=True)
class Airflow:
    """One minor version of Airflow.

    :param version: its last release.
    :param cut_off: a day on which that was the newest release.
    :param form: whether it reads the fields of the connection form from `conn-fields`.
    :param python: the Python to run it on; where this machine lacks it, the one that runs this program.
    """

    version: str
    cut_off: str
    form: bool
    python: str


AIRFLOWS = {
    "3.0": Airflow("3.0.6", "2025-09-15", form=False, python="3.11"),
    "3.1": Airflow("3.1.8", "2026-03-20", form=False, python="3.12"),
    "3.2": Airflow("3.2.2", "2026-06-10", form=True, python="3.13"),
    "3.3": Airflow("3.3.2", "2026-11-20", form=True, python="3.13"),
}
# Floors that are newer than some of these Airflows, with the cut-off date that such a package gets instead.
NEW_FLOORS = {
    "apache-airflow-providers-common-compat": "2026-11-01",
    "aiohttp": "2026-06-01",
    "isal": "2026-11-20",
    "urllib3": "2025-12-07",
}

LEFT_OUT = {
    "tests/on_airflow": 'they run the airflow command, as the column "dags test" does',
    "tests/chaos": "they take minutes",
    "tests/docs": "they compare the documentation with the sources, which are not there",
    "tests/operators/test_signatures.py": "it needs mypy, and types are checked once",
}

FAST = "not airflow and not slow"

IMPORT_ALL = f"""
import importlib, pkgutil, {PACKAGE} as package
names = [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(package.__file__, len(names))
"""


class FailedError(Exception):
    """A step has failed; the message says why."""


@dataclass
class Trial:
    """One Airflow in its environment.

    :param latest: install the newest dependencies instead of our floors.
    :param short: run only the quick unit tests.
    """

    minor: str
    airflow: Airflow
    latest: bool
    short: bool
    row: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of its environment, its Airflow home and its log."""
        return MATRIX / (f"{self.minor}-latest" if self.latest else self.minor)

    @property
    def python(self) -> Path:
        """The Python of its environment."""
        return self.folder / "venv" / "bin" / "python"

    def command(self, *arguments: str | Path, failure: str, cwd: Path = MATRIX, **environment: str) -> str:
        """Run a command and return its output.

        :param failure: message of the exception if the command fails.
        :raises FailedError: if its exit code is not 0.
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
            raise FailedError(failure)
        return ran.stdout

    def airflow_command(self, *arguments: str, **environment: str) -> str:
        """Run the `airflow` command of the environment."""
        failure = f"`airflow {' '.join(arguments[:2])}` failed"
        return self.command(self.python.with_name("airflow"), *arguments, failure=failure, **environment)


def main() -> int:
    """Run the matrix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", choices=AIRFLOWS, action="append", help="this minor version only; may be repeated")
    add("--latest", action="store_true", help="the newest dependencies of that time, instead of our floors")
    add("--short", action="store_true", help="only the unit tests of `make test-fast`")
    options = parser.parse_args()
    MATRIX.mkdir(exist_ok=True)
    (MATRIX / ".gitignore").write_text("*\n")
    wheel = build_wheel()
    copy_tests()
    trials = [Trial(minor, AIRFLOWS[minor], options.latest, options.short) for minor in options.only or AIRFLOWS]
    passed = [run(trial, wheel) for trial in trials]
    table = as_markdown(trials)
    (MATRIX / "table.md").write_text(table)
    print(f"\n{table}")
    return 0 if all(passed) else 1


def build_wheel() -> Path:
    """Build the wheel."""
    folder = MATRIX / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode:
        sys.exit(built.stdout)
    (wheel,) = folder.iterdir()
    return wheel


def copy_tests() -> None:
    """Copy the tests, and the docs that some of them read, away from the sources, which pytest would import."""
    folder = MATRIX / "tests"
    shutil.rmtree(folder, ignore_errors=True)
    for copied in ("tests", "docs"):
        shutil.copytree(ROOT / copied, folder / copied, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def run(trial: Trial, wheel: Path) -> bool:
    """Run all steps and fill in one row. If a step fails, the next ones still run, except after the first."""
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
        ("form fields", lambda: check_form_fields(trial)),
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
    """Return the floors of our dependencies, without Airflow's own, which must be the first of the matrix."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = [one.partition(";")[0] for one in declared]
    if unreadable := [one for one in declared if not re.fullmatch(r"[\w.-]+>=[\d.]+", one)]:
        sys.exit(f"The matrix cannot read {unreadable}: it expects name>=version.")
    ours = dict(requirement.split(">=") for requirement in declared)
    declared_airflow, oldest = ours.pop("apache-airflow"), next(iter(AIRFLOWS.values())).version
    if declared_airflow != oldest:
        sys.exit(f"We declare apache-airflow>={declared_airflow}; the oldest Airflow of the matrix is {oldest}.")
    return ours


def install(trial: Trial, wheel: Path) -> str:
    """Create or update the environment."""
    if not trial.python.exists():
        interpreter = find_python(trial.airflow.python)
        trial.command(UV, "venv", "-q", "--python", interpreter, trial.folder / "venv", failure="no environment")
    ours = floors()
    wanted = [name if trial.latest else f"{name}=={version}" for name, version in ours.items()]
    newer = [name for name, day in NEW_FLOORS.items() if day > trial.airflow.cut_off]
    trial.command(
        *(UV, "pip", "install", "--compile-bytecode", "--exact", "--python", trial.python),
        *("--exclude-newer", trial.airflow.cut_off),
        *(part for name in newer for part in ("--exclude-newer-package", f"{name}={NEW_FLOORS[name]}")),
        *("--reinstall-package", PACKAGE.replace("_", "-")),
        *(f"apache-airflow=={trial.airflow.version}", *wanted, *TOOLS, str(wheel)),
        failure="these versions do not install together",
    )
    listed = trial.command(UV, "pip", "list", "--format", "json", "--python", trial.python, failure="no list")
    installed = {package["name"]: package["version"] for package in json.loads(listed[listed.index("[") :])}
    version = trial.command(trial.python, "--version", failure="the environment has no Python")
    trial.row["Python"] = version.split()[-1]
    if trial.latest:
        return ", ".join(f"{short(name)} {installed[name]}" for name in ours)
    exceptions = ", ".join(f"{short(name)} {ours[name]}" for name in newer)
    return f"all {len(ours)}" + (f"; newer than this Airflow: {exceptions}" if exceptions else "")


def find_python(version: str) -> str:
    """Return an installed Python of that version, from the path or pyenv, or the one that runs this program."""
    name = f"python{version}"
    of_pyenv = (Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/{name}")
    for candidate in (shutil.which(name), *map(str, of_pyenv)):
        # A pyenv shim exists for versions that are not active, and fails.
        if candidate and not subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode:
            return candidate
    return sys.executable


def short(name: str) -> str:
    """Return a distribution's name in the table."""
    return name.removeprefix("apache-airflow-providers-")


def import_everything(trial: Trial) -> str:
    """Import every module of the wheel, and check that Airflow finds the provider."""
    printed = trial.command(trial.python, "-c", IMPORT_ALL, failure="a module cannot be imported").split()
    file, number = printed[-2:]
    if not Path(file).is_relative_to(trial.folder):
        raise FailedError(f"{file} was imported, not the wheel")
    if PACKAGE.replace("_", "-") not in trial.airflow_command("providers", "list", "-o", "plain"):
        raise FailedError("`airflow providers list` does not show us")
    return f"{number} modules"


def run_unit_tests(trial: Trial) -> str:
    """Run the unit tests. Those whose fixtures need packages that are not installed here skip themselves."""
    selected = [f"--ignore={path}" for path in LEFT_OUT] + (["-m", FAST] if trial.short else [])
    printed = trial.command(
        *(
            trial.python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-n",
            "2",
            "--dist",
            "loadfile",
            "--timeout=120",
            *selected,
        ),
        failure="unit tests failed",
        cwd=MATRIX / "tests",
    )
    counted = re.findall(r"\d+ (?:passed|skipped|xfailed)", printed.splitlines()[-1])
    if not counted:
        raise FailedError("no test ran")
    return ", ".join(counted)


def run_release(trial: Trial) -> str:
    """Run `example_mendix_archive` on the simulator; the archived file must be the package that was built."""
    archive = trial.folder / "archive"
    for old in (archive, trial.folder / "home"):
        shutil.rmtree(old, ignore_errors=True)
    trial.airflow_command("db", "migrate")
    with simulator(trial) as (connection, packages_url):
        conf = {"revision": "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3", "archive": archive.as_uri()}
        # On versions without form fields, users write these as JSON.
        connection["extra"] = {"timeout": 45, "verify": True}
        ran = trial.airflow_command(
            *("dags", "test", "example_mendix_archive", "--conf", json.dumps(conf)),
            AIRFLOW_CONN_MENDIX_DEFAULT=json.dumps(connection),
        )
        with urllib.request.urlopen(packages_url, timeout=30) as response:
            built = [package["sha256"] for package in json.load(response)]
    stored = [hashlib.sha256(path.read_bytes()).hexdigest() for path in archive.rglob("*.mda")]
    if len(built) != 1 or stored != built:
        raise FailedError(f"the simulator built {built}, the archive holds {stored}")
    if "DEFERRED" not in ran:
        raise FailedError("the sensor did not defer")
    return "ok, sha256 equal"


@contextmanager
def simulator(trial: Trial) -> Iterator[tuple[dict[str, object], str]]:
    """Run the wheel's simulator; yield the connection to it, and the URL that lists its packages."""
    command = [str(trial.python), "-m", f"{PACKAGE}.simulator", "--port=0", "--seconds=30"]
    with subprocess.Popen(command, cwd=MATRIX, stdout=subprocess.PIPE, text=True) as process:
        try:
            printed = ""
            for line in process.stdout or ():
                printed += line
                if line.startswith("Stop it"):
                    break
            connection = re.search(r"AIRFLOW_CONN_MENDIX_DEFAULT=(.+)", printed)
            if connection is None:
                raise FailedError("the simulator did not start")
            values = json.loads("".join(shlex.split(connection[1])))
            yield values, f"{values['host']}/_simulator/packages"
        finally:
            process.terminate()


def check_form_fields(trial: Trial) -> str:
    """Check that the connection form has our fields exactly if the table of versions above says so."""
    seen = "extra__mendix__timeout" in trial.airflow_command("providers", "widgets", "-o", "plain")
    if seen != trial.airflow.form:
        raise FailedError(f"form fields found: {seen}; expected: {trial.airflow.form}")
    return "yes" if seen else "no"


def as_markdown(trials: list[Trial]) -> str:
    """Return the table, with its footnotes."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *([trial.row[column] for column in COLUMNS] for trial in trials)]
    ours = ", ".join(f"{short(name)} {floor}" for name, floor in floors().items())
    lines = [
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *(f"- Airflow {trial.airflow.version} with packages as of {trial.airflow.cut_off}." for trial in trials),
        *([] if trials[0].latest else [f"- Our floors: {ours}."]),
        *(f"- Unit tests without `{name}`: {why}." for name, why in LEFT_OUT.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
