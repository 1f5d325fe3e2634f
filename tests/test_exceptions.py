"""The tree of exceptions: what its drawing says is so, and an error survives the way from a trigger to a task."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from airflow_provider_mendix import exceptions as errors
from airflow_provider_mendix.api.response import Response, error_of
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    MendixError,
    RateLimitedError,
    UnexpectedEventError,
    error_from_json,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, MendixError) and kind.__module__ == errors.__name__
]


def drawn() -> dict[str, tuple[str | None, str]]:
    """Read the drawing: each class with its parent, and what is said of it."""
    tree: dict[str, tuple[str | None, str]] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.fullmatch(r"    ([│├└─ ]*)(\w+Error)\b(.*)", line)
        if found:
            indent, name, rest = found.groups()
            del branch[len(indent) // 4 :]
            tree[name] = (branch[-1] if branch else None, rest.strip())
            branch.append(name)
    return tree


def answers() -> list[tuple[str, int, str | None]]:
    """Read the drawing: which status and code make which class; 418 is a status that says nothing."""
    found = []
    for name, (_, said) in drawn().items():
        status = re.match(r"\d{3}\b", said)
        codes = re.findall(r"\b[A-Z]{2,}[A-Z0-9_]*\b", said)
        if status or codes:
            found += [(name, int(status[0]) if status else 418, code) for code in codes or [None]]
    return found


def test_the_drawing_names_exactly_the_classes_there_are():
    assert sorted(drawn()) == sorted(kind.__name__ for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_drawing_tells_the_truth(kind):
    parent, said = drawn()[kind.__name__]

    assert parent == (None if kind is MendixError else kind.__base__.__name__)
    assert said.endswith("(transient)") == kind.transient
    assert said.endswith("(final)") == kind.final
    assert kind.__doc__


@pytest.mark.parametrize(("name", "status", "code"), answers())
def test_the_drawing_tells_what_an_answer_becomes(name, status, code):
    body = json.dumps({"errorCode": code}).encode()

    error = error_of("GET /", Response(status, {}, body), repeatable=True, advice={})

    assert type(error).__name__ == name
    assert error.code == code


@pytest.mark.parametrize(("name", "status", "code"), answers())
@pytest.mark.parametrize("said", ["", "The words of Mendix."])
def test_the_reason_of_a_refusal_comes_first_and_the_request_last(name, status, code, said):
    body = json.dumps({"errorCode": code, "errorMessage": said}).encode()
    error = error_of("GET /", Response(status, {}, body), repeatable=True, advice={})

    assert error.message.startswith(": ".join(filter(None, [error.summary, said or code])).rstrip("."))
    assert len(error.summary) <= 60
    assert str(error) == " ".join(filter(None, [f"{error.message} (GET /: HTTP {status}", code])) + ")"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_round_trip(kind):
    error = kind(
        "what happened; what to do", status=500, code="BUILD_FAILED", retry_after=1.5, outcome_unknown=True
    )

    back = error_from_json(json.loads(json.dumps(error.to_json())))

    assert type(back) is kind
    assert str(back) == "what happened; what to do"
    assert (back.status, back.code, back.retry_after, back.outcome_unknown) == (500, "BUILD_FAILED", 1.5, True)


def test_a_hint_changes_the_message_only():
    error = RateLimitedError("Too many requests.", status=429, retry_after=3.0)

    hinted = error.with_hint("Wait.")

    assert str(hinted) == "Too many requests. Wait."
    assert {**hinted.to_json(), "message": ""} == {**error.to_json(), "message": ""}


def test_round_trip_of_little():
    back = error_from_json(json.loads(json.dumps(MendixError("alone").to_json())))

    assert type(back) is MendixError
    assert (back.status, back.code, back.retry_after) == (None, None, None)


def test_fields_may_be_missing():
    """An older trigger may have written fewer."""
    assert type(error_from_json({"type": "AppNotFoundError", "message": "gone"})) is AppNotFoundError


def test_fields_may_be_new():
    """A newer trigger may have written more."""
    assert type(error_from_json({**RateLimitedError("slow").to_json(), "more": 1})) is RateLimitedError


@pytest.mark.parametrize(
    "rubbish",
    [
        None,
        "",
        "AppNotFoundError",
        7,
        [],
        [["type", "MendixError"]],
        {},
        {"type": "AppNotFoundError"},
        {"message": "gone"},
        {"type": None, "message": "gone"},
        {"type": [], "message": "gone"},
        {"type": {}, "message": "gone"},
        {"type": "NoSuchError", "message": "gone"},
        {"type": "ValueError", "message": "gone"},
        {"type": "object", "message": "gone"},
    ],
    ids=repr,
)
def test_rubbish_is_an_error_of_its_own(rubbish):
    with pytest.raises(UnexpectedEventError):
        error_from_json(rubbish)
