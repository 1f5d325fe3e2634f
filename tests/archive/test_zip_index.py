"""Many files of a zip are remembered in little memory, and compared with its directory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import msgspec
import pytest

from airflow_provider_mendix.archive.zip_index import ZipIndex
from airflow_provider_mendix.archive.zip_structure import ZipEntry, read_directory
from airflow_provider_mendix.exceptions import DamagedFileError

from .test_zip_structure import make

CONTENT = make(3)
DIRECTORY = read_directory(CONTENT[:4], CONTENT, len(CONTENT))
FIRST, *OTHERS = DIRECTORY.entries()


def index_of(*entries: ZipEntry) -> ZipIndex:
    return filled(entries)


def filled(entries: Iterable[ZipEntry]) -> ZipIndex:
    index = ZipIndex()
    for entry in entries:
        index.add(entry)
    return index


def test_the_same_files():
    index_of(FIRST, *OTHERS).compare(DIRECTORY)


@pytest.mark.parametrize(
    "change",
    [{"name": b"other"}, {"flags": 1}, {"method": 0}, {"crc": 1}, {"packed_size": 1}, {"size": 1}, {"offset": 1}],
    ids=lambda change: next(iter(change)),
)
def test_another_file(change):
    with pytest.raises(DamagedFileError, match="describes model/file-0.txt as something else"):
        index_of(msgspec.structs.replace(FIRST, **change), *OTHERS).compare(DIRECTORY)


def test_a_file_that_is_not_listed():
    with pytest.raises(DamagedFileError, match=r"does not list 1 of them \(4 files in it were checked\)"):
        index_of(FIRST, *OTHERS, msgspec.structs.replace(FIRST, offset=10**6)).compare(DIRECTORY)


def test_a_file_that_is_listed_and_is_not_there():
    with pytest.raises(DamagedFileError, match="describes model/file-2.txt as something else"):
        index_of(FIRST, OTHERS[0]).compare(DIRECTORY)


def test_a_file_that_is_listed_twice():
    content = bytearray(CONTENT)
    first = content.index(b"PK\1\2")
    second = content.index(b"PK\1\2", first + 1)
    content[second : second + (second - first)] = content[first:second]
    directory = read_directory(content[:4], content, len(content))
    with pytest.raises(DamagedFileError, match="describes model/file-0.txt as something else"):
        index_of(FIRST, *OTHERS).compare(directory)


def test_it_takes_sixteen_bytes_for_each_file():
    tracemalloc.start()
    try:
        filled(msgspec.structs.replace(FIRST, offset=number) for number in range(100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000 * 20
