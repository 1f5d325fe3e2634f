"""The files of a zip as they passed by, to be compared with its directory, in 17 bytes for each file."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from hashlib import blake2b

import msgspec

from airflow_provider_mendix.archive.zip_structure import Directory, ZipEntry
from airflow_provider_mendix.exceptions import DamagedFileError


class ZipIndex:
    """Where each file begins, and a digest of what it is."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._digests = array("Q")

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, entry: ZipEntry) -> None:
        """Record the next file; its offset is larger than those before."""
        self._offsets.append(entry.offset)
        self._digests.append(_digest(entry))

    def compare(self, directory: Directory) -> None:
        """Check that the directory lists each of these files once, as what it is, and no other file.

        :raises DamagedFileError: if it does not.
        """
        is_unlisted = bytearray(b"\1") * len(self)
        for entry in directory.entries():
            at = bisect_left(self._offsets, entry.offset)
            if (
                at == len(self)
                or not is_unlisted[at]
                or (self._offsets[at], self._digests[at]) != (entry.offset, _digest(entry))
            ):
                name = entry.name.decode("utf-8", "replace")
                raise self.damaged(f"its directory describes {name} as something else than it is")
            is_unlisted[at] = False
        if unlisted := sum(is_unlisted):
            raise self.damaged(f"its directory does not list {unlisted} of them")

    def damaged(self, reason: str) -> DamagedFileError:
        """Return the error for a zip that is not right."""
        return DamagedFileError(
            f"The file is not right: {reason} ({len(self)} files in it were checked). Nothing was stored."
        )


def _digest(entry: ZipEntry) -> int:
    return int.from_bytes(blake2b(msgspec.msgpack.encode(entry), digest_size=8).digest(), "little")
