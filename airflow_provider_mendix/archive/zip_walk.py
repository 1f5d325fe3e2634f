"""A walk through the files of a zip while the zip passes by, in a thread beside the download and the upload.

It reads the one file that says what the package is. With ``verify="deep"`` it also checks the CRC-32 of every
file, and compares the directory with the files: readers go by the directory at the end, and what passes by first
are the local headers and the data. The two must agree in name, method, CRC, sizes and offset.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from struct import Struct

from airflow_provider_mendix.archive.beside import read_beside
from airflow_provider_mendix.archive.inflate import zlib
from airflow_provider_mendix.archive.zip_index import ZipIndex
from airflow_provider_mendix.archive.zip_structure import (
    CHANGES_CONTENT,
    ELSEWHERE,
    END,
    END64,
    ENTRY,
    LOCAL,
    NoZipError,
    ZipEntry,
    reading_flags,
    zip64_values,
)
from airflow_provider_mendix.exceptions import DamagedFileError, UnverifiableFileError

_HEADER = Struct("<5H3I2H")  # without the signature
_SIZES = Struct("<3I")
_SIZES64 = Struct("<I2Q")
_DESCRIPTOR = b"PK\x07\x08"
_STORED, _DEFLATED = 0, 8
_SIZES_FOLLOW = 1 << 3
_SHORTEST_ENTRY = 46

_SLICE = 64 * 1024
_MAX_UNPACKED = 256 * 1024
"""Bytes that are unpacked at once, however well they are packed; they fit into a processor's cache."""

_MAX_DIRECTORY = 32 * 1024 * 1024
_MAX_UNPACKED_WALK = 64 * 1024 * 1024
"""How far into a zip files are unpacked just to find where they end."""

METADATA = b"model/metadata.json"
MAX_METADATA = 1024 * 1024


class _EndError(Exception):
    """The zip has ended in the middle of something. Whether it is a whole zip is judged elsewhere."""


