"""CONTRIBUTING shows code that is in the package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import airflow_provider_mendix

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"
PACKAGE = Path(airflow_provider_mendix.__file__).parent


@pytest.mark.skipif(not PAGE.exists(), reason="only in the repository")
def test_each_line_of_its_examples_is_in_the_package():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    shown = {line.strip() for block in blocks for line in block.splitlines()} - {"", "..."}
    code = {line.strip() for file in PACKAGE.rglob("*.py") for line in file.read_text().splitlines()}
    assert len(blocks) == 3
    assert shown - code == set()


@pytest.mark.skipif(not PAGE.exists(), reason="only in the repository")
def test_each_file_that_it_names_exists():
    root = PAGE.parent
    names = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.\w+)?)`", PAGE.read_text())
    named = {name for name in names if not name.startswith("a/") and name != "tests/a/test_b.py"}
    assert named
    assert [name for name in named if not ((root / name).exists() or (PACKAGE / name).exists())] == []
