"""A zip is whole, or it is not, judged by its ends alone."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from airflow_provider_mendix.archive.stream_digest import StreamDigest
from airflow_provider_mendix.archive.zip_structure import Directory, NoZipError, read_directory

from .conftest import MIB

END = b"PK\x05\x06"


class Unseekable(io.RawIOBase):
    """Makes `zipfile` write sizes behind the files instead of before them."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.content += data
        return len(data)


def make(
    files=3,
    *,
    body=b"some text " * 50,
    names="model/file-{}.txt",
    **arguments,
):
    return pack([(names.format(number), body) for number in range(files)], **arguments)


def pack(files, *, comment=b"", compression=zipfile.ZIP_DEFLATED, stream=False, **zip_info):
    buffer = Unseekable() if stream else io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, body in files:
            with archive.open(name, "w", **zip_info) as file:
                file.write(body)
        archive.comment = comment
    return bytes(buffer.content) if stream else buffer.getvalue()


def read(content: bytes) -> Directory:
    digest = StreamDigest()
    for start in range(0, len(content), MIB):
        digest.add(content[start : start + MIB])
    return read_directory(digest.head, digest.tail, digest.size)


def check_like_zipfile(content: bytes, count: int) -> None:
    """Read the directory, and compare it with what `zipfile` reads."""
    directory = read(content)
    assert directory.count == count
    ours = [(e.method, e.crc, e.packed_size, e.size, e.offset) for e in directory.entries()]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        theirs = [
            (i.compress_type, i.CRC, i.compress_size, i.file_size, i.header_offset) for i in archive.infolist()
        ]
    assert ours == theirs


@pytest.fixture
def zip64(monkeypatch):
    """Make small zips in the form that is meant for large ones."""
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    return lambda **arguments: make(force_zip64=True, **arguments)


FILES = {"one file": 1, "many files": 5000, "a zip in the zip": 1}  # where it is not three
WHOLE = {
    "plain": lambda: make(),
    "stored": lambda: make(compression=zipfile.ZIP_STORED),
    "written to a stream": lambda: make(stream=True),
    "one file": lambda: make(1),
    "many files": lambda: make(5000, body=b""),
    "comment": lambda: make(comment=b"made by hand"),
    "longest comment": lambda: make(comment=b"c" * 65535),
    "a zip in the zip": lambda: make(1, body=make(), compression=zipfile.ZIP_STORED),
    "large entries in it": lambda: make(force_zip64=True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_zip(name):
    check_like_zipfile(WHOLE[name](), FILES.get(name, 3))


def test_a_whole_zip64(zip64):
    content = zip64(comment=b"c" * 100)
    assert b"PK\x06\x06" in content
    check_like_zipfile(content, 3)


def test_an_empty_zip():
    check_like_zipfile(make(0), 0)


def test_a_directory_that_is_longer_than_what_is_kept():
    names = 7000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(names):
            archive.writestr(zipfile.ZipInfo(f"{number:0700}"), b"")
    assert read(buffer.getvalue()) == Directory(names, None)


@pytest.mark.parametrize("name", [*WHOLE, "zip64"])
def test_cut_anywhere_it_is_none(name, zip64):
    content = (WHOLE.get(name) or zip64)()
    step = max(1, len(content) // 400)
    for keep in {*range(0, len(content), step), *range(max(0, len(content) - 200), len(content))}:
        with pytest.raises(NoZipError):
            read(content[:keep])


def test_a_zip_in_a_zip_does_not_pass_for_all_of_it():
    inner = make()
    content = make(2, body=inner, compression=zipfile.ZIP_STORED)
    cut = content[: content.index(inner) + len(inner)]
    assert cut.endswith(inner)
    with pytest.raises(NoZipError, match="not where its end says"):
        read(cut)


@pytest.mark.parametrize("comment", [END + bytes(18), END + bytes(18) + b"more", END])
def test_a_comment_that_looks_like_an_end_is_refused(comment):
    """Readers disagree about it: `zipfile` finds no file there."""
    with pytest.raises(NoZipError):
        read(make(comment=comment))


DAMAGED = {
    "nothing": lambda content: b"",
    "no zip": lambda content: b"<html>" + bytes(1000),
    "something before": lambda content: b"x" + content,
    "something after": lambda content: content + b"x",
    "a byte less in the middle": lambda content: content[:100] + content[101:],
    "a byte more in the middle": lambda content: content[:100] + b"x" + content[100:],
    "another beginning": lambda content: b"PK\x07\x08" + content[4:],
    "a file less announced": lambda content: content[:-12] + b"\2\0" + content[-10:],
    "a file less announced twice": lambda content: content[:-14] + b"\2\0\2\0" + content[-10:],
    "no file announced": lambda content: content[:-14] + b"\0\0\0\0" + content[-10:],
    "another disk": lambda content: content[:-18] + b"\1\0" + content[-16:],
    "a damaged entry": lambda content: content.replace(b"PK\x01\x02", b"PK\x01\x03", 1),
    "a longer name": lambda content: _changed_entry(content, 28, b"\xff\0"),
    "a file behind the directory": lambda content: _changed_entry(content, 42, struct.pack("<I", len(content))),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_it_is_none(name):
    with pytest.raises(NoZipError):
        read(DAMAGED[name](make()))


def _changed_entry(content: bytes, at: int, value: bytes) -> bytes:
    where = content.rindex(b"PK\x01\x02") + at
    return content[:where] + value + content[where + len(value) :]


def test_damage_to_a_zip64_end(zip64):
    content = zip64()
    for mark in (b"PK\x06\x06", b"PK\x06\x07"):
        at = content.index(mark)
        for offset in range(0, 20 if mark.endswith(b"\x07") else 56):
            changed = content[: at + offset] + bytes([content[at + offset] ^ 0x40]) + content[at + offset + 1 :]
            if 12 <= offset < 16 and mark.endswith(
                b"\x06"
            ):  # which version made it, and which it takes to read it
                continue
            with pytest.raises(NoZipError):
                read(changed)
