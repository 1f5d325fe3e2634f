"""Values for settings: where they are found, how they differ from those in Mendix, and which are secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple, TypeAlias

from airflow_provider_mendix.api.deploy import Settings
from airflow_provider_mendix.exceptions import InvalidInputError
from airflow_provider_mendix.operators.arguments import NO_VALUE

Kind: TypeAlias = Literal["constants", "custom_settings", "scheduled_events"]

_SECRET_NAME = re.compile("key|secret|pass|pwd|token|credential|signature|private|certificate", re.IGNORECASE)
_FORMS = "Give text, a number or a bool, {'variable': key}, or {'connection': conn_id, 'field': 'password'}."
_MIN_MASKED = 5


class Value(NamedTuple):
    """A value that a setting should have.

    :param is_secret: whether it was found in a variable or a connection.
    """

    text: str
    is_secret: bool = False


Wanted: TypeAlias = Mapping[Kind, Mapping[str, Value]]


class Change(NamedTuple):
    """A setting that has another value than it should have.

    :param entry: the setting as Mendix shows it; ``None`` if it shows no setting with this name.
    """

    kind: Kind
    name: str
    value: Value
    entry: Mapping[str, Any] | None

    @property
    def setting(self) -> str:
        """Kind and name, for messages."""
        return f"{label(self.kind)} {self.name}"

    def __str__(self) -> str:
        """Return the difference for the log, without values that are secrets or may be."""
        from airflow.providers.common.compat.sdk import redact

        if self.value.is_secret or _SECRET_NAME.search(self.name):
            return f"{self.setting}: value not shown"
        before = "not in Mendix" if self.entry is None else repr(self.entry.get("Value"))
        # Airflow knows more secrets by now than this module.
        return f"{self.setting}: {redact(f'{before} -> {self.value.text!r}', self.name)}"


def label(kind: Kind) -> str:
    """Return the name of one setting of a kind, for messages."""
    return kind.removesuffix("s").replace("_", " ")


def find(what: str, given: object, *, may_be_empty: bool) -> Value:
    """Return the value that an author has given.

    :param what: the setting, for messages.
    :param may_be_empty: whether it is written as empty in the DAG; otherwise it went missing in a template.
    :raises InvalidInputError: if it is not a value, or has gone missing.
    """
    if isinstance(given, Mapping):
        return _look_up(what, dict(given))
    if not isinstance(given, str | bool | int | float):
        raise InvalidInputError(f"{what} cannot be of type {type(given).__name__}. {_FORMS}")
    if isinstance(given, str) and given.strip().lower() in NO_VALUE and not may_be_empty:
        raise InvalidInputError(
            f"{what} is empty (it rendered to {given!r}). Write '' in the DAG if it should be empty."
        )
    return Value(_text(given))


def difference(settings: Settings, wanted: Wanted) -> list[Change]:
    """Return the settings that have another value than they should have."""
    changes = []
    for kind, values in wanted.items():
        entries = {entry.get("Name"): entry for entry in getattr(settings, kind)}
        for name, value in values.items():
            entry = entries.get(name)
            if entry is None or not _is_same(entry, "Value", value.text):
                changes.append(Change(kind, name, value, entry))
    return changes


def merge(settings: Settings, changes: Iterable[Change]) -> Settings:
    """Return settings with changes made, and everything else as it was."""
    entries = {kind: list(getattr(settings, kind)) for kind in Settings.__struct_fields__}
    for change in changes:
        value = {"Name": change.name, "Value": change.value.text}
        if change.entry is None:
            entries[change.kind].append(value)
        else:
            index = entries[change.kind].index(change.entry)
            entries[change.kind][index] = {**change.entry, **value}
    return Settings(**{kind: tuple(found) for kind, found in entries.items()})


def needs_restart(settings: Settings, wanted: Wanted, changed: set[tuple[Kind, str]]) -> bool:
    """Return whether an app that runs was started with other values than it should have.

    :param changed: what the task has changed; it counts where Mendix does not show with which value the app runs.
    """
    for kind, values in wanted.items():
        for entry in getattr(settings, kind):
            value = values.get(entry.get("Name"))
            if value is None:
                continue
            if "DeployedValue" not in entry:
                if (kind, entry["Name"]) in changed:
                    return True
            elif not _is_same(entry, "DeployedValue", value.text):
                return True
    return False


def _is_same(entry: Mapping[str, Any], key: str, text: str) -> bool:
    found = entry.get(key)
    if found is None:
        return False
    match str(entry.get("DataType")).lower():
        case "boolean":
            return _text(found).lower() == text.lower()
        case "integer" | "long" | "decimal":
            try:
                return Decimal(_text(found)) == Decimal(text)
            except InvalidOperation:
                pass
    return _text(found) == text


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _look_up(what: str, source: dict[str, Any]) -> Value:
    """Return a value from an Airflow variable or connection, and mask it in logs.

    :raises AirflowNotFoundException: if it is not there: a secrets backend may have failed, so a retry may help.
    """
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, Variable, mask_secret

    names = set(source)
    are_names = all(isinstance(name, str) and name.strip().lower() not in NO_VALUE for name in source.values())
    if not are_names or names not in ({"variable"}, {"connection"}, {"connection", "field"}):
        keys = ", ".join(sorted(map(repr, names))) or "none"
        raise InvalidInputError(
            f"{what} has no source that the task can look up: its keys are {keys}, or a name is missing. {_FORMS}"
        )
    if "variable" in source:
        where = f"Airflow variable {source['variable']!r}"
        found = Variable.get(source["variable"], default=None)
    else:
        field = source.get("field", "password")
        where = f"field {field!r} of Airflow connection {source['connection']!r}"
        connection = BaseHook.get_connection(source["connection"])
        is_field = field in ("login", "password", "host", "port", "schema")
        found = getattr(connection, field) if is_field else connection.extra_dejson.get(field)
    if found in (None, ""):
        raise AirflowNotFoundException(f"{what}: {where} is missing or empty. Nothing was changed.")
    value = Value(_text(found), is_secret=True)
    if len(value.text) >= _MIN_MASKED:
        mask_secret(value.text)
    return value
