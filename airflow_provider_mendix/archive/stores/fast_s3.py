"""S3 by way of `obstore`: several parts of an object are on their way while the next is read and hashed."""

from __future__ import annotations

import errno
import logging
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.archive.stores.base import CHUNK, RemoteStore
from airflow_provider_mendix.archive.stores.s3_settings import Settings, UnsupportedSettingError, settings_of

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

PART = 8 * CHUNK
"""Bytes of a part. S3 takes 10 000 of them: 78 GiB, and Mendix refuses packages long before."""

MOST_PARTS = 3
"""Parts that are on their way at the same time. With the one that is being filled, they are what is in memory."""

_MOST_PIECES = 4
_GIVING_UP = 10.0
_NUMBERS = {"403": errno.EACCES, "404": errno.ENOENT}

log = logging.getLogger(__name__)


def fast_store_of(destination: ObjectStoragePath) -> RemoteStore | None:
    """Give the fast way to a destination in S3, if there is one that does all that its connection says."""
    try:
        import obstore  # noqa: F401
    except ImportError:
        log.info("S3 would be faster with obstore: install airflow-provider-mendix[fast] on the workers.")
        return None
    try:
        return FastS3Store(destination.fs, settings_of(destination))
    except UnsupportedSettingError as reason:
        log.info("Taking the plain path to S3: the fast one does not know what to do with %s.", reason)
    except Exception as error:  # noqa: BLE001
        # What is read are inner parts of libraries too, which may look different one day.
        log.warning("Taking the plain path to S3: its settings cannot be read (%s).", type(error).__name__)
    return None


class FastS3Store(RemoteStore):
    """Objects in S3. Only the bytes of an object that is made go through `obstore`, all else goes the plain way.

    To read, too: an answer of `obstore` has one time limit, and whoever reads may take its time.

    `obstore` gives an upload up by its id when the pieces break off or S3 refuses, just as the plain way does.
    """

    def __init__(self, fs: Any, settings: Settings) -> None:
        super().__init__(fs)
        self._store = _safely(settings.open)

    def commit(self, path: str, pieces: Iterable[bytes]) -> None:
        """The upload has a thread of its own, so that a signal ends this one at once, and not after S3 answers."""
        upload = _Upload(self._store, self._key(path))
        upload.start()
        try:
            for piece in pieces:
                upload.take(piece)
            upload.finish()
        except BaseException:
            upload.give_up()
            raise

    def _key(self, path: str) -> str:
        return str(self._fs.split_path(path)[1])


class _Upload(threading.Thread):
    """Puts together an object from what it takes, and commits it when told that this was all."""

    def __init__(self, store: Any, key: str) -> None:
        super().__init__(name="upload to S3", daemon=True)
        self._store = store
        self._key = key
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_MOST_PIECES)
        self._stopped = False
        self._is_all = False
        self._failure: BaseException | None = None

    def run(self) -> None:
        import obstore

        try:
            obstore.put(
                self._store,
                self._key,
                self._taken(),
                use_multipart=True,
                chunk_size=PART,
                max_concurrency=MOST_PARTS,
            )
        except BaseException as error:  # noqa: BLE001
            self._failure = error

    def take(self, piece: bytes) -> None:
        """Take what comes next.

        :raises OSError: if the upload has failed.
        """
        while True:
            if not self.is_alive():
                raise _safe(self._failure)
            with suppress(queue.Full):
                self._pieces.put(piece, timeout=1)
                return

    def finish(self) -> None:
        """Commit the object.

        :raises OSError: if that fails.
        """
        self._is_all = True
        self._offer_end()
        while self.is_alive():
            self.join(1)  # one without an end would let no signal through
        if self._failure:
            raise _safe(self._failure)

    def give_up(self) -> None:
        """Commit nothing more; a commit that is on its way is waited for, as its outcome will be looked at."""
        if self._is_all:
            self.join()
            return
        self._stopped = True
        self._offer_end()
        self.join(_GIVING_UP)
        if self.is_alive():
            log.warning("S3 does not answer: an unfinished upload of %s may be left.", self._key)

    def _offer_end(self) -> None:
        while self.is_alive():
            with suppress(queue.Full):
                self._pieces.put(None, timeout=0 if self._stopped else 1)
                return
            with suppress(queue.Empty):
                if self._stopped:
                    self._pieces.get_nowait()

    def _taken(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if self._stopped:
                break
            yield piece
        if self._stopped:
            raise InterruptedError("given up")


def _safely(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001
        failure = _safe(error)
    # Outside of the handler: as a context, the original would be in the log all the same.
    raise failure


def _safe(error: BaseException | None) -> OSError:
    """Say what happened without the words of `obstore`, which hold whole requests and answers."""
    words = str(error)
    status = re.search(r"status code: (\d{3})\b", words)
    code = re.search(r"<Code>\s*([A-Za-z0-9.]{1,60})\s*</Code>", words)
    number = status[1] if status else ""
    said = " ".join(filter(None, [number and f"HTTP {number}", code and code[1]]))
    if said:
        return OSError(_NUMBERS.get(number, errno.EIO), f"S3 refused: {said}")
    return OSError(errno.EIO, f"S3 cannot be used ({type(error).__name__ if error else 'the upload ended early'})")
