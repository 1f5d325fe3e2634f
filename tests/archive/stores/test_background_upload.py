"""An upload in a thread of its own: committed when all chunks are there, and otherwise not."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_mendix.archive.stores.background_upload import BackgroundUpload, ChunkStream


class Store:
    """Takes a stream as a library does: as an iterator, or as a file."""

    def __init__(self, read_size: int | None = None) -> None:
        self.read_size = read_size
        self.content: bytes | None = None
        self.error: BaseException | None = None

    def send(self, stream: ChunkStream) -> None:
        content = b""
        try:
            if self.read_size is None:
                content = b"".join(stream)
            else:
                while chunk := stream.read(self.read_size):
                    content += chunk
        except BaseException as error:
            self.error = error
            raise
        self.content = content


@pytest.mark.parametrize("read_size", [None, -1, 1, 3, 1000])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_all_chunks_arrive(count, read_size):
    store = Store(read_size)
    upload = BackgroundUpload(store.send, "s3://b/k")
    assert upload.begin() is None
    upload.commit([b"abcde"] * count)
    assert store.content == b"abcde" * count


def test_a_refusal_before_the_first_chunk_is_returned():
    def refuse(stream: ChunkStream) -> None:
        raise PermissionError("not today")

    upload = BackgroundUpload(refuse, "s3://b/k")
    assert isinstance(upload.begin(), PermissionError)


@pytest.mark.parametrize("after", [1, 10])
def test_a_failure_later_is_raised(after):
    def fail(stream: ChunkStream) -> None:
        for number, _ in enumerate(stream, 1):
            if number == after:
                raise OSError("broken")

    upload = BackgroundUpload(fail, "s3://b/k")
    assert upload.begin() is None
    with pytest.raises(OSError, match="broken"):
        upload.commit([b"x"] * 100)


def test_a_failure_of_the_commit_is_raised():
    def fail(stream: ChunkStream) -> None:
        b"".join(stream)
        raise OSError("no commit")

    upload = BackgroundUpload(fail, "s3://b/k")
    assert upload.begin() is None
    with pytest.raises(OSError, match="no commit"):
        upload.commit([b"x"])


@pytest.mark.parametrize("read_size", [None, 1, 1000])
@pytest.mark.parametrize("after", [0, 1, 50])
def test_an_error_of_the_chunks_commits_nothing(after, read_size):
    def chunks():
        yield from [b"x"] * after
        raise ValueError("damaged")

    store = Store(read_size)
    upload = BackgroundUpload(store.send, "s3://b/k")
    assert upload.begin() is None
    with pytest.raises(ValueError, match="damaged"):
        upload.commit(chunks())
    assert store.content is None
    assert isinstance(store.error, InterruptedError)


def test_a_store_that_has_stopped_reading_ends_too():
    release, done = threading.Event(), []

    def slow(stream: ChunkStream) -> None:
        try:
            next(iter(stream))
            release.wait(10)
            b"".join(stream)
        except InterruptedError as error:
            done.append(error)
            raise

    def chunks():
        yield from [b"x"] * 4
        release.set()
        raise ValueError("damaged")

    upload = BackgroundUpload(slow, "s3://b/k")
    assert upload.begin() is None
    with pytest.raises(ValueError, match="damaged"):
        upload.commit(chunks())
    assert done
