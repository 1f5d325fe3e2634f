"""Blocks of Python: mypy accepts them all, and those that make tasks can be parsed by Airflow."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest
from airflow.sdk import DAG

from airflow_provider_mendix import get_provider_info

from .pages import ROOT, Block, blocks, in_the_repository

pytestmark = in_the_repository

# Those of CONTRIBUTING are parts of modules of the package; a test of their own finds them there.
BLOCKS = [block for block in blocks("python") if block.page != "CONTRIBUTING.md"]
INFO = get_provider_info()
MODULES = [
    *(
        name
        for kind in ("operators", "sensors", "hooks")
        for entry in INFO[kind]
        for name in entry["python-modules"]
    ),
    *(entry["python-module"] for entry in INFO["transfers"]),
]
IMPORTS = "\n".join(
    [
        *(f"from {module} import *" for module in MODULES),
        "from airflow.sdk import DAG, ObjectStoragePath, chain",
    ]
)
MAKES_TASKS = re.compile(r"\bMendix\w+(Operator|Sensor)(\.partial)?\(|with DAG\(")
# What a page has explained before the block.
TASKS = {
    name: f'{name} = MendixLatestRevisionOperator(task_id="given_{name}", app_id="shop")'
    for name in ("backup", "build", "previous", "settings", "start", "stop", "transport")
}
TYPED = f"""# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
from typing import Any

import pytest

from airflow_provider_mendix.simulator import *
from airflow_provider_mendix.simulator.platform import Platform
{IMPORTS}

package_id: str
platform: Platform
secret: str
url: str
{"".join(f"{name}: Any" + chr(10) for name in TASKS)}
"""


def name(block: Block) -> str:
    return f"{block.page}: {block.text.strip().splitlines()[0][:40]}"


@pytest.mark.slow
def test_mypy_accepts_every_block(tmp_path):
    files = {}
    for number, block in enumerate(BLOCKS):
        file = tmp_path / f"block_{number}.py"
        file.write_text(TYPED + textwrap.dedent(block.text))
        files[file.name] = block.page
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    wrong = [f"{files.get(file)}: {line}" for line, file in re.findall(r"(?m)^(.*?(block_\d+\.py):.*)$", said)]
    assert wrong == []
    assert "Success" in said


@pytest.mark.parametrize("block", [block for block in BLOCKS if MAKES_TASKS.search(block.text)], ids=name)
def test_airflow_can_parse_it(block):
    given = [line for key, line in TASKS.items() if not re.search(rf"(?m)^\s*{key} = ", block.text)]
    names: dict[str, object] = {"__name__": "block"}
    with DAG("given"):
        exec("\n".join([IMPORTS, *given, textwrap.dedent(block.text)]), names)
