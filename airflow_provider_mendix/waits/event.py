"""The event that ends a deferred wait: what the trigger writes, and what the task reads."""

from __future__ import annotations

from typing import Any

from airflow_provider_mendix.exceptions import MendixError, UnexpectedEventError, error_from_json


def success_event(result: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a wait that succeeded, as JSON values."""
    return {"ended": "success", "result": result}


def failure_event(error: MendixError) -> dict[str, Any]:
    """Return the event of a wait that failed, as JSON values."""
    return {"ended": "failure", "error": error.to_json()}


def result_of(event: object) -> dict[str, Any]:
    """Return the result of a deferred wait, from the event that ended it.

    :raises MendixError: the error that ended the wait, with its own type.
    :raises UnexpectedEventError: if the event is missing or has an unknown form; the task must not succeed then.
    """
    match event:
        case {"ended": "success", "result": dict(result)}:
            return result
        case {"ended": "failure", "error": error}:
            raise error_from_json(error)
    raise UnexpectedEventError(
        f"The task was resumed with {'no event' if event is None else 'an event of unknown form'}, so the result"
        " is unknown. Clear the task to run it again."
    )
