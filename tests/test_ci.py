"""Every command that the README names is run in CI, so that none of them can rot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

if not (ROOT / "Makefile").exists():
    pytest.skip("the sources are not here, only the tests", allow_module_level=True)


def commands(text: str) -> set[str]:
    return set(re.findall(r"\bmake ([a-z][a-z-]*)", text))


def test_ci_runs_every_command_of_the_readme():
    assert commands((ROOT / "README.md").read_text()) <= commands((ROOT / ".ci" / "run").read_text())


def test_every_command_of_ci_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert commands((ROOT / ".ci" / "run").read_text()) <= targets
