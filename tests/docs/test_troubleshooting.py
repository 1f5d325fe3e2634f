"""Each error has its entry, under the words that the log shows."""

from __future__ import annotations

import re

import pytest

from airflow_provider_mendix import exceptions

from .pages import DOCS, PACKAGE, in_the_repository

pytestmark = in_the_repository

ERRORS = {name for name in exceptions.__all__ if isinstance(getattr(exceptions, name), type)}


def entries() -> dict[str, str]:
    parts = re.split(r"(?m)^### (\w+)\n", (DOCS / "troubleshooting.md").read_text())
    return {name: body.partition("\n## ")[0].strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def said_by_the_package() -> str:
    """Return the package's code with each text in one piece, and `…` for what is filled in."""
    code = "\n".join(path.read_text() for path in sorted(PACKAGE.rglob("*.py")))
    return re.sub(r"\{[^{}]*\}", "…", re.sub(r"""["']\s*\n\s*f?["']""", "", code))


def test_each_error_has_an_entry_and_each_entry_is_an_error():
    assert set(entries()) == ERRORS


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_an_entry_says_what_to_do_and_whether_the_error_is_final(name):
    first, *others = entries()[name].split("\n\n")
    assert others
    assert ("Final" in first) == (getattr(exceptions, name).final or name == "PackageFailedError")


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_its_words_and_codes_are_those_of_the_package(name):
    first = entries()[name].partition("\n\n")[0].replace("\n", " ")
    code = said_by_the_package()
    words = [part for quote in re.findall(r"\*(.+?)\*", first) for part in re.split(r" · |…", quote)]
    codes = re.findall(r"`([A-Z_0-9]+)`", first)
    assert words or codes or "HTTP" in first
    assert [word for word in (*words, *codes) if word.strip() not in code] == []
