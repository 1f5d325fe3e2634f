"""What DAG authors may rely on: the names in `__all__` of every module, and their signatures.

`public_api.txt` records them. After a wanted change, renew it and describe the change in CHANGELOG.md:

    python -m tests.test_public_api
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import is_typeddict

import msgspec

import airflow_provider_mendix
from airflow_provider_mendix.operators import signatures

AIRFLOWS_ARGUMENTS = set(signatures.OperatorArguments.__annotations__)
RECORDED = Path(__file__).with_name("public_api.txt")
PACKAGE = airflow_provider_mendix.__name__


def test_the_public_api_is_the_recorded_one():
    assert list(public_api()) == RECORDED.read_text().splitlines(), "see the docstring of this module"


def test_every_module_that_users_import_says_what_is_public():
    users_import = {"hooks", "operators", "sensors", "transfers", "triggers", "links", "assets"}
    silent = [
        module.__name__
        for module in modules()
        if module.__name__.split(".")[1] in users_import
        and not hasattr(module, "__path__")
        and not hasattr(module, "__all__")
        and any(is_public_class(value, module) for value in vars(module).values())
    ]
    private = {f"{PACKAGE}.operators.base", f"{PACKAGE}.sensors.base"}
    assert set(silent) - private == set()


def is_public_class(value, module):
    from airflow.providers.common.compat.sdk import BaseOperator

    is_class = inspect.isclass(value) and value.__module__ == module.__name__
    return is_class and issubclass(value, BaseOperator) and not module.__name__.rpartition(".")[2].startswith("_")


def modules() -> Iterator:
    for found in pkgutil.walk_packages(airflow_provider_mendix.__path__, f"{PACKAGE}."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def public_api() -> Iterator[str]:
    """Return one line for each public name, and one for each public member that a public base does not have."""
    public = [
        (module, name) for module in modules() for name in getattr(module, "__all__", ()) if hasattr(module, name)
    ]
    classes = {value for module, name in public if inspect.isclass(value := getattr(module, name))}
    for module, name in sorted(public, key=lambda one: (one[0].__name__, one[1])):
        value = getattr(module, name)
        path = f"{module.__name__.removeprefix(PACKAGE + '.')}.{name}"
        if inspect.isclass(value):
            bases = ", ".join(base.__name__ for base in value.__bases__)
            yield f"class {path}({bases}): {constructor(value)}"
            inherited = {owner for base in value.__bases__ if base in classes for owner in base.__mro__}
            yield from members([owner for owner in value.__mro__ if owner not in inherited])
        elif callable(value):
            yield f"def {path}{signature(value)}"
        else:
            yield f"{path}: {type(value).__name__}"
    for name, value in sorted(vars(signatures).items()):
        if is_typeddict(value) and value is not signatures.OperatorArguments:
            yield f"arguments {name}: {sorted(set(value.__annotations__) - AIRFLOWS_ARGUMENTS)}"


def constructor(of: type) -> str:
    if issubclass(of, msgspec.Struct):
        return f"({', '.join(of.__struct_fields__)})"
    if issubclass(of, Enum):
        return str([member.value for member in of])
    owner = next(owner for owner in of.__mro__ if "__init__" in vars(owner))
    return signature(of.__init__) if owner.__module__.startswith(PACKAGE) else "(…)"


def members(owners: list[type]) -> Iterator[str]:
    found: dict[str, object] = {}
    for owner in owners:
        if owner.__module__.startswith(PACKAGE):
            found = {**vars(owner), **found}
    for name, value in sorted(found.items()):
        if name.startswith("_"):
            continue
        if name == "template_fields":
            yield f"    {name} = {sorted(value)}"
        elif inspect.isfunction(value):
            yield f"    def {name}{signature(value)}"
        elif isinstance(value, classmethod | staticmethod):
            yield f"    def {name}{signature(value.__func__)}"
        elif isinstance(value, property):
            yield f"    {name}"


def signature(function) -> str:
    """Return a signature without types, which mypy checks, and without the text of default objects."""
    try:
        known = inspect.signature(inspect.unwrap(function))
    except (TypeError, ValueError):
        return "(…)"
    parameters = [
        one.replace(annotation=shown_type(one), default=shown(one.default))
        for one in known.parameters.values()
        if one.name != "self"
    ]
    return str(known.replace(parameters=parameters, return_annotation=known.empty))


def shown_type(parameter: inspect.Parameter) -> object:
    """Return the type of `**kwargs` alone: it holds the names of the other arguments."""
    return parameter.annotation if parameter.kind is parameter.VAR_KEYWORD else parameter.empty


def shown(default: object) -> object:
    plain = default is inspect.Parameter.empty or isinstance(default, str | int | float | type(None))
    return default if plain else ...


if __name__ == "__main__":
    RECORDED.write_text("".join(f"{line}\n" for line in public_api()))