class ZipWalk:
    """Walks through a zip that passes by in chunks, in little memory.

    :param deep: check every file. Otherwise the walk ends with the metadata, or where it could not go on cheaply.
    :ivar metadata: the content of ``model/metadata.json``, when it has passed; no more than ``MAX_METADATA``.
    :ivar found: the files that have passed.
    :ivar end: what followed the last file of a deep walk: the directory.
    """

    def __init__(self, *, deep: bool) -> None:
        self.deep = deep
        self.metadata: bytes | None = None
        self.found = ZipIndex()
        self.end = bytearray()
        self._chunks: Iterator[bytes] = iter(())
        self._left = memoryview(b"")
        self._offset = 0
        self._directory_size = 0
        self._kept: bytearray | None = None

    def passing(self, chunks: Generator[bytes]) -> Generator[bytes]:
        """Yield the same chunks, and end when the walk has ended.

        :raises DamagedFileError: if a file in the zip is not what its header says (deep walks only).
        :raises UnverifiableFileError: if the zip cannot be read from its beginning on (deep walks only).
        """
        return read_beside(chunks, self._run)

    def _run(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        with suppress(_EndError):
            if self.deep:
                self._read()
            else:
                self._read_metadata()

    def _read_metadata(self) -> None:
        with suppress(DamagedFileError, UnverifiableFileError):
            signature = self._take(4)
            while signature == LOCAL and self.metadata is None:
                signature = self._read_file()

    def _read(self) -> None:
        signature = self._take(4)
        while signature == LOCAL:
            signature = self._read_file()
        if not self.found and signature not in (END, END64):
            return  # no zip at all
        if signature not in (ENTRY, END, END64):
            raise self.found.damaged("something else begins where a file or the directory should")
        self.end += signature
        while True:
            part = self._some(_MAX_DIRECTORY)
            self.end += part
            self._advance(len(part))
            if len(self.end) > _MAX_DIRECTORY:
                raise _long_directory()

    def _read_file(self) -> bytes:
        """Check one file, and return the signature of what follows it."""
        offset = self._offset - 4
        _, flags, method, _, _, crc, packed, size, *lengths = _HEADER.unpack(self._take(_HEADER.size))
        name, extra = self._take(lengths[0]), self._take(lengths[1])
        self._directory_size += _SHORTEST_ENTRY + len(name)
        if self._directory_size > _MAX_DIRECTORY:
            raise _long_directory()
        if flags & CHANGES_CONTENT:
            raise _unverifiable("a file in it is encrypted")
        if method not in (_STORED, _DEFLATED):
            raise _unverifiable(f"a file in it is packed by method {method}")
        if ELSEWHERE in (packed, size):
            try:
                size, packed = zip64_values(extra, 2)
            except NoZipError:
                raise self.found.damaged("a size is missing") from None
        if not self.deep and name != METADATA and not flags & _SIZES_FOLLOW:
            self._skip(packed)
            return self._take(4)
        if not self.deep and self._offset > _MAX_UNPACKED_WALK:
            raise _unverifiable("the way to its metadata is long")
        self._kept = bytearray() if name == METADATA else None
        announced = (crc, packed, size)
        if method == _DEFLATED:
            found = self._inflate(None if flags & _SIZES_FOLLOW else size)
        elif flags & _SIZES_FOLLOW and packed != size:
            raise _unverifiable("a file in it is stored without its length")
        else:
            found = self._pass_stored(packed)
        if not flags & _SIZES_FOLLOW:
            following = self._take(4)
        else:
            announced, following = self._read_descriptor(found)
            if method == _STORED and packed == 0 and announced != found:
                raise _unverifiable("a file in it is stored without its length")
        if announced != found:
            raise self.found.damaged("the CRC-32 or the length of a file is not what its header says")
        if self._kept is not None:
            self.metadata, self._kept = bytes(self._kept), None
        self.found.add(ZipEntry(name, reading_flags(flags, name), method, *found, offset))
        return following

    def _read_descriptor(self, found: tuple[int, int, int]) -> tuple[tuple[int, int, int], bytes]:
        """Read the sizes behind a file, with or without a signature, in short or long; and the next signature."""
        content = self._take(4)
        if content == _DESCRIPTOR:
            content = b""
        content += self._take(_SIZES.size - len(content))
        following = self._take(4)
        if _SIZES.unpack(content) == found and following in (LOCAL, ENTRY, END64):
            return found, following
        content += following
        content += self._take(_SIZES64.size - len(content))
        crc, packed, size = _SIZES64.unpack(content)
        return (crc, packed, size), self._take(4)

    def _skip(self, size: int) -> None:
        while size:
            skipped = len(self._some(size))
            size -= skipped
            self._advance(skipped)

    def _keep(self, content: bytes | memoryview) -> None:
        if self._kept is not None:
            self._kept += content[: MAX_METADATA - len(self._kept)]

    def _pass_stored(self, size: int) -> tuple[int, int, int]:
        crc, left = 0, size
        while left:
            part = self._some(left)
            crc = zlib.crc32(part, crc)
            self._keep(part)
            left -= len(part)
            self._advance(len(part))
        return crc, size, size

    def _inflate(self, announced_size: int | None) -> tuple[int, int, int]:
        inflater = zlib.decompressobj(-15)
        crc = packed = size = 0
        while not inflater.eof:
            part = self._some(_SLICE)
            try:
                content = inflater.decompress(part, _MAX_UNPACKED)
            except zlib.error:  # type: ignore[misc]  # isal types its own as an object
                raise self.found.damaged("a file cannot be unpacked") from None
            crc = zlib.crc32(content, crc)
            self._keep(content)
            size += len(content)
            if announced_size is not None and size > announced_size:
                raise self.found.damaged(f"a file is longer than the {announced_size} bytes that its header says")
            unused = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            packed += len(part) - len(unused)
            self._advance(len(part) - len(unused), unused)
        return crc, packed, size

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            part = bytes(self._some(count - len(taken)))
            taken += part
            self._advance(len(part))
        return taken

    def _some(self, most: int) -> memoryview:
        """Return the next bytes, as many as there are; wait until there are some."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise _EndError
            self._left = memoryview(chunk)
        return self._left[:most]

    def _advance(self, count: int, unused: bytes = b"") -> None:
        """Go on, or go back to what an inflater has read ahead in the chunk before."""
        self._left = self._left[count:] if count >= 0 else memoryview(unused[:-count] + self._left)
        self._offset += count


def _long_directory() -> UnverifiableFileError:
    return _unverifiable(f"its directory has more than {_MAX_DIRECTORY} bytes")


def _unverifiable(reason: str) -> UnverifiableFileError:
    return UnverifiableFileError(
        f"The files in the zip cannot be checked: {reason}, which does not mean that it is damaged. Set"
        " verify='structure' to archive it with the other checks."
    )
