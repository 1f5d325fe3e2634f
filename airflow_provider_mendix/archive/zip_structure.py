"""Whether a file can be a whole zip, judged by its first and last bytes.

The layout is in PKWARE's APPNOTE, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.14 to 4.3.16
(its end, with and without zip64). `zipfile` would not do: it ignores bytes after the end, the announced number of
files and what the end of a zip64 says twice, and other readers do not. Damage inside the files of a zip cannot be
seen like this.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

import msgspec

LOCAL = b"PK\x03\x04"
ENTRY = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
_LOCATOR = b"PK\x06\x07"

_end = Struct("<4s4H2IH")
_end64 = Struct("<4sQ2H2I4Q")
_locator = Struct("<4sIQI")
_entry = Struct("<4s6H3I5H2I")
_extra = Struct("<2H")
_long = Struct("<Q")

_LONGEST_COMMENT = 0xFFFF
ELSEWHERE = 0xFFFFFFFF
"""A size or offset that means "see the zip64 record"."""

CHANGES_CONTENT = 1 | 1 << 5 | 1 << 6 | 1 << 13
"""Flags of a file that is encrypted or a patch."""

_UTF8 = 0x800
_NEWEST_VERSION = 63
"""The newest version of the format, times ten, that readers such as `zipfile` know."""


class NoZipError(Exception):
    """Why a file is no whole zip."""


class ZipEntry(msgspec.Struct, frozen=True):
    """What a zip says of a file in it, in front of the file and again in its directory.

    :param flags: those that change how the name or the content is read.
    :param offset: of the local header, from the beginning of the zip.
    """

    name: bytes
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    offset: int


class Directory(msgspec.Struct, frozen=True):
    """The central directory of a zip.

    :param count: how many files the end of the zip announces.
    :param content: the directory itself, if it was small enough to be kept; it holds as many files.
    """

    count: int
    content: memoryview | None

    def entries(self) -> Iterator[ZipEntry]:
        """Yield the entries; none if the directory was not kept."""
        return _entries(self.content or memoryview(b""))


class _Extent(msgspec.Struct, frozen=True):
    entries: int
    size: int
    offset: int
    end: int


def read_directory(head: bytes, tail: bytes | bytearray, size: int) -> Directory:
    """Check that a file is a zip from its first byte to its last.

    :param head: the first four bytes.
    :param tail: the last bytes; 64 KiB and a little more are enough to find the directory.
    :param size: bytes of the whole file.
    :raises NoZipError: if it is not.
    """
    start = size - len(tail)
    extent = _find(tail, start)
    if head != (LOCAL if extent.entries else END):
        raise NoZipError("it does not start as a zip")
    if extent.entries == 0 and (extent.offset or extent.size):
        raise NoZipError("it announces no files, but has a directory")
    if extent.offset < start:
        return Directory(extent.entries, None)
    directory = Directory(extent.entries, memoryview(tail)[extent.offset - start : extent.end - start])
    count = 0
    for entry in directory.entries():
        if entry.offset >= extent.offset:
            raise NoZipError("its directory points behind its files")
        count += 1
    if count != extent.entries:
        raise NoZipError(f"its directory has another number of files than the announced {extent.entries}")
    return directory


def zip64_values(extra: bytes, count: int) -> tuple[int, ...]:
    """Return so many numbers of the zip64 extra field.

    :raises NoZipError: if there are not so many.
    """
    at = 0
    while at + _extra.size <= len(extra):
        kind, length = _extra.unpack_from(extra, at)
        at += _extra.size
        if kind == 1 and 8 * count <= length <= len(extra) - at:
            return tuple(_long.unpack_from(extra, at + 8 * number)[0] for number in range(count))
        at += length
    raise NoZipError("a size or an offset in it is missing")


def reading_flags(flags: int, name: bytes) -> int:
    """Return those flags that change how the name or the content of a file is read."""
    return flags & (CHANGES_CONTENT if name.isascii() else CHANGES_CONTENT | _UTF8)


def _entries(directory: memoryview) -> Iterator[ZipEntry]:
    at = 0
    while at < len(directory):
        if at + _entry.size > len(directory) or directory[at : at + 4] != ENTRY:
            raise NoZipError("its directory is damaged")
        values = _entry.unpack_from(directory, at)
        if values[2] & 0xFF > _NEWEST_VERSION:
            raise NoZipError("its directory asks for a version of the zip format that does not exist")
        flags, method, crc, packed, size, offset = *values[3:5], *values[7:10], values[16]
        lengths = values[10:13]
        at += _entry.size
        name = bytes(directory[at : at + lengths[0]])
        if ELSEWHERE in (packed, size, offset):
            extra = bytes(directory[at + lengths[0] : at + lengths[0] + lengths[1]])
            given = (size, packed, offset)
            longs = iter(zip64_values(extra, given.count(ELSEWHERE)))
            size, packed, offset = (next(longs) if value == ELSEWHERE else value for value in given)
        at += sum(lengths)
        yield ZipEntry(name, reading_flags(flags, name), method, crc, packed, size, offset)
    if at != len(directory):
        raise NoZipError("its directory is damaged")


def _find(tail: bytes | bytearray, start: int) -> _Extent:
    """Take the last end, as readers do: what looks like one inside of its comment makes them disagree."""
    at = tail.rfind(END, max(0, len(tail) - _end.size - _LONGEST_COMMENT))
    if at < 0 or at + _end.size > len(tail):
        raise NoZipError("its end is missing")
    if at + _end.size + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail):
        raise NoZipError("its end is not at the end of the file")
    for extent in (_plain(tail, at, start), _zip64(tail, at, start)):
        if extent and extent.offset + extent.size == extent.end:
            return extent
    raise NoZipError("its directory is not where its end says")


def _plain(tail: bytes | bytearray, at: int, start: int) -> _Extent | None:
    _, disk, first_disk, here, entries, size, offset, _ = _end.unpack_from(tail, at)
    if disk or first_disk or here != entries:
        return None
    return _Extent(entries, size, offset, start + at)


def _zip64(tail: bytes | bytearray, at: int, start: int) -> _Extent | None:
    plain = _end.unpack_from(tail, at)
    if at < _locator.size + _end64.size:
        return None
    mark, disk, where, disks = _locator.unpack_from(tail, at - _locator.size)
    if mark != _LOCATOR or disk or disks > 1 or not start <= where <= start + at - _locator.size - _end64.size:
        return None
    mark, length, _, _, disk, first_disk, here, entries, size, offset = _end64.unpack_from(tail, where - start)
    if mark != END64 or disk or first_disk or here != entries:
        return None
    agrees = all(
        short in (elsewhere, long)
        for short, elsewhere, long in zip(
            plain[4:7], (0xFFFF, ELSEWHERE, ELSEWHERE), (entries, size, offset), strict=True
        )
    )
    is_followed = where + 12 + length == start + at - _locator.size
    return _Extent(entries, size, offset, where) if agrees and is_followed else None
