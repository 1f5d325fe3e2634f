"""Which module may import which: imports run downwards, without a cycle, and nothing heavy at parse time."""

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
LAYERS = (
    ("exceptions", "settings", "clock"),
    ("api",),
    ("waits", "client"),
    ("hooks",),
    ("polling",),
    ("triggers",),
    ("failures", "builds", "archive", "retention"),
    ("links",),
    ("operators", "sensors", "transfers", "assets", "webhooks"),
    ("plugin",),
)
"""From the lowest layer up. A module imports from its own layer and from those below it."""
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
WITHOUT_AIRFLOW = {room for room, number in LAYER_OF.items() if number < LAYER_OF["hooks"]} - {"settings"}
SIMULATOR_MAY_IMPORT = {"simulator", "api", "clock", "exceptions"}
EXCEPTIONS = {(f"{PACKAGE}.hooks.mendix", "archive")}
"""An archive is no endpoint of Mendix, but the hook is where users look for it."""
HTTP_LIBRARIES = {"requests", "aiohttp", "urllib3", "yarl"}


class Import(NamedTuple):
    target: str
    deferred: bool
    """Whether it runs in a function only, or only for the type checker."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# A wheel holds the examples in the package. They import what users import.
PATHS = [path for path in sorted(ROOT.rglob("*.py")) if path.parent.name != "example_dags"]
MODULES = {module_name(path): path.read_text("utf-8") for path in PATHS}


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
    """The first folder or module below our package; empty for the package itself."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


def complaints(module: str, source: str) -> list[str]:
    here = room(module)
    if here and here != "simulator" and here not in LAYER_OF:
        return [f"{module} is in no layer: add it to LAYERS"]
    found = []
    for target, deferred in imports(ast.parse(source)):
        top = target.split(".")[0]
        if target.startswith("."):
            found.append("is relative")
        elif top in HTTP_LIBRARIES and not deferred:
            found.append(f"{target} at import time")
        elif top in HTTP_LIBRARIES and here not in ("client", "simulator"):
            found.append(f"{target} outside client")
        elif top == "airflow" and here in WITHOUT_AIRFLOW:
            found.append(f"{target} in {here}")
        elif top == "airflow" and here == "settings" and not deferred:
            found.append(f"{target} at import time")
        elif top == PACKAGE and room(target):
            there = room(target)
            if not here:
                found.append(f"{target} in the package itself")
            elif there == "simulator" != here:
                found.append(f"{target} outside the simulator")
            elif here == "simulator":
                found += [] if there in SIMULATOR_MAY_IMPORT else [f"{target} in the simulator"]
            elif LAYER_OF[there] > LAYER_OF[here] and not (deferred and (module, there) in EXCEPTIONS):
                found.append(f"{target} is in a higher layer")
    return found


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return every group of modules that import each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in graph.get(module, ()):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1 or module in graph.get(module, ()):
                found.append(sorted(group))

    for module in graph:
        if module not in index:
            visit(module)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    assert complaints(module, MODULES[module]) == []


def test_no_module_imports_itself_by_way_of_others():
    """Imports in functions and for the type checker count too."""
    graph = {
        module: {found.target for found in imports(ast.parse(source)) if found.target in MODULES}
        for module, source in MODULES.items()
    }

    assert cycles(graph) == []


def test_a_cycle_is_found():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_the_modules_are_found():
    assert {PACKAGE, f"{PACKAGE}.api", f"{PACKAGE}.client.account", f"{PACKAGE}.hooks"} <= set(MODULES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("api.call", "import airflow"),
        ("api.call", "def f():\n    from airflow.sdk import DAG"),
        ("api.call", f"from {PACKAGE} import hooks"),
        ("api.call", f"from {PACKAGE}.hooks.mendix import MendixHook"),
        ("api.call", f"import {PACKAGE}.client.account"),
        ("api.call", "def f():\n    import requests"),
        ("settings", "from airflow.configuration import conf"),
        ("waits.base", "from airflow.sdk import DAG"),
        ("client.account", "import requests"),
        ("client.account", "class A:\n    from aiohttp import web"),
        ("client.account", "try:\n    import aiohttp.client\nexcept ImportError:\n    pass"),
        ("client.account", "if TYPE_CHECKING:\n    pass\nelse:\n    import requests"),
        ("hooks.mendix", "def f():\n    import requests"),
        ("hooks.mendix", f"from {PACKAGE}.triggers.wait import X"),
        ("hooks.mendix", "from ..operators import package"),
        ("hooks.mendix", f"from {PACKAGE}.archive.catalog import X"),
        ("hooks.connection", f"def f():\n    from {PACKAGE}.archive.catalog import X"),
        ("polling.poller", f"def f():\n    from {PACKAGE}.triggers.wait import X"),
        ("builds.marker", f"from {PACKAGE}.operators.package import X"),
        ("archive.writer", f"from {PACKAGE}.links import portal"),
        ("operators.package", f"from {PACKAGE}.simulator import server"),
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
        ("client.account", "def f():\n    import requests"),
        ("client.account", "if TYPE_CHECKING:\n    import aiohttp"),
        ("client.account", f"from {PACKAGE} import __version__"),
        ("settings", "def f():\n    from airflow.configuration import conf"),
        ("api.build", f"from {PACKAGE}.api import inputs"),
        ("hooks.mendix", "from airflow.sdk import BaseHook"),
        ("operators.package", f"from {PACKAGE}.links.portal import X\nfrom {PACKAGE}.builds.marker import Y"),
        (
            "simulator.server",
            f"from {PACKAGE}.simulator.state import platform\nfrom {PACKAGE}.exceptions import X",
        ),
    ],
)
def test_a_right_import_passes(module, source):
    assert complaints(f"{PACKAGE}.{module}", source) == []


def test_nothing_heavy_is_loaded_below_the_hooks():
    """What the parser cannot see: an import of an import."""
    names = [name for name in MODULES if room(name) in WITHOUT_AIRFLOW | {"settings"}]
    heavy = sorted({"airflow", *HTTP_LIBRARIES})
    code = f"import sys, {', '.join(names)}\nprint([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
