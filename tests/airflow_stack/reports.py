"""What is printed beside test results: a table of observations, and logs beside a failure.

A `conftest.py` imports the two hooks to switch this on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

_TABLE = pytest.StashKey[list[str]]()


def add_table(config: pytest.Config, lines: Sequence[str]) -> None:
    """Add a table to the end of the output."""
    config.stash.setdefault(_TABLE, []).extend(["", *lines])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables, once even if several `conftest.py` import this."""
    if lines := config.stash.get(_TABLE, None):
        del config.stash[_TABLE]
        terminalreporter.section("observations")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show beside a failure what the fixtures of the test have to report: `report_sections()`."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if hasattr(value, "report_sections"):
                report.sections += value.report_sections()
    return report
