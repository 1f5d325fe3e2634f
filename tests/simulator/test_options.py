"""The options and everything else that docs/simulator.md lists."""

from __future__ import annotations

import msgspec

from airflow_provider_mendix.simulator import BuildOutcome, Options, routes
from airflow_provider_mendix.simulator.faults.registry import KINDS


def test_the_documentation_is_complete(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "simulator.md").read_text()
    names = [*KINDS, *BuildOutcome, *(field.name for field in msgspec.structs.fields(Options))]
    assert [name for name in names if f"\n| `{name}` |" not in page] == []
    assert [name for name in routes.names() if f"`{name}`" not in page] == []
    for name, kind in KINDS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        own = {field.name for field in msgspec.structs.fields(kind)} - {"on", "times", "after"}
        assert [parameter for parameter in own if f"`{parameter}`" not in row] == []
