"""A wait is data: which call to send, and how to judge the response. Workers and triggers poll it alike."""

from __future__ import annotations

from collections.abc import Hashable
from importlib import import_module
from typing import Any, ClassVar

import msgspec

from airflow_provider_mendix.api.call import Call, Conversation
from airflow_provider_mendix.exceptions import MendixError, NotFoundError, UnexpectedEventError

MODULES = {
    "PackageWait": "package",
    "BuildCapacityWait": "package",
    "UploadWait": "upload",
    "RevisionWait": "revision",
    "EnvironmentWait": "environment",
    "TransportWait": "environment",
    "StartJobWait": "environment",
    "SnapshotWait": "backup",
    "ArchiveWait": "backup",
    "RestoreWait": "backup",
}
"""The module of each kind of wait. A trigger stores the name of the kind, and loads only the module it needs."""


class Outcome(msgspec.Struct, frozen=True):
    """What one response means for a wait.

    :param state: a state in Mendix's words.
    :param done: whether the wait has succeeded.
    :param result: JSON values to return if it has.
    :param log_message: what a reader of the task's log should learn from this poll; empty for nothing.
    """

    state: str
    done: bool = False
    result: dict[str, Any] = {}
    log_message: str = ""


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the waits; a subclass adds what to wait for.

    Waits with the same ``batch_key`` may share one ``shared_call``; each takes its part of the response with
    ``extract``.

    :param visible_by: wall-clock time in seconds since the epoch. Until then, a missing object counts as not
        visible yet: it may just have been created.
    :cvar has_single_call: whether ``call`` is another call than ``shared_call``.
    :cvar phases: the states whose durations the result reports.
    """

    has_single_call: ClassVar[bool] = False
    phases: ClassVar[tuple[str, ...]] = ()

    visible_by: float = 0.0

    @property
    def description(self) -> str:
        """What the wait is about, for messages."""
        raise NotImplementedError

    @property
    def batch_key(self) -> Hashable:
        """The key of the waits that one request can serve."""
        return self.shared_call().identity

    def resolve(self) -> Conversation[Wait]:
        """Look up what the wait must know before its first poll, and return the wait that knows it.

        Most waits need no lookup and return themselves.
        """
        return self
        yield  # makes this function a generator

    def call(self) -> Call[Any]:
        """Return the call to poll with."""
        raise NotImplementedError

    def shared_call(self) -> Call[Any]:
        """Return the call that serves all waits with the same ``batch_key``."""
        return self.call()

    def extract(self, response: Any) -> Any:
        """Return the part of a shared response that ``judge`` takes; ``None`` if it has none."""
        return response

    def judge(self, response: Any) -> Outcome:
        """Return what a response means.

        :raises MendixError: if the wait can no longer succeed.
        """
        raise NotImplementedError

    def is_retryable(self, error: MendixError, now: float) -> bool:
        """Return whether to poll again after an error."""
        is_missing = isinstance(error, NotFoundError) and error.may_appear
        return error.transient or (is_missing and now < self.visible_by)

    def to_json(self) -> dict[str, Any]:
        """Return the wait as JSON values, for a trigger row."""
        return dict(msgspec.to_builtins(self))


def wait_from_json(data: Any) -> Wait:
    """Rebuild the wait that :meth:`Wait.to_json` wrote.

    :raises UnexpectedEventError: if this version cannot read it.
    """
    try:
        kind = data["type"]
        module = import_module(f"{__package__}.{MODULES[kind]}")
        wait: Wait = msgspec.convert(data, type=getattr(module, kind))
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise UnexpectedEventError(f"The trigger holds a wait that this version cannot read: {error!r}.") from None
    return wait
