"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

import airflow_provider_mendix

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PACKAGE = Path(airflow_provider_mendix.__file__).parent
PAGES = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))]

in_the_repository = pytest.mark.skipif(not DOCS.exists(), reason="only in the repository")


class Block(NamedTuple):
    """A fenced block: the name of its page, its language, its text."""

    page: str
    language: str
    text: str


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of some languages, or of all, of all pages."""
    found = []
    for page in PAGES:
        for _, language, text in re.findall(r"(?ms)^( *)```(\w+)\n(.*?)^\1```$", page.read_text()):
            found.append(Block(str(page.relative_to(ROOT)), language, text))
    return [block for block in found if not languages or block.language in languages]
