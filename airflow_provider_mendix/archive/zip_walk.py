"""A walk through the files of a zip while the zip passes by.

It reads the one file that says what the package is. With ``verify="deep"`` it also checks the CRC-32 of every
file, and compares the directory with the files: readers go by the directory at the end, and what passes by first
are the local headers and the data. The two must agree in name, method, CRC, sizes and offset.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterable
from contextlib import suppress
from hashlib import blake2b
from struct import Struct

import msgspec

from airflow_provider_mendix.archive.zip_structure import (
    CHANGES_CONTENT,
    ELSEWHERE,
    END,
    END64,
    ENTRY,
    LOCAL,
    Directory,
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
_SLICE = 64 * 1024
_MAX_UNPACKED = 1024 * 1024
_MAX_END = 32 * 1024 * 1024
_MAX_UNPACKED_WALK = 64 * 1024 * 1024
"""How far into a zip files are unpacked just to find where they end."""


METADATA = b"model/metadata.json"
MAX_METADATA = 1024 * 1024


class ZipWalk:
    """Walks through a zip that passes by in chunks, in little memory.

    :param deep: check every file. Otherwise the walk ends with the metadata, or where it could not go on cheaply.
    :ivar metadata: the content of ``model/metadata.json``, when it has passed; no more than ``MAX_METADATA``.
    :ivar entries: how many files have passed.
    :ivar end: what followed the last file of a deep walk: the directory.
    """

    def __init__(self, *, deep: bool) -> None:
        self.deep = deep
        self.metadata: bytes | None = None
        self.entries = 0
        self.end = bytearray()
        self._left = memoryview(b"")
        self._offset = 0
        self._found: dict[int, bytes] = {}
        self._kept: bytearray | None = None
        self._walk = self._read() if deep else self._read_metadata()
        next(self._walk)

    def passing(self, chunks: Iterable[bytes]) -> Generator[bytes]:
        """Yield the same chunks.

        :raises DamagedFileError: if a file in the zip is not what its header says (deep walks only).
        :raises UnverifiableFileError: if the zip cannot be read from its beginning on (deep walks only).
        """
        for chunk in chunks:
            self._left = memoryview(chunk)
            next(self._walk, None)
            yield chunk

    def compare(self, directory: Directory) -> None:
        """Check that the directory says what was found.

        :raises DamagedFileError: if it does not.
        """
        for entry in directory.entries():
            if self._found.pop(entry.offset, None) != _fingerprint(entry):
                name = entry.name.decode("utf-8", "replace")
                raise self._damaged(f"its directory describes {name} as something else than it is")
        if self._found:
            raise self._damaged(f"its directory does not list {len(self._found)} of them")

    def _read_metadata(self) -> Generator[None, None, None]:
        with suppress(DamagedFileError, UnverifiableFileError):
            signature = yield from self._take(4)
            while signature == LOCAL and self.metadata is None:
                signature = yield from self._read_file()

    def _read(self) -> Generator[None, None, None]:
        signature = yield from self._take(4)
        while signature == LOCAL:
            signature = yield from self._read_file()
            self.entries += 1
        if signature not in (ENTRY, END, END64):
            raise self._damaged("something else begins where a file or the directory should")
        self.end += signature
        while True:
            self.end += self._left
            if len(self.end) > _MAX_END:
                raise _unverifiable(f"its directory has more than {_MAX_END} bytes")
            yield

    def _read_file(self) -> Generator[None, None, bytes]:
        """Check one file, and return the signature of what follows it."""
        offset = self._offset - 4
        header = yield from self._take(_HEADER.size)
        _, flags, method, _, _, crc, packed, size, name_length, extra_length = _HEADER.unpack(header)
        name = yield from self._take(name_length)
        extra = yield from self._take(extra_length)
        if flags & CHANGES_CONTENT:
            raise _unverifiable("a file in it is encrypted")
        if method not in (_STORED, _DEFLATED):
            raise _unverifiable(f"a file in it is packed by method {method}")
        if ELSEWHERE in (packed, size):
            try:
                size, packed = zip64_values(extra, 2)
            except NoZipError:
                raise self._damaged("a size is missing") from None
        if not self.deep and name != METADATA and not flags & _SIZES_FOLLOW:
            yield from self._skip(packed)
            return (yield from self._take(4))
        if not self.deep and self._offset > _MAX_UNPACKED_WALK:
            raise _unverifiable("the way to its metadata is long")
        self._kept = bytearray() if name == METADATA else None
        announced = (crc, packed, size)
        if method == _DEFLATED:
            found = yield from self._inflate()
        elif flags & _SIZES_FOLLOW and packed != size:
            raise _unverifiable("a file in it is stored without its length")
        else:
            found = yield from self._pass_stored(packed)
        if not flags & _SIZES_FOLLOW:
            following = yield from self._take(4)
        else:
            announced, following = yield from self._read_descriptor(found)
            if method == _STORED and packed == 0 and announced != found:
                raise _unverifiable("a file in it is stored without its length")
        if announced != found:
            raise self._damaged("the CRC-32 or the length of a file is not what its header says")
        if self._kept is not None:
            self.metadata, self._kept = bytes(self._kept), None
        crc, packed, size = found
        entry = ZipEntry(name, reading_flags(flags, name), method, crc, packed, size, offset)
        self._found[offset] = _fingerprint(entry)
        return following

    def _read_descriptor(
        self, found: tuple[int, int, int]
    ) -> Generator[None, None, tuple[tuple[int, int, int], bytes]]:
        """Read the sizes behind a file, with or without a signature, in short or long; and the next signature."""
        content = yield from self._take(4)
        if content == _DESCRIPTOR:
            content = b""
        content += yield from self._take(_SIZES.size - len(content))
        following = yield from self._take(4)
        if _SIZES.unpack(content) == found and following in (LOCAL, ENTRY, END64):
            return found, following
        content += following
        content += yield from self._take(_SIZES64.size - len(content))
        following = yield from self._take(4)
        crc, packed, size = _SIZES64.unpack(content)
        return (crc, packed, size), following

    def _skip(self, size: int) -> Generator[None, None, None]:
        while size:
            while not self._left:
                yield
            skipped = min(size, len(self._left))
            size -= skipped
            self._advance(skipped)

    def _keep(self, content: bytes | memoryview) -> None:
        if self._kept is not None:
            self._kept += content[: MAX_METADATA - len(self._kept)]

    def _pass_stored(self, size: int) -> Generator[None, None, tuple[int, int, int]]:
        crc, left = 0, size
        while left:
            while not self._left:
                yield
            part = self._left[:left]
            crc = zlib.crc32(part, crc)
            self._keep(part)
            left -= len(part)
            self._advance(len(part))
        return crc, size, size

    def _inflate(self) -> Generator[None, None, tuple[int, int, int]]:
        inflater = zlib.decompressobj(-15)
        crc = packed = size = 0
        while not inflater.eof:
            while not self._left:
                yield
            part = self._left[:_SLICE]
            try:
                content = inflater.decompress(part, _MAX_UNPACKED)
            except zlib.error:
                raise self._damaged("a file cannot be unpacked") from None
            crc = zlib.crc32(content, crc)
            self._keep(content)
            size += len(content)
            used = len(part) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
            packed += used
            self._advance(used)
        return crc, packed, size

    def _take(self, count: int) -> Generator[None, None, bytes]:
        taken = b""
        while len(taken) < count:
            while not self._left:
                yield
            part = bytes(self._left[: count - len(taken)])
            taken += part
            self._advance(len(part))
        return taken

    def _advance(self, count: int) -> None:
        self._left = self._left[count:]
        self._offset += count

    def _damaged(self, reason: str) -> DamagedFileError:
        return DamagedFileError(
            f"The file is not right: {reason} ({self.entries} files in it were checked). Nothing was stored."
        )


def _fingerprint(entry: ZipEntry) -> bytes:
    return blake2b(msgspec.msgpack.encode(entry), digest_size=16).digest()


def _unverifiable(reason: str) -> UnverifiableFileError:
    return UnverifiableFileError(
        f"verify='deep' cannot check this zip: {reason}, which does not mean that it is damaged. Use"
        " verify='structure' to archive it with the usual checks."
    )
