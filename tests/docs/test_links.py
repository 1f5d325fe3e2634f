"""Links in README, CONTRIBUTING and CHANGELOG. Sphinx checks those of the pages: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .pages import PAGES, ROOT, in_the_repository

pytestmark = in_the_repository

LINK = re.compile(r"\]\(([^)\s]+)\)|<(https?://[^>\s]+)>")
OUTSIDE_OF_THE_SITE = sorted(ROOT.glob("*.md"))


def without_code(text: str) -> str:
    return re.sub(r"(?ms)^ *```.*?^ *```$|`[^`\n]*`", "", text)


def links(page: Path) -> list[str]:
    return [first or second for first, second in LINK.findall(without_code(page.read_text()))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text()))
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return set(plain)


@pytest.mark.parametrize("page", OUTSIDE_OF_THE_SITE, ids=lambda path: path.name)
def test_each_link_within_the_repository_leads_somewhere(page):
    broken = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_to_another_host_is_https_and_well_formed(page):
    for link in links(page):
        if "://" in link:
            parts = urlsplit(link)
            is_local = parts.hostname in ("127.0.0.1", "localhost")
            assert parts.scheme == ("http" if is_local else "https"), link
            assert is_local or re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link
