"""The faults that are active: added by name, they find their requests, count them, and go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, get_args

import msgspec

from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.simulator.apis import routes
from airflow_provider_mendix.simulator.apis.routes import HostName, Reply, Request
from airflow_provider_mendix.simulator.faults import catalog as faults
from airflow_provider_mendix.simulator.faults import payload_faults as distortions
from airflow_provider_mendix.simulator.faults.catalog import Fault

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HOSTS = get_args(HostName)

KINDS: Mapping[str, type[Fault]] = {
    str(kind.__struct_config__.tag): kind
    for module in (faults, distortions)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Fault) and kind is not Fault and not name.startswith("_")
}
"""All faults by their names."""


class InvalidFaultError(ValueError):
    """No such fault, or not with these parameters."""


class ActiveFault:
    """A fault that was added. As a context manager it is taken away at the end of the block.

    :ivar fault: what it is.
    :ivar struck: how many requests it has made a difference to.
    """

    def __init__(self, fault: Fault, owner: Faults, since: float) -> None:
        self.fault = fault
        self.since = since
        self.struck = 0
        self._spared = 0
        self._owner = owner

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Take it away, if it is not gone by itself."""
        self._owner.remove(self)

    def shown(self) -> dict[str, Any]:
        """Give it as JSON-plain values."""
        return {**msgspec.to_builtins(self.fault), "struck": self.struck}

    def matches(self, request: Request) -> bool:
        """Tell whether ``on`` fits a request."""
        endpoint = routes.name(request)
        if request.host != "files" and endpoint is None:
            return False
        known = (request.host, request.method, endpoint)
        return all(word in known or ("/" in word and word in request.path) for word in self.fault.on.split())

    def strikes(self) -> bool:
        """Count a request that it would make a difference to, and tell whether it does."""
        if self._spared < self.fault.after:
            self._spared += 1
            return False
        self.struck += 1
        if self.struck == self.fault.times:
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
        """Let something go wrong from now on.

        :param fault: its name, with its parameters; or the fault itself.
        :raises InvalidFaultError: if there is no such fault, or not with these parameters.
        """
        added = ActiveFault(self._checked(fault, parameters), self, self._clock.now())
        with self._lock:
            self._active.append(added)
        return added

    def remove(self, active: ActiveFault) -> None:
        """Take one away."""
        with self._lock:
            if active in self._active:
                self._active.remove(active)

    def clear(self) -> None:
        """Take all away."""
        with self._lock:
            self._active.clear()

    def held_at(self, package_id: str, now: float) -> float:
        """Give the time that a package is shown at: now, unless its build is stuck."""
        stuck = (
            active.since
            for active in self
            if isinstance(active.fault, distortions.StuckBuild) and active.fault.holds(package_id)
        )
        return min([now, *stuck])

    def apply(self, request: Request, handle: Callable[[Request], Reply]) -> tuple[Reply, tuple[str, ...]]:
        """Answer a request, and name the faults that made a difference."""
        matching = [active for active in self if active.matches(request)]
        struck: list[str] = []
        now = self._clock.now()
        for active in matching:
            changed = active.fault.change(request)
            if changed is not None and active.strikes():
                request = changed
                struck.append(active.fault.name)
        reply = None
        for active in matching:
            instead = active.fault.instead(now) if reply is None else None
            if instead is not None and active.strikes():
                reply = instead
                struck.append(active.fault.name)
        if reply is None:
            reply = handle(request)
        for active in matching:
            altered = None if reply.drop else active.fault.alter(reply, now)
            if altered is not None and active.strikes():
                reply = altered
                struck.append(active.fault.name)
        return reply, tuple(struck)

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
