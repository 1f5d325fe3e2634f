"""Something reads the chunks of a stream while they pass by, in a thread beside the download and the upload."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import closing
from queue import Queue
from threading import Thread

_MAX_QUEUED = 4
"""Chunks that may wait for the reader."""


def read_beside(chunks: Generator[bytes], read: Callable[[Iterator[bytes]], None]) -> Generator[bytes]:
    """Yield the same chunks, and end when the reader has ended.

    :param read: reads the chunks, all of them or as many as it needs.
    :raises: what the reader raises, as soon as that is known.
    """
    queue: Queue[bytes | None] = Queue(_MAX_QUEUED)
    done: Future[None] = Future()

    def run() -> None:
        passing = iter(queue.get, None)
        try:
            read(passing)
            done.set_result(None)
        except BaseException as error:  # noqa: BLE001 - it is raised in the other thread
            done.set_exception(error)
        for _ in passing:
            pass  # otherwise the queue could stay full, and the other thread would wait for ever

    Thread(target=run, name="reader", daemon=True).start()
    with closing(chunks):
        try:
            for chunk in chunks:
                if done.done():
                    done.result()
                else:
                    queue.put(chunk)
                yield chunk
        finally:
            queue.put(None)
    done.result()
