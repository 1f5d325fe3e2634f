"""A file is checked inside the stream: its last piece goes on only when all of it has proved right."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

import msgspec

from airflow_provider_mendix.archive.checksums import Checksum
from airflow_provider_mendix.archive.stream_digest import StreamDigest
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.exceptions import DamagedFileError


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How a file was checked.

    :param size_of_host: it has as many bytes as the file host announced; ``False`` if that announced none.
    :param size_of_mendix: it has as many bytes as Mendix says; ``False`` if Mendix says nothing usable.
    :param checksums: headers of the file host whose checksums of the whole file are right.
    :param zip_entries: how many files the zip announces.
    :param zip_directory: its directory was read, and has just as many.
    :param zip_contents: the checksum of every file in it is right (``verify="deep"``).
    """

    size_of_host: bool
    size_of_mendix: bool
    checksums: list[str]
    zip_entries: int
    zip_directory: bool
    zip_contents: bool


def withhold_last_chunk(pieces: Generator[bytes], when_all_is_there: Callable[[], None]) -> Generator[bytes]:
    """Give all pieces, the last one only after a check.

    Whoever stores them finds the end of the stream only behind that, so that an error of the check comes in the
    middle of the upload, and a commit at the end of the stream commits what is right.

    :param when_all_is_there: raises if something is wrong.
    """
    held = b""
    with closing(pieces):
        for piece in pieces:
            if held:
                yield held
            held = piece
        when_all_is_there()
        yield held


def verify(
    tally: StreamDigest,
    *,
    announced: int | None,
    by_mendix: float | None,
    checksums: list[Checksum],
    deep_entries: int | None,
) -> Verification:
    """Check all of a file.

    :param announced: its size by the file host's word.
    :param by_mendix: its size by Mendix's word, which is one only if it is an ``int``.
    :param deep_entries: how many files in it were checked, if they were.
    :raises DamagedFileError: if it is not right.
    """
    if announced is not None and tally.size != announced:
        raise _damaged(f"the file host announced {announced} bytes, but {tally.size} arrived")
    if isinstance(by_mendix, int) and tally.size != by_mendix:
        raise _damaged(f"it has {by_mendix} bytes by Mendix's word, but {tally.size} arrived")
    checked = []
    for checksum in checksums:
        digest = tally.digest(checksum.algorithm)
        if digest is not None and digest != checksum.digest:
            raise _damaged(f"its {checksum.algorithm} is not what the file host says ({checksum.header})")
        checked += [checksum.header] if digest else []
    try:
        directory = read_directory(tally.head, tally.tail, tally.size)
    except NoZipError as reason:
        raise _damaged(f"it is no whole zip: {reason}") from None
    if deep_entries not in (None, directory.entries):
        raise _damaged(f"it announces {directory.entries} files, but holds {deep_entries}")
    return Verification(
        size_of_host=announced is not None,
        size_of_mendix=isinstance(by_mendix, int),
        checksums=sorted(set(checked)),
        zip_entries=directory.entries,
        zip_directory=directory.walked,
        zip_contents=deep_entries is not None,
    )


def _damaged(reason: str) -> DamagedFileError:
    return DamagedFileError(f"The file is not right: {reason}. Nothing was stored.")
