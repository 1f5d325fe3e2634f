"""What can go wrong between a client and Mendix. A fault is data: what it does to a request and to its response.

A fault's name is its class in lower case: ``rate_limited`` is :class:`RateLimited`. Those that change payloads
are in :mod:`~airflow_provider_mendix.simulator.faults.payload_faults`.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import Annotated, Literal

import msgspec

from airflow_provider_mendix.simulator.wire import Reply, Request, json_reply, page_reply, text_reply

Count = Annotated[int, msgspec.Meta(ge=0)]
Times = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]
ErrorStatus = Annotated[int, msgspec.Meta(ge=400, le=599)]


def _name(class_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=_name, forbid_unknown_fields=True):
    """What all faults share.

    :param on: which requests, as words that must all fit: ``api``, ``repository`` or ``files`` for the host, a
        method, an endpoint (``start_build``), or a part of the path, which has a ``/`` in it.
    :param times: how many of those it strikes; ``None`` for all, until it is removed. A request that the fault
        does not change is not counted.
    :param after: how many of those pass first.
    """

    on: str = ""
    times: Times | None = 1
    after: Count = 0

    @property
    def name(self) -> str:
        """Its name."""
        return _name(type(self).__name__)

    def change(self, request: Request) -> Request | None:
        """Return the changed request, or ``None`` if the fault does not change it."""
        return None

    def instead(self, now: float) -> Reply | None:
        """Return the response to a request that is not handled, or ``None`` if it is handled."""
        return None

    def alter(self, reply: Reply, now: float) -> Reply | None:
        """Return the changed response, or ``None`` if the fault does not change it."""
        return None


class _Unhandled(Fault, frozen=True):
    def reply(self, now: float) -> Reply:
        raise NotImplementedError

    def instead(self, now: float) -> Reply | None:
        return self.reply(now)


class _OptionallyHandled(_Unhandled, frozen=True):
    handled: bool = False

    def instead(self, now: float) -> Reply | None:
        return None if self.handled else self.reply(now)

    def alter(self, reply: Reply, now: float) -> Reply | None:
        if not self.handled:
            return None
        instead = self.reply(now)
        return msgspec.structs.replace(instead, delay=reply.delay + instead.delay)


class Latency(Fault, frozen=True):
    """The response comes late. The request is handled at once."""

    seconds: Seconds = 1.0

    def alter(self, reply: Reply, now: float) -> Reply | None:
        return msgspec.structs.replace(reply, delay=reply.delay + self.seconds)


class Hang(_OptionallyHandled, frozen=True):
    """No response comes: the connection stays open until the client gives up, the server stops, or time is up.

    :param handled: whether the request is still processed.
    """

    seconds: Seconds = 300.0

    def reply(self, now: float) -> Reply:
        return Reply(0, delay=self.seconds, drop="close")


class ConnectionReset(_Unhandled, frozen=True):
    """The connection is reset, and the request was not handled."""

    def reply(self, now: float) -> Reply:
        return Reply(0, drop="reset")


class ReplyLost(Fault, frozen=True):
    """The request is handled, and then the connection is closed without a response."""

    def alter(self, reply: Reply, now: float) -> Reply | None:
        return msgspec.structs.replace(reply, drop="close")


class RateLimited(_Unhandled, frozen=True):
    """429.

    :param retry_after: seconds to ask for; ``None`` for no such header.
    :param form: form of the header's value; a date is by the platform's clock.
    """

    retry_after: Count | None = 5
    form: Literal["seconds", "date"] = "seconds"

    def reply(self, now: float) -> Reply:
        refused = json_reply({"errorMessage": "Too many requests."}, 429)
        if self.retry_after is None:
            return refused
        date = formatdate(now + self.retry_after, usegmt=True)
        value = str(self.retry_after) if self.form == "seconds" else date
        return msgspec.structs.replace(refused, headers={**refused.headers, "Retry-After": value})


class ServerError(_OptionallyHandled, frozen=True):
    """An error in the shape that Mendix uses.

    :param code: its ``errorCode``; ``None`` for none.
    :param handled: whether the request is still processed.
    """

    status: ErrorStatus = 500
    code: str | None = None

    def reply(self, now: float) -> Reply:
        body = {"errorMessage": "The simulator was asked for this error."}
        return json_reply(body if self.code is None else {**body, "errorCode": self.code}, self.status)


class BadGateway(_OptionallyHandled, frozen=True):
    """A web page from a gateway in front of Mendix.

    :param handled: whether the request is still processed.
    """

    status: Literal[502, 503, 504] = 502

    def reply(self, now: float) -> Reply:
        reason = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}[self.status]
        return page_reply(self.status, reason)


class ExpiredLink(_Unhandled, frozen=True):
    """The file host refuses a link as if it had expired."""

    on: str = "files"

    def reply(self, now: float) -> Reply:
        return text_reply(403, "The link has expired.")


class CutFile(Fault, frozen=True):
    """The connection ends in the middle of a file, although ``Content-Length`` announced all of it.

    :param at: how many bytes of each response arrive.
    """

    on: str = "files"
    at: Count = 1024

    def alter(self, reply: Reply, now: float) -> Reply | None:
        if reply.status not in (200, 206) or len(reply.body) <= self.at:
            return None
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        return Reply(reply.status, headers, reply.body[: self.at], delay=reply.delay)
