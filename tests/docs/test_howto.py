"""Each operator, sensor and transfer has its section in the how-to pages."""

from __future__ import annotations

import importlib
import re

import pytest

from airflow_provider_mendix import get_provider_info

from .pages import DOCS, in_the_repository

pytestmark = in_the_repository

SECTIONS = [
    section for path in sorted((DOCS / "howto").glob("*.md")) for section in path.read_text().split("\n## ")[1:]
]


def tasks() -> dict[str, str]:
    """Return the module of each class that a DAG author uses as a task."""
    info: dict = get_provider_info()
    modules = [
        name for kind in ("operators", "sensors") for entry in info[kind] for name in entry["python-modules"]
    ]
    modules += [entry["python-module"] for entry in info["transfers"]]
    return {name: module for module in modules for name in importlib.import_module(module).__all__}


TASKS = tasks()


@pytest.mark.parametrize("name", sorted(TASKS))
def test_it_has_a_section_with_code_its_arguments_and_what_a_retry_and_a_clear_do(name):
    (section,) = [part for part in SECTIONS if f".. autoclass:: {TASKS[name]}.{name}\n" in part]
    assert f"from {TASKS[name]} import {name}\n" in section
    assert re.search(rf"```python\n(?s:.)*= {name}\((?s:.)*\n```", section)
    said = re.findall(r"(?m)^- \*\*(.+?)\*\*: \S", section)
    assert [word for word in said if word != "XCom"] == ["Returns", "A retry", "A Clear"]
