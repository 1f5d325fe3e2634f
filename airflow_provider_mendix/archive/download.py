"""A file on the file host, read over as many connections and links as it takes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_mendix.archive.stall_timeout import StallTimeout
from airflow_provider_mendix.archive.stream_digest import StreamDigest
from airflow_provider_mendix.archive.verification import damaged
from airflow_provider_mendix.client.ranges import FileHead, Part, is_refusal
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import DownloadError, FileChangedError, MendixError

if TYPE_CHECKING:
    from airflow_provider_mendix.api.build import DownloadUrl
    from airflow_provider_mendix.client.download import Download
    from airflow_provider_mendix.hooks.mendix import MendixHook

_LOG_EVERY = 64 * 1024 * 1024

log = logging.getLogger(__name__)


class _Link(msgspec.Struct, frozen=True):
    url: DownloadUrl
    expires_at: float


class RemoteFile:
    """One reading of a file, from its first byte to its last.

    :param new_link: asks Mendix for a new signed link.
    :param expected_size: bytes according to Mendix; without a usable number, the end of a connection is the end.
    :param outage_tolerance: how long the download may make no progress before it gives up, in seconds.
    :ivar size: bytes that the host announced, if it did.
    :ivar size_of_mendix: bytes according to Mendix, if that is usable.
    :ivar sha256_of_host: the SHA-256 of the whole file in hexadecimal, if the host sent one.
    :ivar digest: what has been read.
    """

    def __init__(
        self,
        hook: MendixHook,
        new_link: Callable[[], DownloadUrl],
        *,
        expected_size: float | None,
        outage_tolerance: float,
    ) -> None:
        self.size: int | None = None
        self.sha256_of_host: str | None = None
        self.digest = StreamDigest()
        self._hook = hook
        self._new_link = new_link
        self._stall_timeout = StallTimeout(current_clock(), outage_tolerance)
        self._link: _Link | None = None
        self._etag: str | None = None
        self.size_of_mendix = expected_size if isinstance(expected_size, int) else None
        self._kind = ""

    def describe(self) -> str:
        """Return what the host sent, for a message: it may be a login page instead."""
        return f"The file host sent {self.digest.size} bytes ({self._kind or 'no Content-Type'})."

    def check_sums(self) -> None:
        """Check the size and the SHA-256 of a file that was read, as far as they are known.

        :raises DamagedFileError: if one is not right.
        """
        size = self.digest.size
        if self.size is not None and size != self.size:
            raise damaged(f"the file host announced {self.size} bytes, but {size} arrived")
        if self.size_of_mendix is not None and size != self.size_of_mendix:
            raise damaged(f"Mendix says that it has {self.size_of_mendix} bytes, but {size} arrived")
        if self.sha256_of_host is not None and self.digest.sha256 != self.sha256_of_host:
            raise damaged("its SHA-256 is not the one that the file host sent (x-amz-checksum-sha256)")

    def read(self) -> Generator[bytes]:
        """Yield all bytes, once.

        What was yielded stays valid when a connection breaks or a link expires: the host is asked for the rest.
        Where it cannot send the rest, the file is read again, and what was yielded before is compared by its
        digest and left out.

        :raises FileChangedError: if the file is no longer the same; nothing that was yielded can be used.
        :raises DownloadError: if the download makes no progress for too long.
        :raises MendixError: if Mendix gives no new link.
        """
        part_refused = False
        while True:
            can_resume = self.digest.size and not part_refused
            part = Part(self.digest.size, self._etag) if can_resume and self._etag else None
            try:
                with self._open(part) as download:
                    self._check_head(download.head)
                    for chunk in self._new_chunks(download):
                        self._record(chunk)
                        yield chunk
                self._check_end()
                return
            except FileChangedError:
                raise
            except MendixError as error:
                # Once: the next break is worth asking for a part again.
                part_refused = part is not None and error.status in (206, 416)
                if not part_refused and isinstance(error, DownloadError) and is_refusal(error.status):
                    self._link = None
                self._stall_timeout.retry_or_raise(error)

    @contextmanager
    def _open(self, part: Part | None) -> Iterator[Download]:
        clock = current_clock()
        if self._link is None or clock.now() >= self._link.expires_at:
            asked_at = clock.now()
            url = self._new_link()
            self._link = _Link(url, float("inf") if url.ttl is None else asked_at + url.ttl)
        with self._hook.open_link(self._link.url, part) as download:
            yield download

    def _check_head(self, head: FileHead) -> None:
        if None not in (self.size, head.size) and self.size != head.size:
            raise FileChangedError(f"The file on the host had {self.size} bytes, and now has {head.size}.")
        self.size = self.size if head.size is None else head.size
        self.sha256_of_host = self.sha256_of_host or _sha256_of_host(head)
        self._kind = self._kind or ", ".join(
            f"{name.title()} {head.headers[name]}"
            for name in ("content-type", "content-encoding")
            if name in head.headers
        )

    def _check_end(self) -> None:
        """Without an announced length, a connection that breaks looks like one that ends."""
        if self.size is None and self.digest.size < (self.size_of_mendix or 0):
            raise DownloadError(
                f"The connection ended after {self.digest.size} of {self.size_of_mendix} bytes without saying that"
                " this was all."
            )

    def _new_chunks(self, download: Download) -> Iterator[bytes]:
        """Leave out what was read before, if it comes again."""
        left = self.digest.size - download.head.first
        again = hashlib.sha256()
        if not left:
            self._etag = download.head.etag
        for chunk in self._timed(iter(download)):
            known, new = chunk[:left], chunk[left:]
            if known:
                left -= len(known)
                again.update(known)
                if not left and again.hexdigest() != self.digest.sha256:
                    raise _changed()
                # No part of a file can be asked for until its beginning was compared.
                self._etag = self._etag if left else download.head.etag
            if new:
                self._stall_timeout.record_progress(len(new))
                yield new
        if left:
            raise _changed()

    def _timed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Count only the time that the host takes for a chunk, not that of the store."""
        clock = current_clock()
        while True:
            began = clock.now()
            chunk = next(chunks, None)
            if chunk is None:
                return
            self._stall_timeout.record(len(chunk), clock.now() - began)
            yield chunk

    def _record(self, chunk: bytes) -> None:
        before = self.digest.size
        self.digest.add(chunk)
        if self.digest.size // _LOG_EVERY > before // _LOG_EVERY:
            log.info("Read %s of %s bytes.", self.digest.size, self.size or "an unknown number of")


def _sha256_of_host(head: FileHead) -> str | None:
    """Return the checksum that S3 can send with a whole file.

    With a part comes the checksum of that part, and a composite one (``…-3``) is one of checksums of parts.
    """
    is_composite = head.headers.get("x-amz-checksum-type", "").strip().upper() == "COMPOSITE"
    if head.is_part or is_composite:
        return None
    try:
        digest = base64.b64decode(head.headers.get("x-amz-checksum-sha256", "").strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == hashlib.sha256().digest_size else None


def _changed() -> FileChangedError:
    return FileChangedError("The file on the host is no longer the one whose beginning was read.")
