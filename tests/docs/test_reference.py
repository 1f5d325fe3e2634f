"""The reference and the how-to pages have every name that users import."""

from __future__ import annotations

import importlib
import re

import pytest

from airflow_provider_mendix import get_provider_info

from .pages import DOCS, in_the_repository

pytestmark = in_the_repository

INFO: dict = get_provider_info()
KINDS = ("hooks", "operators", "sensors", "triggers")
MODULES = sorted(
    {
        "airflow_provider_mendix.assets.mendix",
        "airflow_provider_mendix.exceptions",
        *(
            name
            for kind in ("hooks", "operators", "sensors", "triggers")
            for name in INFO[kind][0]["python-modules"]
        ),
        *(entry["python-module"] for entry in INFO["transfers"]),
    }
)


def documented() -> tuple[set[str], set[str]]:
    """Return the names that the pages describe, and the modules all of whose names they describe."""
    pages = [page.read_text() for folder in ("reference", "howto") for page in (DOCS / folder).glob("*.md")]
    text = "\n".join(pages)
    whole = set(re.findall(r"(?m)^\.\. automodule:: (\S+)\n   :members:$", text))
    return set(re.findall(r"(?m)^\.\. auto(?:class|data|function):: (\S+)$", text)), whole


@pytest.mark.parametrize("module", MODULES)
def test_each_public_name_is_described(module):
    names, whole = documented()
    public = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    assert public
    assert module in whole or public <= names


def test_nothing_private_is_described():
    names, whole = documented()
    private = re.compile(r"\.(_\w+|api|archive|builds|client|polling|waits)(\.|$)")
    assert [name for name in (*names, *whole) if private.search(name)] == []
