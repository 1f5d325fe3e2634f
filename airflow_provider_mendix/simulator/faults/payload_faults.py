"""Faults that change payloads: packages with other values, and invalid JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from airflow_provider_mendix.simulator.faults.catalog import Count, Fault, Seconds, Times
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request

Shown = dict[str, Any]

_KEYS = {"PackageId", "CreationDate", "Status"}


class TruncatedJson(Fault, frozen=True):
    """The second half of the JSON is missing, and ``Content-Length`` fits what is left."""

    def alter(self, reply: Reply, now: float) -> Reply | None:
        if not _is_good_json(reply):
            return None
        return msgspec.structs.replace(reply, body=reply.body[: len(reply.body) // 2])


class EmptyBody(Fault, frozen=True):
    """A success has an empty body."""

    def alter(self, reply: Reply, now: float) -> Reply | None:
        return msgspec.structs.replace(reply, body=b"") if _is_good_json(reply) else None


class FloatSize(Fault, frozen=True):
    """``Size`` is in megabytes, with a fraction, as in older samples of the documentation."""

    def alter(self, reply: Reply, now: float) -> Reply | None:
        return _with_each_package(reply, self._changed)

    @staticmethod
    def _changed(package: Shown) -> Shown:
        size = package.get("Size")
        return {**package, "Size": size / 1024 / 1024} if isinstance(size, int) else package


class MalformedSize(Fault, frozen=True):
    """``Size`` ends in an ``S``, as in one sample of the documentation (``15342295S``): not JSON."""

    def alter(self, reply: Reply, now: float) -> Reply | None:
        body, changes = re.subn(rb'"Size":(\d+)', rb'"Size":\1S', reply.body) if _is_good_json(reply) else (b"", 0)
        return msgspec.structs.replace(reply, body=body) if changes else None


class HiddenFromList(Fault, frozen=True):
    """A new package is not in the list yet, and 404 by its id; ``on`` can choose one of both.

    :param seconds: age from which on it is visible.
    """

    times: Times | None = None
    seconds: Seconds = 30.0

    def alter(self, reply: Reply, now: float) -> Reply | None:
        def is_hidden(package: Shown) -> bool:
            return bool(now - package["CreationDate"] / 1000 < self.seconds)

        match _packages(reply):
            case list(packages) if any(map(is_hidden, packages)):
                visible = [package for package in packages if not is_hidden(package)]
                return msgspec.structs.replace(reply, body=msgspec.json.encode(visible))
            # Without an expiry date it is the package of an environment, which was not asked for by its id.
            case dict(package) if is_hidden(package) and package.get("ExpiryDate", "") is not None:
                refused = RefusedError(404, "PACKAGE_NOT_FOUND", "There is no such package or build (yet).").reply
                return msgspec.structs.replace(refused, delay=reply.delay)
        return None


class StuckBuild(Fault, frozen=True):
    """A running build keeps the state that it has when this is added. When this is removed, it has caught up.

    :param package_id: of one build; ``None`` for all, future ones included.
    """

    on: Literal[""] = ""
    times: None = None
    after: Literal[0] = 0
    package_id: str | None = None

    def holds(self, package_id: str) -> bool:
        """Return whether it holds a package."""
        return self.package_id in (None, package_id)

    def alter(self, reply: Reply, now: float) -> Reply | None:
        """Return the response as it is, if it shows a build that is held: the state itself does not change."""
        found = _packages(reply) or []
        running = [shown for shown in _as_list(found) if shown["Status"] not in ("Succeeded", "Failed")]
        return reply if any(self.holds(shown["PackageId"]) for shown in running) else None


class TruncatedDescription(Fault, frozen=True):
    """Only the start of a description is stored; on requests that read, only the start is shown.

    :param length: characters that are left.
    """

    on: str = "start_build"
    length: Count = 100

    def change(self, request: Request) -> Request | None:
        return _with_body(request, self._changed)

    def alter(self, reply: Reply, now: float) -> Reply | None:
        return _with_each_package(reply, self._changed)

    def _changed(self, described: Shown) -> Shown:
        description = described.get("Description")
        if not isinstance(description, str):
            return described
        return {**described, "Description": description[: self.length]}


class DroppedDescription(Fault, frozen=True):
    """The description is not stored; on requests that read, it is not shown."""

    on: str = "start_build"

    def change(self, request: Request) -> Request | None:
        return _with_body(request, self._changed)

    def alter(self, reply: Reply, now: float) -> Reply | None:
        return _with_each_package(reply, self._changed)

    @staticmethod
    def _changed(described: Shown) -> Shown:
        return {name: value for name, value in described.items() if name != "Description"}


def _is_good_json(reply: Reply) -> bool:
    return reply.status == 200 and reply.headers.get("Content-Type", "").startswith("application/json")


def _packages(reply: Reply) -> list[Shown] | Shown | None:
    """Return the packages, or the one package, that a response shows."""
    if not _is_good_json(reply):
        return None
    try:
        found = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:  # another fault has already changed it
        return None
    are_packages = all(isinstance(shown, dict) and shown.keys() >= _KEYS for shown in _as_list(found))
    return found if are_packages else None


def _as_list(found: list[Shown] | Shown) -> list[Shown]:
    return found if isinstance(found, list) else [found]


def _with_each_package(reply: Reply, change: Callable[[Shown], Shown]) -> Reply | None:
    found = _packages(reply)
    if found is None:
        return None
    changed = [change(shown) for shown in found] if isinstance(found, list) else change(found)
    return None if changed == found else msgspec.structs.replace(reply, body=msgspec.json.encode(changed))


def _with_body(request: Request, change: Callable[[Shown], Shown]) -> Request | None:
    try:
        body = msgspec.json.decode(request.body, type=Shown)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    changed = change(body)
    return None if changed == body else msgspec.structs.replace(request, body=msgspec.json.encode(changed))
