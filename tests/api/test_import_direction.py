"""Which module may import which: five floors, no way up, and nothing heavy while a DAG file is parsed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import airflow_provider_mendix

PACKAGE = "airflow_provider_mendix"
ROOT = Path(airflow_provider_mendix.__file__).parent
FLOORS = {
    "operators": 5,
    "sensors": 5,
    "transfers": 5,
    "links": 5,
    "waiting": 4,
    "failing": 4,
    "builds": 4,
    "intents": 4,
    "targets": 4,
    "archive": 4,
    "retention": 4,
    "triggers": 3,
    "hooks": 2,
    "api": 1,
    "simulator": 2,
}
LET_UP = {(f"{PACKAGE}.hooks.mendix", "archive")}
"""What an archive holds is no call to Mendix, but the hook is where people look for it."""
SENDERS = {"requests", "aiohttp", "urllib3", "yarl"}


class Import(NamedTuple):
    target: str
    deferred: bool
    """Whether it happens in a function, or only for the type checker."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path.read_text("utf-8") for path in sorted(ROOT.rglob("*.py"))}


def imports(tree: ast.AST, *, deferred: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, deferred) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield Import("." * node.level + (name if name in MODULES else base), deferred)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from imports(ast.Module(node.body, []), deferred=True)
            yield from imports(ast.Module(node.orelse, []), deferred=deferred)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, deferred=deferred or function)


def room(module: str) -> str:
    """The first folder or module under our package; empty for the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


def complaints(module: str, source: str) -> list[str]:
    here = room(module)
    if here and here not in FLOORS:
        return [f"{module} stands on no floor: say here on which"]
    found = []
    for target, deferred in imports(ast.parse(source)):
        top = target.split(".")[0]
        if target.startswith("."):
            found.append("is relative")
        elif top in SENDERS and not deferred:
            found.append(f"{target} at import time")
        elif here == "api" and top in SENDERS and module != f"{PACKAGE}.api.clients":
            found.append(f"{target} outside clients")
        elif here == "api" and top == "airflow":
            found.append(f"{target} in api")
        elif top == PACKAGE and room(target):
            there = room(target)
            if not here:
                found.append(f"{target} in the package itself")
            elif there == "simulator" != here:
                found.append(f"{target} outside the simulator")
            elif here == "simulator" and there not in ("api", "simulator"):
                found.append(f"{target} in the simulator")
            elif FLOORS[there] > FLOORS[here] and not (deferred and (module, there) in LET_UP):
                found.append(f"{target} is upstairs")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    assert complaints(module, MODULES[module]) == []


def test_the_walk_finds_the_modules():
    assert {PACKAGE, f"{PACKAGE}.api", f"{PACKAGE}.api.clients", f"{PACKAGE}.hooks"} <= set(MODULES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("api.core", "import airflow"),
        ("api.core", "def f():\n    from airflow.sdk import DAG"),
        ("api.core", f"from {PACKAGE} import hooks"),
        ("api.core", f"from {PACKAGE}.hooks.mendix import MendixHook"),
        ("api.core", f"import {PACKAGE}.triggers"),
        ("api.core", "def f():\n    import requests"),
        ("api.clients", "import requests"),
        ("api.clients", "class A:\n    from aiohttp import web"),
        ("api.clients", "try:\n    import aiohttp.client\nexcept ImportError:\n    pass"),
        ("api.clients", "if TYPE_CHECKING:\n    pass\nelse:\n    import requests"),
        ("hooks.mendix", "import requests"),
        ("hooks.mendix", f"from {PACKAGE}.triggers.wait import X"),
        ("hooks.mendix", "from ..operators import package"),
        ("hooks.mendix", f"from {PACKAGE}.archive.listing import X"),
        ("hooks.revisions", f"def f():\n    from {PACKAGE}.archive.listing import X"),
        ("triggers.wait", f"from {PACKAGE}.waiting import X"),
        ("triggers.wait", f"def f():\n    import {PACKAGE}.waiting"),
        ("builds", f"from {PACKAGE}.operators.package import X"),
        ("archive", f"from {PACKAGE}.links import portal"),
        ("operators.package", f"from {PACKAGE}.simulator import platform"),
        ("operators.package", f"from {PACKAGE} import simulator"),
        ("simulator.server", f"from {PACKAGE}.hooks.mendix import MendixHook"),
        ("simulator.server", "import aiohttp"),
        ("helpers", "import os"),
        ("", f"from {PACKAGE}.api import build"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert complaints(f"{PACKAGE}.{module}".rstrip("."), source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("api.clients", "def f():\n    import requests"),
        ("api.clients", "if TYPE_CHECKING:\n    import aiohttp"),
        ("api.clients", f"from {PACKAGE} import __version__"),
        ("api.build", f"from {PACKAGE}.api import inputs"),
        ("hooks.mendix", "from airflow.sdk import BaseHook"),
        ("hooks.mendix", "async def f():\n    import aiohttp"),
        ("operators.package", f"from {PACKAGE}.links.portal import X\nfrom {PACKAGE}.builds import Y"),
        ("simulator.server", f"from {PACKAGE}.simulator import platform\nfrom {PACKAGE}.api.errors import X"),
    ],
)
def test_a_right_import_is_let_pass(module, source):
    assert complaints(f"{PACKAGE}.{module}", source) == []


def test_nothing_heavy_is_loaded_with_the_api():
    """What the walk cannot see: an import of an import."""
    names = [name for name in MODULES if room(name) == "api"]
    heavy = sorted({"airflow", *SENDERS})
    code = f"import sys, {', '.join(names)}\nprint([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
