"""Check what an author gave to an operator, a sensor or a transfer: at parse time, and again after rendering.

At parse time, a constructor calls :func:`checked` for each argument that is not templated, and ``partial`` does so
for a mapped task: a wrong value fails the import of the DAG with the name of the argument.

:func:`as_written` names the arguments for a marker, alike in every process that parses the DAG.

Before its first request, a task calls ``self.check_rendered(context)`` of :class:`RenderedArguments`, which
refuses an optional argument that was given in the DAG and has no value now. Otherwise a skipped upstream task
would turn a given revision into "the newest one".
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import deque
from collections.abc import Callable, Collection, Mapping, Set
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mendix.exceptions import InvalidInputError
from airflow_provider_mendix.settings import MIN_POLL_INTERVAL

if TYPE_CHECKING:
    from airflow.sdk import Context

T = TypeVar("T")

_FREE_TEXT = ("comment", "description")
_LONGEST_DURATION = timedelta(days=3650).total_seconds()
NO_VALUE = ("", "none", "null", "undefined", "nan")


class InvalidArgumentError(AirflowFailException, ValueError):
    """An argument is wrong. If a mapped task finds that out when it runs, its retries are not used."""


def boolean(name: str, value: bool) -> bool:
    """Return a switch: ``True`` or ``False``, because text such as ``"False"`` would count as true."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(
            f"{name} must be True or False, not {_shown(value)}. It is not templated: write the value in the DAG."
        )
    return value


def count(name: str, value: int, *, at_least: int = 1) -> int:
    """Return a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgumentError(
            f"{name} must be a whole number, not {_shown(value)}. It is not templated: write the value in the DAG."
        )
    if value < at_least:
        raise InvalidArgumentError(f"{name} must be at least {at_least}, not {value}.")
    return value


def seconds(name: str, value: float | timedelta, *, at_least: float) -> float:
    """Return a duration in seconds, given as a number or as a ``timedelta``."""
    given: Any = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(given, int | float) or isinstance(given, bool):
        raise InvalidArgumentError(
            f"{name} must be a number of seconds or a timedelta, not {_shown(value)}. It is not templated: write"
            " the value in the DAG."
        )
    if isinstance(given, float) and not math.isfinite(given):
        raise InvalidArgumentError(f"{name} must be finite, not {given}.")
    if given < at_least:
        raise InvalidArgumentError(f"{name} must be at least {at_least:.0f} seconds, not {given}.")
    if given > _LONGEST_DURATION:
        raise InvalidArgumentError(f"{name} must be at most {_LONGEST_DURATION:.0f} seconds, not {given}.")
    return float(given)


def age(name: str, value: timedelta) -> timedelta:
    """Return an age."""
    if not isinstance(value, timedelta) or value < timedelta():
        raise InvalidArgumentError(f"{name} must be a timedelta that is not negative, not {_shown(value)}.")
    return value


def choice(name: str, value: T, choices: Collection[T]) -> T:
    """Return one of a few values."""
    if not any(type(value) is type(one) and value == one for one in choices):
        raise InvalidArgumentError(f"{name} must be one of {', '.join(map(repr, choices))}, not {_shown(value)}.")
    return value


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(
        (
            "allow_production",
            "auto_sync_db",
            "check_revision",
            "db_only",
            "deferrable",
            "dry_run",
            "exponential_backoff",
            "fast_path",
            "include_failed",
            "missing_ok",
            "never_fail",
            "per_branch",
            "require_manifest",
            "retry_failed_build",
            "silent_fail",
            "skip_if_built",
            "soft_fail",
            "wait_for_completion",
        ),
        boolean,
    ),
    **dict.fromkeys(("keep_last", "max_parallel_builds"), count),
    **dict.fromkeys(("poke_interval", "poll_interval"), partial(seconds, at_least=MIN_POLL_INTERVAL)),
    "timeout": partial(seconds, at_least=1),
    "outage_tolerance": partial(seconds, at_least=0),
    "older_than": age,
    "bump": partial(choice, choices=("patch", "minor", "major")),
    "if_exists": partial(choice, choices=("rebuild", "reuse", "skip", "fail")),
    "in_use": partial(choice, choices=("fail", "skip")),
    "on_clear": partial(choice, choices=("rebuild", "reattach")),
}
"""How each argument is checked that is not templated; a name means the same in every operator."""
_MAY_BE_NONE = ("bump", "deferrable", "max_parallel_builds", "older_than")


def checked(name: str, value: Any) -> Any:
    """Return the value of an argument that is not templated.

    :raises InvalidArgumentError: if it is wrong.
    """
    return value if value is None and name in _MAY_BE_NONE else CHECKS[name](name, value)


def as_written(**arguments: object) -> str:
    """Return the text of arguments as the author wrote them, the same in every process that parses the DAG.

    Call it in the constructor: rendering replaces the arguments.

    :raises InvalidArgumentError: if an argument has no such text.
    """
    return repr([(name, _stable_text(name, value)) for name, value in arguments.items()])


class RenderedArguments:
    """Mixin of operators and sensors that refuses optional arguments which were given and have no value.

    Put it before Airflow's own base class.

    :ivar given: the templated arguments that have ever had a value.
    """

    template_fields: Collection[str]
    given: frozenset[str] = frozenset()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Return Airflow's partial task after a check of its arguments."""
        for name in CHECKS.keys() & kwargs.keys():
            checked(name, kwargs[name])
        return super().partial(**kwargs)  # type: ignore[misc]

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, and remember each templated argument that has ever had a value."""
        is_no_text = isinstance(value, str) and value == "" and name in _FREE_TEXT
        if value is not None and not is_no_text and name in self.template_fields:
            if hasattr(type(value), "output") and hasattr(value, "task_id"):
                raise InvalidArgumentError(
                    f"{name} is the task {value.task_id} itself. Give what it returns: <task>.output."
                )
            object.__setattr__(self, "given", self.given | {name})
        super().__setattr__(name, value)

    def check_rendered(self, context: Context) -> None:
        """Check that each templated argument that was given in the DAG has a value.

        :raises InvalidInputError: if one has none. No request has been sent then.
        """
        for name in self.template_fields:
            if name.endswith("conn_id") and not isinstance(value := getattr(self, name), str | None):
                raise InvalidInputError(f"{name} must be the id of a connection, as text, not {value!r}.")
        empty = [name for name in self.template_fields if _is_empty(getattr(self, name))]
        if not empty:
            return
        given = self.given | _mapped(self, context)
        for name in empty:
            if name in given:
                raise InvalidInputError(
                    f"{name} is empty: it was given in the DAG and is {getattr(self, name)!r} now. Check the"
                    " template or task that it comes from: a skipped task returns None. To use the default, leave"
                    " the argument out. No request was sent."
                )


def _mapped(operator: Any, context: Context) -> set[str]:
    """Return the arguments that a mapped task was expanded with.

    Such a task is constructed from values, so its constructor cannot tell a value of None from an argument that is
    left out. Only the mapped operator in the DAG knows.
    """
    with suppress(Exception):  # An Airflow that does not tell is no reason to fail.
        mapped = operator.get_dag().get_task(operator.task_id)
        if mapped.is_mapped:
            return set(mapped.expand_input.resolve(context)[0])
    return set()


def _is_empty(value: object) -> bool:
    """Return whether an argument has no value; a template that renders ``None`` gives its name as text."""
    return value.strip().lower() in NO_VALUE if isinstance(value, str) else value is None


def _shown(value: object) -> str:
    """Return a value for a message; an operator's output or a parameter of a DAG by its type."""
    has_text = type(value).__repr__ is not object.__repr__ and not hasattr(type(value), "iter_references")
    return repr(value) if has_text else f"a {type(value).__name__}"


