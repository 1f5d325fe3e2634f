"""Do what the README says under "See it", to the letter, in a new environment, and print the time of each step.

Only the name of the package is replaced, by the wheel of this checkout. The exit code is not 0 if a step fails.
"""
# It starts programs.
# ruff: noqa: S603, S607

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = Path("/tmp/mendix-archive")  # noqa: S108  # where the README's example archives
INSTALL = "pip install airflow-provider-mendix"
SIMULATOR = "python -m airflow_provider_mendix.simulator"
STEP = "@step"
IN_THE_BACKGROUND = """{command} &
simulator=$!
trap 'kill $simulator' EXIT
until curl -s -o /dev/null http://127.0.0.1:8787/; do kill -0 $simulator; done
deactivate"""


def main() -> int:
    if ARCHIVE.exists():
        print(f"{ARCHIVE} is from an earlier run. Remove it first: the example replaces no file of another build.")
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)]
        subprocess.run(build, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        (wheel,) = folder.glob("*.whl")
        try:
            times = run(script(wheel), folder)
        finally:
            shutil.rmtree(ARCHIVE, ignore_errors=True)
    if times is None:
        return 1
    for (step, began), (_, ended) in itertools.pairwise(times):
        print(f"{ended - began:7.1f} s  {step}")
    installing = next(index for index, (step, _) in enumerate(times) if step.startswith("pip install"))
    print(f"{times[-1][1] - times[installing][1]:7.1f} s  from pip install to the first archived package")
    return 0


def script(wheel: Path) -> str:
    """Return the README's commands as one script that says when each of them begins."""
    section = (ROOT / "README.md").read_text().partition("\n## See it\n")[2].partition("\n## ")[0]
    first, second = re.findall(r"(?ms)^```bash\n(.*?)^```$", section)
    lines = ["set -e"]
    for number, terminal in enumerate((first, second)):
        # The second terminal begins where the first one did.
        lines += ["(", "set -e"] if number else []
        for command in terminal.splitlines():
            lines.append(f'printf "{STEP} %s %s\\n" "$EPOCHREALTIME" {_quoted(command[:60])} >&2')
            if command == INSTALL:
                command = command.replace("airflow-provider-mendix", f'"{wheel}"')
            elif command == SIMULATOR:
                command = IN_THE_BACKGROUND.format(command=command)
            lines.append(command)
    return "\n".join([*lines, ")", f'printf "{STEP} %s done\\n" "$EPOCHREALTIME" >&2', ""])


def run(commands: str, folder: Path) -> list[tuple[str, float]] | None:
    """Run a script in a folder; return when each step began, or nothing if one failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    ran = subprocess.run(
        ["bash"],
        input=commands,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    times = [(step, float(at)) for at, step in re.findall(rf"(?m)^{STEP} ([\d.]+) (.*)$", ran.stdout)]
    if ran.returncode or not times or times[-1][0] != "done":
        print(ran.stdout[-5000:])
        print(f"Failed at: {times[-1][0] if times else 'the beginning'}")
        return None
    return times


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    sys.exit(main())
