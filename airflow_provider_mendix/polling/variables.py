"""Airflow's Variables, from the event loop of a triggerer."""

from __future__ import annotations


async def read_variable(key: str) -> str | None:
    """Return a Variable; ``None`` if there is none or a secrets backend failed: Airflow does not tell which."""
    from airflow.sdk import Variable
    from asgiref.sync import sync_to_async

    value: str | None = await sync_to_async(Variable.get)(key, default=None)
    return value


async def write_variable(key: str, value: str, description: str) -> None:
    """Store a Variable."""
    from airflow.sdk import Variable
    from asgiref.sync import sync_to_async

    await sync_to_async(Variable.set)(key, value, description=description)
