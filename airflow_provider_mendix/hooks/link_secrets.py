"""Keep signed links out of logs: each is a secret that lets everyone who has it download the file."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import mask_secret


def mask_link(location: str) -> None:
    """Mask a signed link in task logs, and its path and query, which libraries log without the host."""
    parts = urlsplit(location)
    for secret in (location, parts.query, f"{parts.path}?{parts.query}"):
        if len(secret) > 4:
            mask_secret(secret)


def hide_queries() -> None:
    """Remove queries, which hold the signature of a link, from what `urllib3` logs at the level DEBUG.

    Masking is not enough: a redirect leads to a link that was not masked, `urllib3` changes the spelling of links,
    and ``airflow dags test`` masks nothing.
    """
    logging.getLogger("urllib3.connectionpool").addFilter(_hide_queries)


def _hide_queries(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            f"{value.partition('?')[0]}?***" if isinstance(value, str) and "?" in value else value
            for value in record.args
        )
    return True
