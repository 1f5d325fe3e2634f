"""What is known of a file from its bytes alone, taken down as they pass by, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable

KEPT = 4 * 1024 * 1024
"""Bytes that are kept of the end of a file."""


class StreamDigest:
    """Hashes and counts bytes, and keeps the first and the last ones.

    :ivar size: bytes so far.
    :ivar head: the first four of them.
    """

    def __init__(self) -> None:
        self.size = 0
        self.head = b""
        self._sha256 = hashlib.sha256()
        self._md5: hashlib._Hash | None = None
        self._tail: deque[bytes] = deque()
        self._kept = 0

    @property
    def sha256(self) -> str:
        """Digest of the bytes so far, in hexadecimal."""
        return self._sha256.hexdigest()

    @property
    def tail(self) -> bytes:
        """The last bytes: at least ``KEPT`` of them, or all there are."""
        return b"".join(self._tail)

    def also(self, algorithms: Iterable[str]) -> None:
        """Take further digests too; after the first byte, that comes too late and is left."""
        if self.size == 0 and "md5" in algorithms and self._md5 is None:
            self._md5 = hashlib.md5(usedforsecurity=False)

    def digest(self, algorithm: str) -> bytes | None:
        """Give a digest of the bytes so far, if it has been taken."""
        if algorithm == "md5":
            return self._md5.digest() if self._md5 else None
        return self._sha256.digest()

    def add(self, piece: bytes) -> None:
        """Take down what comes next."""
        self.head = self.head if len(self.head) == 4 else (self.head + piece[:4])[:4]
        self.size += len(piece)
        self._sha256.update(piece)
        if self._md5:
            self._md5.update(piece)
        self._tail.append(piece)
        self._kept += len(piece)
        while self._kept - len(self._tail[0]) >= KEPT:
            self._kept -= len(self._tail.popleft())
