"""A file is checked inside the stream: its last chunk is passed on only when all of it has proved right."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_mendix.archive.stream_digest import StreamDigest
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.exceptions import DamagedFileError

if TYPE_CHECKING:
    from airflow_provider_mendix.archive.zip_walk import ZipWalk


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


def verify(
    digest: StreamDigest,
    *,
    size_of_host: int | None,
    size_of_mendix: float | None,
    sha256_of_host: str | None,
    walk: ZipWalk,
    description: str,
) -> Verification:
    """Check all of a file.

    :param size_of_mendix: usable only if it is an ``int``.
    :param description: what the file host sent, for the message if that is no zip.
    :raises DamagedFileError: if it is not right.
    """
    if size_of_host is not None and digest.size != size_of_host:
        raise _damaged(f"the file host announced {size_of_host} bytes, but {digest.size} arrived")
    if isinstance(size_of_mendix, int) and digest.size != size_of_mendix:
        raise _damaged(f"Mendix says that it has {size_of_mendix} bytes, but {digest.size} arrived")
    if sha256_of_host is not None and digest.sha256 != sha256_of_host:
        raise _damaged("its SHA-256 is not the one that the file host sent (x-amz-checksum-sha256)")
    try:
        directory = read_directory(digest.head, walk.end if walk.deep else digest.tail, digest.size)
    except NoZipError as reason:
        raise _damaged(f"it is no whole zip: {reason}", description) from None
    if walk.deep:
        walk.found.compare(directory)
    return Verification(
        size_of_host=size_of_host is not None,
        size_of_mendix=isinstance(size_of_mendix, int),
        sha256_of_host=sha256_of_host is not None,
        zip_entries=directory.count,
        zip_directory=directory.content is not None,
        zip_contents=walk.deep,
    )


def _damaged(reason: str, *more: str) -> DamagedFileError:
    return DamagedFileError(" ".join([f"The file is not right: {reason}. Nothing was stored.", *more]))
