"""Set up what the servers need, in `.stores/`: ``python -m tests.stores.installing local s3 azure``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / ".stores"
SWIFT = FOLDER / "swift"
AZURITE = FOLDER / "azurite"
AZURE = FOLDER / "azure"

_UV = Path(sys.executable).with_name("uv")
_DEBIAN = {"liberasurecode-dev": "/usr/include/liberasurecode/erasurecode.h", "memcached": "/usr/bin/memcached"}


def main(stores: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    steps = {"local": [], "s3": [debian_packages, swift], "azure": [azurite, azure]}
    for step in [step for store in stores for step in steps[store]]:
        step()


def debian_packages() -> None:
    """Swift cannot be imported without a library for erasure codes, even where it stores single copies."""
    missing = [name for name, path in _DEBIAN.items() if not Path(path).exists()]
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise SystemExit(f"Swift needs the Debian packages {' and '.join(missing)}. Install them, or be root.")
    run("apt-get", "update", "-qq")
    # Debian would start a memcached of its own, which is not ours to have.
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, **quiet)


def swift() -> None:
    if not (SWIFT / "bin" / "swift-proxy-server").exists():
        run(_UV, "venv", "-q", "--clear", "--python", sys.executable, SWIFT)
        run(_UV, "pip", "install", "-q", "--python", SWIFT / "bin" / "python", "swift>=2.38")


def azurite() -> None:
    if not shutil.which("npm"):
        raise SystemExit("Azurite needs Node.js: install npm.")
    if not (AZURITE / "node_modules" / ".bin" / "azurite-blob").exists():
        AZURITE.mkdir(exist_ok=True)
        (AZURITE / "package.json").write_text('{"private": true}')
        run("npm", "install", "--silent", "--no-fund", "--no-audit", "azurite@3", where=AZURITE)


def azure() -> None:
    """Airflow and all that tests need once more, with the libraries for Azure that nothing else wants."""
    pins = ROOT / "requirements" / "dev.txt"
    ready = AZURE / ".ready"
    if ready.exists() and ready.stat().st_mtime > pins.stat().st_mtime:
        return
    install = (_UV, "pip", "install", "-q", "--python", AZURE / "bin" / "python")
    run(_UV, "venv", "-q", "--clear", "--python", sys.executable, AZURE)
    run(*install, "-r", pins, "apache-airflow-providers-microsoft-azure", "adlfs")
    run(*install, "--no-deps", "--no-build-isolation", "-e", ROOT)
    ready.touch()


def run(*command: str | Path, where: Path = ROOT, **environment: str) -> None:
    """Run something; what it prints is shown only if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=where,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\n{' '.join(map(str, command))} has ended with {done.returncode}.")


if __name__ == "__main__":
    main(sys.argv[1:])
