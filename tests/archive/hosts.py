"""A file host that can be told what to make of its next answers."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.wire import Reply, Request

Behaviour = Callable[[Reply], Reply]


class Host:
    """The file host: it answers as it always does, unless it is told what to make of its next answers."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.requests: list[Request] = []
        self.statuses: list[int] = []
        self._next: list[Behaviour] = []
        self._always: Behaviour = lambda reply: reply
        answer = platform.handle

        def handle(request: Request) -> Reply:
            reply = answer(request)
            if request.host != "files":
                return reply
            reply = (self._next.pop(0) if self._next else self._always)(reply)
            self.requests.append(request)
            self.statuses.append(reply.status)
            return reply

        platform.handle = handle

    def then(self, *behaviours: Behaviour) -> None:
        self._next += behaviours

    def always(self, behaviour: Behaviour) -> None:
        self._always = behaviour

    @property
    def ranges(self) -> list[str | None]:
        """The parts that it was asked for."""
        return [request.headers.get("range") for request in self.requests]

    @property
    def links(self) -> int:
        """How many links Mendix was asked for."""
        return len([entry for entry in self.platform.journal.requests(host="api") if entry.query.get("url")])

    def forget(self) -> None:
        """Start counting anew."""
        self.platform.journal.clear()
        self.requests.clear()
        self.statuses.clear()


def whole(reply: Reply) -> Reply:
    return reply


def cut(keep: int) -> Behaviour:
    """Send some bytes, and hang up."""
    return lambda reply: Reply(reply.status, reply.headers, reply.body[:keep])


def says(status: int, **headers: str) -> Behaviour:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda reply: Reply(status, named, b"")


def with_headers(**headers: str | None) -> Behaviour:
    """Change headers; those that become ``None`` are left out."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}

    def behave(reply: Reply) -> Reply:
        merged = {**reply.headers, **changed}
        return Reply(
            reply.status, {name: value for name, value in merged.items() if value is not None}, reply.body
        )

    return behave


def with_body(change: Callable[[bytes], bytes]) -> Behaviour:
    """Change the whole file; its length and the validator are right for what it has become."""

    def behave(reply: Reply) -> Reply:
        body = change(reply.body)
        tag = f'"{hash(body)}"'
        return Reply(reply.status, {**reply.headers, "Content-Length": str(len(body)), "ETag": tag}, body)

    return behave


def both(*behaviours: Behaviour) -> Behaviour:
    """One after the other."""

    def behave(reply: Reply) -> Reply:
        for behaviour in behaviours:
            reply = behaviour(reply)
        return reply

    return behave


def flipped(body: bytes) -> bytes:
    """Flip one bit, inside the biggest file of the simulator's zip."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
