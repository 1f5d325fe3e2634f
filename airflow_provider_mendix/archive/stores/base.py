"""What every store can do: an object appears under its name when all of it is there, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec

CHUNK = 1024 * 1024
LONGEST_SUFFIX = ".manifest.json"
"""The longest that is put behind an object's name for a file beside it."""


class Stored(msgspec.Struct, frozen=True):
    """An object in a store.

    :param size: bytes.
    :param version: differs when the object has been written again.
    """

    size: int
    version: str


class Store(Protocol):
    """A place for objects, by their paths.

    A store raises ``OSError`` when it fails, or another error of its library.
    """

    def check(self, path: str) -> None:
        """Check that an object and its manifest can be stored under a path, as far as that can be known before.

        :raises InvalidInputError: if they cannot.
        """

    def find(self, path: str) -> Stored | None:
        """Return the object of this path, if there is one."""

    def list(self, folder: str) -> dict[str, int]:
        """Return the paths and sizes of all objects in a folder and below it."""

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of an object."""

    def commit(self, path: str, chunks: Iterable[bytes]) -> None:
        """Make an object of all chunks when they end. If anything raises before, there is no object.

        An older object of that name stays until then.
        """

    def put(self, path: str, content: bytes) -> None:
        """Make a small object."""

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""

    def sweep(self, path: str) -> None:
        """Remove what killed runs have left of unfinished objects of exactly this name."""
