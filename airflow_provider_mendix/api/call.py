"""Calls and conversations as data: an endpoint is declared once, a call is one filled-in request."""

from __future__ import annotations

import enum
from collections.abc import Callable, Generator, Hashable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar, cast
from urllib.parse import quote, urlencode

import msgspec
import pendulum

from airflow_provider_mendix.api.response import OUTCOME_UNKNOWN, Response, error_of
from airflow_provider_mendix.exceptions import (
    InvalidInputError,
    MalformedResponseError,
    MendixError,
    RetiredApiError,
)

T = TypeVar("T")


class Host(enum.Enum):
    """The hosts that Mendix serves its APIs from; each has its own kind of credentials."""

    DEPLOY = "https://deploy.mendix.com"
    REPOSITORY = "https://repository.api.mendix.com"
    WEBHOOKS = "https://webhook-portal.home.mendix.com"


class Api(msgspec.Struct, frozen=True):
    """A family of endpoints: its host and its documentation.

    :param advice: what to do about an error code or an HTTP status, where this family knows more than the error.
    :param retired: what to do instead of using the family, if Mendix has retired it.
    """

    name: str
    host: Host
    prefix: str
    docs: str
    advice: tuple[tuple[int | str, str], ...] = ()
    retired: str = ""


class Endpoint(msgspec.Struct, Generic[T], frozen=True):
    """One endpoint of a family.

    :param returns: the type of a successful response; ``None`` where the body does not matter.
    :param repeatable: whether sending a request twice has the same effect as sending it once.
    :param permission: the permission that it may need beside API Rights.
    """

    api: Api
    method: str
    path: str
    returns: Any
    repeatable: bool
    permission: str = ""

    def call(
        self,
        segments: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Call[T]:
        """Return one filled-in request.

        :param segments: a value for each placeholder of the path; each is sent as one path segment.
        :param secrets: what no error may quote, should Mendix repeat it.
        """
        for name, value in segments.items():
            if value in ("", ".", ".."):
                raise InvalidInputError(f"{name} cannot be {value!r}.")
        path = self.path.format_map({name: quote(value, safe="") for name, value in segments.items()})
        return Call(endpoint=self, path=self.api.prefix + path, query=query or {}, body=body, secrets=secrets)


class Call(msgspec.Struct, Generic[T], frozen=True):
    """One filled-in request, which can parse its own response."""

    endpoint: Endpoint[T]
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None = None
    secrets: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """Path and query as they are sent."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def identity(self) -> Hashable:
        """A key that calls have in common if one response serves them all."""
        return self.endpoint.api.host.value, self.endpoint.method, self.target, self.endpoint.returns

    def __str__(self) -> str:
        return f"{self.endpoint.method} {self.path}"

    def __repr__(self) -> str:
        """Show no body: a setting may be a password."""
        return f"Call({self})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide the body from rich too, which does not use the repr of a msgspec struct."""
        return [("request", str(self))]

    @property
    def unconfirmed_hint(self) -> str:
        """The sentence to add to an error after which Mendix may have processed the request."""
        return "" if self.endpoint.repeatable else OUTCOME_UNKNOWN

    def parse(self, response: Response) -> T:
        """Return the result that a response holds.

        :raises MendixError: the narrowest class, if the response is no success or cannot be read.
        """
        api = self.endpoint.api
        if not 200 <= response.status < 300:
            raise error_of(
                str(self),
                response.without(self.secrets),
                repeatable=self.endpoint.repeatable,
                advice=dict(api.advice),
                permission=self.endpoint.permission,
                retired=api.retired,
            )
        returns = self.endpoint.returns
        if returns is None or returns is bytes:
            return cast(T, None if returns is None else response.body)
        try:
            return cast(T, decode(response.body, returns))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            # The message does not quote the body, which may hold a signed URL.
            kind = response.headers.get("content-type", "no Content-Type")
            if api.retired and response.body.lstrip()[:1] not in (b"[", b"{"):
                raise RetiredApiError(
                    f"{RetiredApiError.summary}: the response is no JSON. {api.retired}",
                    request=f"{self}: HTTP {response.status}, {kind}",
                    status=response.status,
                ) from None
            raise MalformedResponseError(
                "Mendix reported success, but the body of the response is not what it documents:"
                f" {error}. {self.unconfirmed_hint}".rstrip(),
                request=f"{self}: HTTP {response.status}, {len(response.body)} bytes, {kind}",
                status=response.status,
                outcome_unknown=not self.endpoint.repeatable,
            ) from None


Conversation: TypeAlias = Generator[Call[Any], Any, T]
"""A lookup of several calls, as a generator that does no I/O.

It yields a call and is sent that call's result, or the ``MendixError`` that the call failed with is thrown in. It
returns the result of the whole lookup.
"""


def drive(conversation: Conversation[T], send: Callable[[Call[Any]], Any]) -> T:
    """Return the result of a conversation.

    :param send: sends a call and returns its result.
    :raises MendixError: the error of a call, unless the conversation handles it, or one of the conversation.
    """
    try:
        call = next(conversation)
        while True:
            try:
                result = send(call)
            except MendixError as error:
                call = conversation.throw(error)
            else:
                call = conversation.send(result)
    except StopIteration as end:
        return cast(T, end.value)


def decode(body: bytes | msgspec.Raw, kind: Any) -> Any:
    """Return JSON as a type, by the type's ``from_json`` if it has one."""
    read = getattr(kind, "from_json", None)
    if read is not None:
        return read(body)
    return msgspec.json.decode(body, type=kind, dec_hook=decode_date)


def decode_date(kind: type, value: Any) -> Any:
    """Return a date from either of Mendix's forms: milliseconds since the epoch, and RFC 3339 text."""
    if kind is not pendulum.DateTime:
        raise NotImplementedError(kind)
    if isinstance(value, pendulum.DateTime):
        return value
    try:
        if isinstance(value, str):
            found = pendulum.parse(value, exact=False, tz="UTC")
        else:
            found = pendulum.from_timestamp(value / 1000, tz="UTC")
        if not isinstance(found, pendulum.DateTime):
            raise TypeError("a duration or an interval")
        return found
    except (ValueError, TypeError, OverflowError, OSError):
        raise ValueError(f"a {type(value).__name__} that is no date") from None
