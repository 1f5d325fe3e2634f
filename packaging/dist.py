"""Build what is published into `dist/`: sdist, wheel, SBOM (CycloneDX) and SHA256SUMS.

The exit code is not 0 if a second build gives other bytes, if an archive lacks a file of the repository or holds
another one, or if the wheel does not install and import.
"""
# It starts programs.
# ruff: noqa: S603

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
UV = Path(sys.executable).with_name("uv")
SBOM_TOOL = "cyclonedx-bom==7.*"
PACKAGE = "airflow_provider_mendix"
RELATIVE_LINK = r"\]\((?!\w+://)[^)]+\)"
# What the sdist has beside the files that pyproject.toml names.
ALWAYS_IN_SDIST = {"pyproject.toml", "PKG-INFO", ".gitignore"}


def main() -> int:
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        build(DIST)
        build(scratch / "again")
        wrong = differences(DIST, scratch / "again") + wrong_contents()
        if not wrong:
            describe(scratch / "venv")
    for line in wrong:
        print(line)
    if wrong:
        return 1
    for path in sorted(DIST.iterdir()):
        print(f"{path.stat().st_size:>9} {path.name}")
    return 0


def build(into: Path) -> None:
    # The time of the last commit, so that the archives depend on nothing but the sources.
    commit_time = run("git", "log", "-1", "--format=%ct").strip()
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", into, SOURCE_DATE_EPOCH=commit_time)


def differences(first: Path, second: Path) -> list[str]:
    """Return one line for each archive that the second build made differently."""
    sums = [{path.name: sha256(path) for path in folder.iterdir()} for folder in (first, second)]
    names = sorted(sums[0].keys() | sums[1].keys())
    return [f"Two builds of {name} differ." for name in names if sums[0].get(name) != sums[1].get(name)]


def wrong_contents() -> list[str]:
    """Return one line for each file that is missing in an archive, or that nothing put there on purpose."""
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()} - ALWAYS_IN_SDIST
    return [
        *compare(
            wheel.name, in_wheel, tracked(PACKAGE) | {f"{PACKAGE}/{name}" for name in tracked("example_dags")}
        ),
        *compare(sdist.name, in_sdist, tracked(*in_sdist_by_pyproject())),
        *(f"On a package index, the link {link} leads nowhere." for link in re.findall(RELATIVE_LINK, metadata)),
    ]


def in_sdist_by_pyproject() -> list[str]:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])


def compare(archive: str, found: set[str], wanted: set[str]) -> list[str]:
    return [f"{archive} lacks {name}." for name in sorted(wanted - found)] + [
        f"{archive} holds {name}, which is not in the repository." for name in sorted(found - wanted)
    ]


def tracked(*paths: str) -> set[str]:
    return set(run("git", "ls-files", "-z", *paths).rstrip("\0").split("\0"))


def describe(venv: Path) -> None:
    """Install the wheel in a new environment, import it there, and write the SBOM and the checksums."""
    (wheel,) = DIST.glob("*.whl")
    run(UV, "venv", "-q", "--python", sys.executable, venv)
    python = venv / "bin" / "python"
    run(UV, "pip", "install", "-q", "--python", python, wheel)
    run(python, "-I", "-c", f"import {PACKAGE}.hooks.mendix, {PACKAGE}.operators.package", cwd=venv)
    run(
        *(UV, "tool", "run", "-q", "--from", SBOM_TOOL, "cyclonedx-py", "environment", python),
        *("--pyproject", ROOT / "pyproject.toml", "--output-reproducible", "--of", "JSON", "--output-file"),
        DIST / "sbom.cdx.json",
    )
    sums = [f"{sha256(path)}  {path.name}\n" for path in sorted(DIST.iterdir()) if path.name != ".gitignore"]
    (DIST / "SHA256SUMS").write_text("".join(sums))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Run a command, return its output, and end the program with that output if it fails."""
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{ran.stdout}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main())
