"""Lists that Mendix returns in pages, as iterators that request the next page when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from airflow_provider_mendix.api import backups
from airflow_provider_mendix.api.app_repository import Page
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.conversations import next_cursor

T = TypeVar("T")


def pages(
    send: Callable[[Call[Page[T]]], Page[T]], call_for: Callable[[str | None], Call[Page[T]]]
) -> Iterator[T]:
    """Yield the items of all pages of a list of the App Repository API.

    :param call_for: makes the call of the page at a cursor.
    """
    cursor: str | None = None
    while True:
        page = send(call_for(cursor))
        yield from page.items
        cursor = next_cursor(page, cursor)
        if cursor is None:
            return


def snapshots(
    send: Callable[[Call[Any]], Any], project_id: str, environment_id: str
) -> Iterator[backups.Snapshot]:
    """Yield the snapshots of an environment."""
    offset = 0
    while True:
        page: backups.Snapshots = send(backups.list_snapshots(project_id, environment_id, offset=offset))
        yield from page.snapshots
        offset += len(page.snapshots)
        # Mendix may return fewer than requested; without a total, only an empty page is surely the last.
        if not page.snapshots or (page.total is not None and offset >= page.total):
            return
