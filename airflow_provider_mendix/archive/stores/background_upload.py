"""An upload in a thread of its own, which gets its chunks from the thread that downloads and checks them.

A signal (Airflow ends a task by one) then reaches a thread that is not inside a library, and the upload can be
aborted at once.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

_MAX_QUEUED = 4
_ABORT_TIMEOUT = 10.0

log = logging.getLogger(__name__)


class ChunkStream:
    """The chunks of an upload, as an iterator and as a file that can be read once.

    :ivar started: whether the first chunk was wanted.
    :ivar ready: set when it is, or when the upload has ended without that.
    """

    def __init__(self) -> None:
        self.started = False
        self.ready = threading.Event()
        self._queue: queue.Queue[bytes | None] = queue.Queue(_MAX_QUEUED)
        self._aborted = False
        self._chunks = self._iterate()
        self._rest = bytearray()

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, fewer only at the end; all that are left without a size.

        :raises InterruptedError: if the upload was aborted, so that nothing is committed.
        """
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        end = len(self._rest) if size < 0 else size
        taken = bytes(memoryview(self._rest)[:end])
        del self._rest[:end]
        return taken

    def offer(self, chunk: bytes | None, timeout: float) -> bool:
        """Put a chunk, or the end, into the queue if there is room for it in time."""
        with suppress(queue.Full):
            self._queue.put(chunk, timeout=timeout)
            return True
        return False

    def abort(self) -> None:
        """Let the reader meet an error instead of the next chunk."""
        self._aborted = True
        while not self.offer(None, 0):
            with suppress(queue.Empty):
                self._queue.get_nowait()

    def _iterate(self) -> Iterator[bytes]:
        self.started = True
        self.ready.set()
        while (chunk := self._queue.get()) is not None:
            if self._aborted:
                break
            yield chunk
        if self._aborted:
            raise InterruptedError("aborted")


class BackgroundUpload:
    """One upload. Call :meth:`begin`, then :meth:`commit`.

    :param send: makes an object of a stream, and returns when it is committed; if the stream raises, it commits
        nothing.
    """

    def __init__(self, send: Callable[[ChunkStream], None], url: str) -> None:
        self._send = send
        self._url = url
        self._stream = ChunkStream()
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._failure: BaseException | None = None

    def begin(self) -> BaseException | None:
        """Start, and return the error if the store refuses before it wants the first chunk."""
        self._thread.start()
        try:
            while not self._stream.ready.wait(1):  # without a timeout, no signal would be handled
                pass
        except BaseException:
            self._abort()
            raise
        return None if self._stream.started else self._failure

    def commit(self, chunks: Iterable[bytes]) -> None:
        """Send all chunks and commit the object; if anything raises before, nothing is committed."""
        all_sent = False
        try:
            for chunk in chunks:
                self._put(chunk)
            all_sent = True
            self._put(None)
            while self._thread.is_alive():
                self._thread.join(1)
        except BaseException:
            if all_sent:
                # The commit is under way. Its outcome counts, so wait for it.
                self._thread.join()
            else:
                self._abort()
            raise
        if self._failure:
            raise self._failure

    def _put(self, chunk: bytes | None) -> None:
        while self._thread.is_alive():
            if self._stream.offer(chunk, 1):
                return
        if chunk is not None:
            raise self._failure or OSError("The upload has ended early.")

    def _abort(self) -> None:
        self._stream.abort()
        self._thread.join(_ABORT_TIMEOUT)
        if self._thread.is_alive():
            log.warning("The store does not answer; an unfinished upload of %s may be left.", self._url)

    def _run(self) -> None:
        try:
            self._send(self._stream)
        except BaseException as error:  # noqa: BLE001 - it is raised in the other thread
            self._failure = error
        finally:
            self._stream.ready.set()
