"""What is checked of every call of an API family: its request, its result, its refusals and odd responses."""

from __future__ import annotations

import json
import traceback
from collections.abc import Collection
from types import ModuleType
from typing import Any

import msgspec
import pytest

from airflow_provider_mendix import __version__
from airflow_provider_mendix.api.call import Call, Endpoint, Host
from airflow_provider_mendix.exceptions import MalformedResponseError, MendixError

from ..wire import API_KEY, SAMPLES, USERNAME, Request, Send, Wire

TOKEN = "7LJE-token-that-must-not-be-shown"
CANARY = "https://files.example/a.mda?sig=canary"
OUTCOME_UNKNOWN = "Mendix may still have processed the request; check before sending it again."
HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"


class Mendix:
    """All of Mendix's hosts, and an account with both kinds of credentials."""

    def __init__(self, send: Send, wires: dict[Host, Wire]) -> None:
        self._send = send
        self.wires = wires
        self.account = {
            "personal_access_token": TOKEN,
            "base_urls": {host: wire.url for host, wire in wires.items()},
        }

    def send(self, call: Call[Any], **account: Any) -> Any:
        return self._send(call, **{**self.account, **account})

    def send_all(self, calls: list[Call[Any]]) -> list[Any]:
        return self._send.all(calls, **self.account)

    def read(self, call: Call[Any], response: Any, status: int = 200, **headers: str) -> Any:
        """Send a call that gets a response."""
        self.wires[call.endpoint.api.host].answer(response, status, **headers)
        return self.send(call)

    def refusal(self, call: Call[Any], response: Any, status: int, **headers: str) -> MendixError:
        """Return the error of a call that gets a response."""
        with pytest.raises(MendixError) as raised:
            self.read(call, response, status, **headers)
        return raised.value


def documented(
    family: ModuleType,
    calls: list[tuple[Any, ...]],
    fields: list[tuple[Any, ...]],
    *,
    elsewhere: tuple[Endpoint[Any], ...] = (),
    undocumented: dict[type, set[str]] | None = None,
) -> type:
    """Return the tests of what a family documents of its successes.

    :param calls: call, target, body, sample of the response, and what it is read as.
    :param fields: type, sample of a response, and the path to an object of that type in it.
    :param elsewhere: endpoints that have tests of their own.
    :param undocumented: fields that are read although the samples lack them, by type.
    """

    class Documented:
        @pytest.mark.parametrize(("call", "target", "body", "answer", "expected"), calls)
        def test_call(self, mendix, sample, call, target, body, answer, expected):
            check_call(mendix, call, target, sample(answer) if answer else b"", expected, body)

        def test_every_endpoint_is_called(self):
            called = {case[0].endpoint for case in calls}

            assert [one for one in endpoints(family) if one not in {*called, *elsewhere}] == []

        @pytest.mark.parametrize(("kind", "answer", "path"), fields)
        def test_every_field_is_read(self, sample, kind, answer, path):
            check_fields(sample(answer), path, kind, (undocumented or {}).get(kind, set()))

    return Documented


def refused(folder: str, refusals: list[tuple[Any, ...]], *, transient: Collection[str] = ()) -> type:
    """Return the tests of the refusals that a family documents.

    :param folder: of the samples.
    :param refusals: call, status, sample, class of the error, and words of its message.
    :param transient: samples of refusals that may pass by themselves.
    """

    class Refused:
        @pytest.mark.parametrize(("call", "status", "answer", "kind", "says"), refusals)
        def test_refusal(self, mendix, sample, call, status, answer, kind, says):
            response = sample(f"{folder}/error_{answer}.json")
            check_refusal(mendix, call, status, response, kind, says, transient=answer in transient)

        def test_every_sample_is_used(self):
            samples = {path.stem.removeprefix("error_") for path in (SAMPLES / folder).glob("error_*")}

            assert samples == {case[2] for case in refusals}

    return Refused


