"""One HTTP response, as either client read it."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec
import pendulum


class Response(msgspec.Struct, frozen=True):
    """Status, headers with lower-case names, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, from either form of ``Retry-After``."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, (at - pendulum.now("UTC")).total_seconds()) if at.tzinfo else None
