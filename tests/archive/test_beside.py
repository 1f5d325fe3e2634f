"""A stream is read beside its way: nothing is changed, held back or left running."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from airflow_provider_mendix.archive.beside import read_beside

CHUNKS = [bytes([number]) for number in range(100)]


def chunks() -> Generator[bytes]:
    yield from CHUNKS


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reader"]


@pytest.mark.parametrize("count", [0, 1, 3, 50, 100, 200])
def test_the_chunks_pass_whatever_the_reader_takes(count):
    taken = []

    def read(passing: Iterator[bytes]) -> None:
        taken.extend(chunk for chunk, _ in zip(passing, range(count), strict=False))

    assert list(read_beside(chunks(), read)) == CHUNKS
    assert taken == CHUNKS[:count]


@pytest.mark.parametrize("at", [0, 5, 99])
def test_an_error_of_the_reader_is_raised_soon(at):
    def read(passing: Iterator[bytes]) -> None:
        for number, _ in enumerate(passing):
            if number == at:
                raise ValueError("damaged")

    passed: list[bytes] = []
    with pytest.raises(ValueError, match="damaged"):
        passed.extend(read_beside(chunks(), read))
    assert at - 1 <= len(passed) < at + 10


def test_an_error_at_the_end_is_raised_before_the_stream_ends():
    def read(passing: Iterator[bytes]) -> None:
        for _ in passing:
            pass
        raise ValueError("cut off")

    with pytest.raises(ValueError, match="cut off"):
        list(read_beside(chunks(), read))


def test_an_error_of_the_stream_ends_the_reader():
    def broken() -> Generator[bytes]:
        yield b"a"
        raise OSError("broken")

    taken = []
    with pytest.raises(OSError, match="broken"):
        list(read_beside(broken(), taken.extend))
    for thread in readers():
        thread.join(10)
    assert readers() == []
    assert taken == [b"a"]


def test_a_stream_that_is_given_up_ends_the_reader():
    source, taken = chunks(), []
    passing = read_beside(source, taken.extend)
    next(passing)
    passing.close()
    for thread in readers():
        thread.join(10)
    assert readers() == []
    assert next(source, None) is None
