"""Whether a file can be a whole zip, judged by its first and last bytes.

The layout is in PKWARE's APPNOTE, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.14 to 4.3.16
(its end, with and without zip64). Damage inside the files of a zip cannot be seen like this.
"""

from __future__ import annotations

from struct import Struct

import msgspec

_LOCAL = b"PK\x03\x04"
_ENTRY = b"PK\x01\x02"
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"
_LOCATOR = b"PK\x06\x07"

_end = Struct("<4s4H2IH")
_end64 = Struct("<4sQ2H2I4Q")
_locator = Struct("<4sIQI")
_entry = Struct("<4s6H3I5H2I")

_LONGEST_COMMENT = 0xFFFF
_ELSEWHERE = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
"""Number of entries, size and offset that mean "see the zip64 record"."""


class NoZipError(Exception):
    """Why a file is no whole zip."""


class Directory(msgspec.Struct, frozen=True):
    """The central directory of a zip.

    :param entries: how many files it announces.
    :param walked: whether it was small enough to see that it has just as many.
    """

    entries: int
    walked: bool


class _Extent(msgspec.Struct, frozen=True):
    entries: int
    size: int
    offset: int
    end: int


def read_directory(head: bytes, tail: bytes, size: int) -> Directory:
    """Check that a file is a zip from its first byte to its last.

    :param head: the first four bytes.
    :param tail: the last bytes; 64 KiB and a little more are enough to find the directory.
    :param size: bytes of the whole file.
    :raises NoZipError: if it is not.
    """
    start = size - len(tail)
    extent = _find(tail, start)
    if head != (_LOCAL if extent.entries else _END):
        raise NoZipError("it does not start as a zip")
    if extent.entries == 0 and (extent.offset or extent.size):
        raise NoZipError("it announces no files, but has a directory")
    if extent.offset < start:
        return Directory(extent.entries, walked=False)
    directory = memoryview(tail)[extent.offset - start : extent.end - start]
    if _count(directory, extent.offset) != extent.entries:
        raise NoZipError(f"its directory has another number of files than the announced {extent.entries}")
    return Directory(extent.entries, walked=True)


def _find(tail: bytes, start: int) -> _Extent:
    """A comment may hold what looks like an end, so every candidate is tried."""
    reason = "its end is missing"
    at = len(tail) - _end.size + 1
    lowest = max(0, len(tail) - _end.size - _LONGEST_COMMENT)
    while (at := tail.rfind(_END, lowest, at + len(_END) - 1)) >= 0:
        if at + _end.size + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail):
            continue
        for extent in (_plain(tail, at, start), _zip64(tail, at, start)):
            if extent and extent.offset + extent.size == extent.end:
                return extent
        reason = "its directory is not where its end says"
    raise NoZipError(reason)


def _plain(tail: bytes, at: int, start: int) -> _Extent | None:
    _, disk, first_disk, here, entries, size, offset, _ = _end.unpack_from(tail, at)
    if disk or first_disk or here != entries:
        return None
    return _Extent(entries, size, offset, start + at)


def _zip64(tail: bytes, at: int, start: int) -> _Extent | None:
    plain = _end.unpack_from(tail, at)
    if at < _locator.size + _end64.size:
        return None
    mark, disk, where, disks = _locator.unpack_from(tail, at - _locator.size)
    if mark != _LOCATOR or disk or disks > 1 or not start <= where <= start + at - _locator.size - _end64.size:
        return None
    mark, length, _, _, disk, first_disk, here, entries, size, offset = _end64.unpack_from(tail, where - start)
    if mark != _END64 or disk or first_disk or here != entries:
        return None
    agrees = all(
        short in (elsewhere, long)
        for short, elsewhere, long in zip(plain[4:7], _ELSEWHERE, (entries, size, offset), strict=True)
    )
    is_followed = where + 12 + length == start + at - _locator.size
    return _Extent(entries, size, offset, where) if agrees and is_followed else None


def _count(directory: memoryview, offset: int) -> int:
    at = entries = 0
    while at < len(directory):
        if at + _entry.size > len(directory) or directory[at : at + 4] != _ENTRY:
            raise NoZipError("its directory is damaged")
        values = _entry.unpack_from(directory, at)
        local = values[-1]
        if local >= offset and local != _ELSEWHERE[-1]:
            raise NoZipError("its directory points behind its files")
        at += _entry.size + sum(values[10:13])
        entries += 1
    if at != len(directory):
        raise NoZipError("its directory is damaged")
    return entries
