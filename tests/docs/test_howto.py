"""Each operator, sensor and transfer has its section in the how-to pages."""

from __future__ import annotations

import importlib
import re

import pytest

from airflow_provider_mendix import get_provider_info

from .pages import DOCS, in_the_repository

pytestmark = in_the_repository

HEADER = "| class | returns | XCom | a retry | a Clear |"


def tasks() -> dict[str, str]:
    """Return the module of each class that a DAG author uses as a task."""
    info: dict = get_provider_info()
    modules = [
        name for kind in ("operators", "sensors") for entry in info[kind] for name in entry["python-modules"]
    ]
    modules += [entry["python-module"] for entry in info["transfers"]]
    return {name: module for module in modules for name in importlib.import_module(module).__all__}


TASKS = tasks()


def page_of(name: str) -> str:
    pages = [path.read_text() for path in sorted((DOCS / "howto").glob("*.md"))]
    (page,) = [page for page in pages if f"\n| `{name}` |" in page]
    return page


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_table_says_what_it_returns_and_what_a_retry_and_a_clear_do(name):
    page = page_of(name)
    (row,) = re.findall(rf"(?m)^\| `{name}` \|(.*)\|$", page)
    assert HEADER in page
    assert all(cell.strip() for cell in row.split("|"))
    assert len(row.split("|")) == 4


@pytest.mark.parametrize("name", sorted(TASKS))
def test_its_section_has_code_to_copy_and_its_arguments(name):
    sections = page_of(name).split("\n## ")
    (section,) = [part for part in sections if f".. autoclass:: {TASKS[name]}.{name}\n" in part]
    assert f"from {TASKS[name]} import {name}\n" in section
    assert f"= {name}(\n" in section or f"= {name}(task_id" in section
