"""The active faults: they are added by name, strike the requests that they match, and are removed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, get_args

import msgspec

from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.simulator import routes
from airflow_provider_mendix.simulator.faults import catalog, payload_faults
from airflow_provider_mendix.simulator.faults.catalog import Fault
from airflow_provider_mendix.simulator.wire import HostName, Reply, Request

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HOSTS = get_args(HostName)

KINDS: Mapping[str, type[Fault]] = {
    str(kind.__struct_config__.tag): kind
    for module in (catalog, payload_faults)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Fault) and kind is not Fault and not name.startswith("_")
}
"""All faults by their names."""


class InvalidFaultError(ValueError):
    """There is no such fault, or it does not have these parameters."""


class ActiveFault:
    """A fault that was added. As a context manager it is removed at the end of the block.

    :ivar call_count: how many requests it has struck.
    """

    def __init__(self, fault: Fault, owner: Faults, since: float) -> None:
        self.fault = fault
        self.since = since
        self.call_count = 0
        self._passed = 0
        self._owner = owner

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove it, unless it has already struck as often as it should."""
        self._owner.remove(self)

    def shown(self) -> dict[str, Any]:
        """Return it as JSON-plain values."""
        return {**msgspec.to_builtins(self.fault), "call_count": self.call_count}

    def matches(self, request: Request) -> bool:
        """Return whether ``on`` fits a request."""
        endpoint = routes.name(request)
        if request.host != "files" and endpoint is None:
            return False
        known = (request.host, request.method, endpoint)
        return all(word in known or ("/" in word and word in request.path) for word in self.fault.on.split())

    def strikes(self) -> bool:
        """Count a request that the fault would change, and return whether it does."""
        if self._passed < self.fault.after:
            self._passed += 1
            return False
        self.call_count += 1
        if self.call_count == self.fault.times:
            self.remove()
        return True


class Faults:
    """The faults of a platform.

    :param packages: those of the platform, by id.
    """

    def __init__(self, clock: Clock, packages: Mapping[str, object]) -> None:
        self._clock = clock
        self._packages = packages
        self._active: list[ActiveFault] = []
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[ActiveFault]:
        with self._lock:
            return iter(list(self._active))

    def add(self, fault: Fault | str, /, **parameters: Any) -> ActiveFault:
        """Add a fault.

        :param fault: its name, with its parameters; or the fault itself.
        :raises InvalidFaultError: if there is no such fault, or not with these parameters.
        """
        added = ActiveFault(self._checked(fault, parameters), self, self._clock.now())
        with self._lock:
            self._active.append(added)
        return added

    def remove(self, active: ActiveFault) -> None:
        """Remove one fault."""
        with self._lock:
            if active in self._active:
                self._active.remove(active)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._active.clear()

    def stuck_since(self, package_id: str) -> float:
        """Return when a build got stuck, in seconds since the epoch; infinite if it is not."""
        stuck = (
            active.since
            for active in self
            if isinstance(active.fault, payload_faults.StuckBuild) and active.fault.holds(package_id)
        )
        return min(stuck, default=math.inf)

    def apply(self, request: Request, handle: Callable[[Request], Reply]) -> tuple[Reply, tuple[str, ...]]:
        """Return the response to a request, and the names of the faults that struck it."""
        matching = [active for active in self if active.matches(request)]
        names: list[str] = []
        now = self._clock.now()
        for active in matching:
            changed = active.fault.change(request)
            if changed is not None and active.strikes():
                request = changed
                names.append(active.fault.name)
        reply = None
        for active in matching:
            instead = active.fault.instead(now) if reply is None else None
            if instead is not None and active.strikes():
                reply = instead
                names.append(active.fault.name)
        if reply is None:
            reply = handle(request)
        for active in matching:
            altered = None if reply.drop else active.fault.alter(reply, now)
            if altered is not None and active.strikes():
                reply = altered
                names.append(active.fault.name)
        return reply, tuple(names)

    def _checked(self, fault: Fault | str, parameters: Mapping[str, Any]) -> Fault:
        name = fault if isinstance(fault, str) else fault.name
        given = parameters if isinstance(fault, str) else msgspec.to_builtins(fault)
        kind = KINDS.get(name)
        if kind is None:
            raise InvalidFaultError(f"There is no fault {name!r}. There are: {', '.join(sorted(KINDS))}.")
        try:
            checked = msgspec.convert({**given, "kind": name}, type=kind)
        except msgspec.ValidationError as error:
            known = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
            raise InvalidFaultError(f"{name}: {error}. Its parameters: {known}.") from None
        for word in checked.on.split():
            if word not in (*_HOSTS, *_METHODS, *routes.names()) and "/" not in word:
                raise InvalidFaultError(
                    f"{name}: 'on' cannot be {word!r}. It is made of {', '.join(_HOSTS)}; a method such as POST;"
                    f" an endpoint ({', '.join(routes.names())}); or a part of the path with a / in it."
                )
        package_id = getattr(checked, "package_id", None)
        if package_id is not None and package_id not in self._packages:
            raise InvalidFaultError(f"{name}: there is no package {package_id}.")
        return checked
