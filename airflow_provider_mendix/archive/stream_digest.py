"""What the bytes alone tell of a file, recorded while they pass by, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import deque

KEPT = 4 * 1024 * 1024
"""Bytes of the end of a file that are kept."""


class StreamDigest:
    """Hashes and counts bytes, and keeps the first and the last ones.

    :ivar size: bytes so far.
    :ivar head: the first four of them.
    """

    def __init__(self) -> None:
        self.size = 0
        self.head = b""
        self._sha256 = hashlib.sha256()
        self._tail: deque[bytes] = deque()
        self._kept = 0

    @property
    def sha256(self) -> str:
        """The digest of the bytes so far, in hexadecimal."""
        return self._sha256.hexdigest()

    @property
    def tail(self) -> bytes:
        """The last bytes: at least ``KEPT`` of them, or all there are."""
        return b"".join(self._tail)

    def add(self, chunk: bytes) -> None:
        """Record the next chunk."""
        self.head = self.head if len(self.head) == 4 else (self.head + chunk[:4])[:4]
        self.size += len(chunk)
        self._sha256.update(chunk)
        self._tail.append(chunk)
        self._kept += len(chunk)
        while self._kept - len(self._tail[0]) >= KEPT:
            self._kept -= len(self._tail.popleft())
