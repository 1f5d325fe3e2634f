"""A file is checked inside the stream: its last chunk is passed on only when all of it has proved right."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

import msgspec

from airflow_provider_mendix.exceptions import DamagedFileError


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How a file was checked.

    :param size_of_host: it has as many bytes as the file host announced; ``False`` if the host announced none.
    :param size_of_mendix: it has as many bytes as Mendix says; ``False`` if Mendix says nothing usable.
    :param sha256_of_host: it has the SHA-256 that the file host sent; ``False`` if the host sent none.
    :param zip_entries: how many files the zip announces.
    :param zip_directory: its directory was read, and lists as many.
    :param zip_contents: every file in it has its CRC-32, and the directory describes each as it is
        (``verify="deep"``).
    """

    size_of_host: bool
    size_of_mendix: bool
    sha256_of_host: bool
    zip_entries: int
    zip_directory: bool
    zip_contents: bool


class BackupVerification(msgspec.Struct, frozen=True, kw_only=True):
    """How the archive of a snapshot was checked.

    :param gzip_contents: it is a whole gzip file, and what is in it has its CRC-32. ``False`` for a dump of the
        database, in which nothing can be checked.
    """

    size_of_host: bool
    sha256_of_host: bool
    gzip_contents: bool


def withhold_last_chunk(chunks: Generator[bytes], check: Callable[[], None]) -> Generator[bytes]:
    """Yield all chunks, the last one only after a check.

    The store meets the end of the stream only behind that. So an error of the check comes in the middle of the
    upload, and a store that commits at the end commits a file that is right.

    :param check: raises if the file is wrong.
    """
    withheld = b""
    with closing(chunks):
        for chunk in chunks:
            if withheld:
                yield withheld
            withheld = chunk
        check()
        yield withheld


def damaged(reason: str, *more: str) -> DamagedFileError:
    """Return the error for a file that is not right."""
    return DamagedFileError(" ".join([f"The file is not right: {reason}. Nothing was stored.", *more]))
