"""A walk through a zip that passes by: every file and the directory are checked, and the metadata is found."""

from __future__ import annotations

import random
import tracemalloc
import zipfile
import zlib
from collections.abc import Generator

import pytest

from airflow_provider_mendix.archive import zip_walk
from airflow_provider_mendix.archive.zip_structure import NoZipError, read_directory
from airflow_provider_mendix.archive.zip_walk import MAX_METADATA, ZipWalk
from airflow_provider_mendix.exceptions import DamagedFileError, UnverifiableFileError

from .conftest import MIB
from .test_zip_structure import FILES, WHOLE, make, pack

NAMED = "model/file-0.txt"


@pytest.fixture(autouse=True, params=["isal", "zlib"])
def library(request, monkeypatch):
    """What inflates: there are machines for which isal has no wheel."""
    if request.param == "isal":
        monkeypatch.setattr(zip_walk, "zlib", pytest.importorskip("isal.isal_zlib"))
    else:
        monkeypatch.setattr(zip_walk, "zlib", zlib)


def in_chunks(content: bytes, size: int = MIB) -> Generator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def check(content: bytes, size: int = MIB) -> int:
    """Let a zip pass by, compare its directory, and return how many files it has."""
    walk = ZipWalk(deep=True)
    assert b"".join(walk.passing(in_chunks(content, size))) == content
    walk.found.compare(read_directory(content[:4], walk.end, len(content)))
    return len(walk.found)


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
        for _ in ZipWalk(deep=True).passing(in_chunks(content)):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 7 * MIB


def test_a_file_that_unpacks_to_more_than_it_announces_is_found_while_it_does():
    content = bytearray(make(1, body=bytes(64 * MIB)))
    content[22:26] = (1000).to_bytes(4, "little")
    passed: list[bytes] = []
    with pytest.raises(DamagedFileError, match="longer than the 1000 bytes that its header says"):
        passed.extend(ZipWalk(deep=True).passing(in_chunks(bytes(content), 1000)))
    assert len(passed) < 10


def test_damage_ends_the_download_as_soon_as_it_is_found():
    content = flipped(make(), 60) + bytes(100 * MIB)
    passed: list[bytes] = []
    with pytest.raises(DamagedFileError):
        passed.extend(ZipWalk(deep=True).passing(in_chunks(content)))
    assert len(passed) < 10


@pytest.mark.parametrize(
    ("content", "size"), [(make(20, names="{:0100}"), 2000), (make(1).replace(b"PK\5\6", bytes(9000)), 8000)]
)
def test_the_directory_has_a_limit_as_it_arrives_and_as_the_files_imply_it(content, size, monkeypatch):
    monkeypatch.setattr(zip_walk, "_MAX_DIRECTORY", size)
    with pytest.raises(UnverifiableFileError, match=f"directory has more than {size} bytes"):
        check(content[: content.index(b"PK\1\2") + 9000], 100)


def test_what_is_no_zip_is_judged_elsewhere():
    walk = ZipWalk(deep=True)
    assert b"".join(walk.passing(in_chunks(b"<!doctype html>"))) == b"<!doctype html>"
    assert walk.end == b""


class TestMetadata:
    """One file is read on the way, in both modes."""

    def found(self, content: bytes, *, deep: bool, size: int = 1000) -> bytes | None:
        walk = ZipWalk(deep=deep)
        assert b"".join(walk.passing(in_chunks(content, size))) == content
        return walk.metadata

    def zipped(self, metadata: bytes | None, at: int = 1, **arguments) -> bytes:
        files = [(f"model/file-{number}", b"some text " * 1000) for number in range(3)]
        if metadata is not None:
            files.insert(at, ("model/metadata.json", metadata))
        return pack(files, **arguments)

    @pytest.mark.parametrize("deep", [True, False])
    @pytest.mark.parametrize("at", [0, 1, 3])
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_it_is_found(self, compression, stream, at, deep):
        if stream and compression == zipfile.ZIP_STORED:
            return
        content = self.zipped(b'{"a": 1}', at, compression=compression, stream=stream)
        for size in (1, 1000, MIB):
            assert self.found(content, deep=deep, size=size) == b'{"a": 1}'

    @pytest.mark.parametrize("deep", [True, False])
    def test_it_is_not_there(self, deep):
        assert self.found(self.zipped(None), deep=deep) is None

    @pytest.mark.parametrize("deep", [True, False])
    def test_a_long_one_takes_no_more_memory(self, deep):
        assert len(self.found(self.zipped(bytes(5 * MIB)), deep=deep, size=MIB)) == MAX_METADATA

    @pytest.mark.parametrize(
        "content",
        [b"", b"PK", b"<!doctype html>", make()[:100], flipped(make(), 6), make(compression=zipfile.ZIP_LZMA)],
    )
    def test_what_cannot_be_walked_through_passes_by(self, content):
        assert self.found(content, deep=False) is None

    def test_only_so_much_is_unpacked_to_find_it(self, monkeypatch):
        """Where a file ends that was written to a stream shows only when it is unpacked."""
        monkeypatch.setattr(zip_walk, "_MAX_UNPACKED_WALK", MIB)
        files = [(f"{number}", random.Random(number).randbytes(MIB)) for number in range(3)]
        content = pack([*files, ("model/metadata.json", b"{}")], stream=True)
        assert self.found(content, deep=False, size=MIB) is None
        assert self.found(content, deep=True, size=MIB) == b"{}"
