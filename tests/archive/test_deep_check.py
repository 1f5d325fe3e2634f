"""Every file in a zip is checked while it passes by, and the directory at the end against the files."""

from __future__ import annotations

import random
import tracemalloc
import zipfile

import pytest

from airflow_provider_mendix.archive.deep_check import DeepCheck
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.exceptions import DamagedFileError, UnverifiableFileError

from .conftest import MIB
from .test_zip_structure import FILES, WHOLE, make

NAMED = "model/file-0.txt"


def check(content: bytes, size: int = MIB) -> int:
    """Let a zip pass by, compare its directory, and return how many files it has."""
    deep = DeepCheck()
    chunks = (content[start : start + size] for start in range(0, len(content), size))
    assert b"".join(deep.passing(chunks)) == content
    deep.compare(read_directory(content[:4], deep.end, len(content)))
    return deep.entries


def flipped(content: bytes, at: int, bit: int = 0) -> bytes:
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]


@pytest.mark.parametrize("size", [1, 10, 1000, MIB])
@pytest.mark.parametrize("name", [name for name in WHOLE if name != "many files"])
def test_a_good_one_passes_by_unchanged(name, size):
    assert check(WHOLE[name](), size) == FILES.get(name, 3)


@pytest.mark.parametrize("size", [1, MIB])
@pytest.mark.parametrize(
    "arguments",
    [
        {"files": 0},
        {"body": b""},
        {"body": b"", "compression": zipfile.ZIP_STORED},
        {"body": b"", "stream": True},
        {"body": b"", "stream": True, "compression": zipfile.ZIP_STORED},
        {"stream": True, "force_zip64": True},
        {"body": bytes(20 * MIB), "files": 1},
        {"body": random.Random(1).randbytes(3 * MIB), "files": 2, "stream": True},
    ],
    ids=lambda arguments: "-".join(arguments),
)
def test_other_forms_of_good_ones(arguments, size):
    content = make(**arguments)
    assert check(content, max(size, len(content) // 10_000)) == arguments.get("files", 3)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_any_flipped_bit_in_a_file_is_found(compression):
    content = make(1, body=random.Random(1).randbytes(300), compression=compression)
    start = content.index(b".txt") + 4
    for at in range(start, content.index(b"PK\x01\x02")):
        with pytest.raises(DamagedFileError):
            check(flipped(content, at))


# Readers take these from the directory. Offsets are those of the directory's entry.
READ = {
    "encrypted": [(8, 0)],
    "method": [(10, bit) for bit in range(8)] + [(11, 0)],
    "crc": [(at, bit) for at in range(16, 20) for bit in (0, 7)],
    "packed size": [(at, bit) for at in range(20, 24) for bit in (0, 7)],
    "size": [(at, bit) for at in range(24, 28) for bit in (0, 7)],
    "name length": [(28, 0), (29, 0)],
    "offset": [(at, bit) for at in range(42, 46) for bit in (0, 7)],
    "name": [(at, bit) for at in range(46, 46 + len(NAMED)) for bit in (0, 6)],
}


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", READ)
def test_a_directory_that_says_something_else_is_found(field, stream, number):
    content = make(stream=stream)
    entry = -1
    for _ in range(number + 1):
        entry = content.index(b"PK\x01\x02", entry + 1)
    for at, bit in READ[field]:
        with pytest.raises((DamagedFileError, NoZipError)):
            check(flipped(content, entry + at, bit))


def test_the_error_names_the_file():
    content = make()
    with pytest.raises(DamagedFileError, match=f"its directory describes {NAMED} as something else"):
        check(flipped(content, content.index(b"PK\x01\x02") + 16))


def test_a_name_that_another_flag_reads_differently_is_found():
    content = make().replace(b"model/file-0", "mödel/file0".encode())
    assert check(content) == 3
    with pytest.raises(DamagedFileError):
        check(flipped(content, content.index(b"PK\x01\x02") + 9, 3))


def test_a_file_that_the_directory_does_not_list_is_found():
    content = make(3)
    first, second = content.index(b"PK\x01\x02"), content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    at = len(content) - 22
    size = int.from_bytes(content[at + 12 : at + 16], "little") - (second - first)
    end = content[at : at + 8] + b"\2\0\2\0" + size.to_bytes(4, "little") + content[at + 16 :]
    with pytest.raises(DamagedFileError, match="its directory does not list 1 of them"):
        check(content[:first] + content[second:at] + end)


def test_bytes_between_the_files_and_the_directory_are_found():
    content = make()
    first, at = content.index(b"PK\x01\x02"), len(content) - 22
    end = content[at : at + 16] + (first + 5).to_bytes(4, "little") + content[at + 20 :]
    with pytest.raises(DamagedFileError, match="something else begins"):
        check(content[:first] + b"extra" + content[first:at] + end)


def test_a_directory_of_any_length_is_compared():
    content = make(9000, body=b"", compression=zipfile.ZIP_STORED, names="{:0700}")
    assert check(content) == 9000
    with pytest.raises(DamagedFileError):
        check(flipped(content, content.index(b"PK\x01\x02") + 16))


def test_cut_anywhere_it_is_none():
    content = make()
    for keep in range(len(content)):
        with pytest.raises((NoZipError, DamagedFileError)):
            check(content[:keep])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content, "packed by method 14"),
        (lambda content: flipped(content, 6), "is encrypted"),
        (lambda content: flipped(content, 6, 6), "is encrypted"),
    ],
)
def test_what_cannot_be_checked_is_not_called_damaged(change, reason):
    with pytest.raises(UnverifiableFileError, match=reason):
        check(change(make(compression=zipfile.ZIP_LZMA)))


def test_a_stored_file_of_unknown_length_cannot_be_checked():
    with pytest.raises(UnverifiableFileError, match="stored without its length"):
        check(make(stream=True, compression=zipfile.ZIP_STORED))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_it_takes_little_memory(compression):
    content = make(4, body=bytes(20 * MIB), compression=compression)
    tracemalloc.start()
    try:
        for _ in DeepCheck().passing(content[start : start + MIB] for start in range(0, len(content), MIB)):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * MIB