def on(calls: tuple[Call[Any], ...], refusals: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return refusals that several calls have in common, once for each of the calls."""
    return [(call, *refusal) for call in calls for refusal in refusals]


def check_call(
    mendix: Mendix, call: Call[Any], target: str, response: bytes, expected: Any, body: Any = None
) -> None:
    """Check the whole request of a call, and what its documented response is read as."""
    host = call.endpoint.api.host

    assert mendix.read(call, response) == expected

    request = mendix.wires[host].request
    assert (request.method, request.target) == (call.endpoint.method, target)
    assert (json.loads(request.body) if request.body else None) == body
    assert request.headers.get("content-type") == (None if call.endpoint.method == "GET" else "application/json")
    assert (
        credentials(request)
        == {
            Host.DEPLOY: {"mendix-username": USERNAME, "mendix-apikey": API_KEY},
            Host.REPOSITORY: {"authorization": f"MxToken {TOKEN}"},
            Host.WEBHOOKS: {"authorization": f"MxToken {TOKEN}"},
        }[host]
    )
    assert request.headers["user-agent"] == f"airflow-provider-mendix/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{mendix.wires[host].port}"
    assert [other for other in mendix.wires if mendix.wires[other].requests] == [host]


def check_fields(response: bytes, path: tuple[str | int, ...], kind: type, undocumented: set[str]) -> None:
    """Check that every documented field is read: a field that is not would go unnoticed otherwise."""
    documented = json.loads(response)
    for step in path:
        documented = documented[step]

    read = {field.encode_name for field in msgspec.structs.fields(kind)}

    assert read == set(documented) | undocumented


def check_refusal(
    mendix: Mendix,
    call: Call[Any],
    status: int,
    response: bytes,
    kind: type,
    says: str,
    *,
    transient: bool = False,
) -> None:
    """Check the error that a documented refusal becomes."""
    documented = json.loads(response)
    code = documented["errorCode"].replace(" ", "_")

    error = mendix.refusal(call, response, status)

    assert type(error) is kind
    assert (error.status, error.code, error.transient) == (status, code, transient)
    said = f"{kind.summary}: {documented['errorMessage'].rstrip('.')}. "
    assert str(error).startswith(said)
    assert str(error).endswith(f" ({call}: HTTP {status} {code})")
    assert says in str(error).removeprefix(said)
    assert OUTCOME_UNKNOWN not in str(error)


def check_malformed(mendix: Mendix, call: Call[Any], response: Any, says: str) -> None:
    """Check the error of a success that cannot be read, which quotes nothing of the response."""
    with pytest.raises(MalformedResponseError) as raised:
        mendix.read(call, response)

    error = raised.value
    assert (error.status, error.transient) == (200, True)
    assert str(error).startswith("Mendix reported success, but the body of the response is not what it documents:")
    assert f" ({call}: HTTP 200, " in str(error)
    assert says in str(error)
    assert error.outcome_unknown is not call.endpoint.repeatable
    assert (OUTCOME_UNKNOWN in str(error)) is not call.endpoint.repeatable
    assert "canary" not in shown(error)


def credentials(request: Request) -> dict[str, str]:
    names = ("authorization", "cookie", "proxy-authorization")
    return {n: v for n, v in request.headers.items() if n in names or n.startswith("mendix")}


def endpoints(family: ModuleType) -> list[Endpoint[Any]]:
    """Return all endpoints that a module declares."""
    return [value for value in vars(family).values() if isinstance(value, Endpoint)]


def shown(error: BaseException) -> str:
    """Return everything that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(getattr(error, "to_json", str)())


def check_absent_and_null(mendix: Mendix, call: Call[Any], response: bytes, field: str) -> None:
    """Check that an absent field and one that is null are read alike, and change nothing beside them."""
    found = []
    *path, name = field.split(".")
    for change in (dict.pop, dict.__setitem__):
        changed = json.loads(response)
        holder = changed
        for step in path:
            holder = holder[int(step) if step.isdigit() else step]
        change(holder, name, None)  # type: ignore[operator]
        found.append(mendix.read(call, changed))

    assert found[0] == found[1]
    assert field in response.decode() or field == "LatestTaggedVersion" or found[0] != mendix.read(call, response)


def check_unknown_keys(mendix: Mendix, call: Call[Any], response: Any) -> None:
    """Check that unknown keys at any depth change nothing."""
    assert mendix.read(call, _with_more(response)) == mendix.read(call, response)


def _with_more(value: Any) -> Any:
    if isinstance(value, dict):
        return {**{name: _with_more(inner) for name, inner in value.items()}, "More": {"a": [1]}, "more": None}
    return [_with_more(inner) for inner in value] if isinstance(value, list) else value