def _stable_text(name: str, value: object) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, Mapping):
        items = (f"{_stable_text(name, key)}: {_stable_text(name, item)}" for key, item in value.items())
        return f"{{{', '.join(sorted(items))}}}"
    if isinstance(value, list | tuple | deque):
        return f"[{', '.join(_stable_text(name, item) for item in value)}]"
    if isinstance(value, Set):
        return f"{{{', '.join(sorted(_stable_text(name, item) for item in value))}}}"
    kind = type(value).__qualname__
    if dataclasses.is_dataclass(value) and not isinstance(value, type):  # a set in it has another text each time
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return f"{kind}({_stable_text(name, fields)})"
    if hasattr(type(value), "iter_references"):  # an argument that Airflow resolves when the task runs
        resolved_later: Any = value
        references = [f"{operator.task_id}.{key}" for operator, key in resolved_later.iter_references()]
        return f"{kind}({', '.join([*_parameter(value), *references])})"
    if callable(value):
        return str(getattr(value, "__qualname__", kind))
    text = str(value)
    has_text = type(value).__str__ is not object.__str__ or type(value).__repr__ is not object.__repr__
    if not has_text or re.search(r"\bat 0x[0-9a-fA-F]+", text):
        raise InvalidArgumentError(
            f"{name} cannot be {_shown(value)}: it has no text that stays the same in every process, by which a"
            " retry could find what this task has started. Give text, a template or the output of a task."
        )
    return f"{kind}({text})"


def _parameter(value: Any) -> list[str]:
    """Return the name of a parameter of a DAG, if Airflow tells it."""
    with suppress(Exception):
        return [str(value.serialize()["name"])]
    return []
