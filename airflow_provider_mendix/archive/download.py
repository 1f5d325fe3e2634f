"""The file of a package, read over as many connections and links as it takes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_mendix.archive.checksums import Checksum, whole_file
from airflow_provider_mendix.archive.stall_timeout import Patience
from airflow_provider_mendix.archive.stream_digest import StreamDigest
from airflow_provider_mendix.client.ranges import FileHead, Part, is_refusal
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import DownloadError, FileChangedError, MendixError

if TYPE_CHECKING:
    from airflow_provider_mendix.api.build import DownloadUrl
    from airflow_provider_mendix.client.download import Download
    from airflow_provider_mendix.hooks.mendix import MendixHook

_PROGRESS_EVERY = 64 * 1024 * 1024

log = logging.getLogger(__name__)


class _Link(msgspec.Struct, frozen=True):
    url: DownloadUrl
    good_until: float


class PackageFile:
    """One reading of the file of a package, from its first byte to its last.

    :param outage_tolerance: seconds without progress that are put up with.
    :ivar size: bytes that the host announced, if it did.
    :ivar checksums: of the whole file, by the host's word.
    :ivar tally: what has been read.
    """

    def __init__(self, hook: MendixHook, app_id: str, package_id: str, *, outage_tolerance: float) -> None:
        self.size: int | None = None
        self.checksums: list[Checksum] = []
        self.tally = StreamDigest()
        self._hook = hook
        self._app_id = app_id
        self._package_id = package_id
        self._patience = Patience(current_clock(), outage_tolerance)
        self._link: _Link | None = None
        self._etag: str | None = None
        self._gives_parts = True

    def read(self) -> Generator[bytes]:
        """Give all bytes, once.

        What was given stays valid when a line breaks or a link expires: the host is asked for the rest. Where it
        cannot give that, the file is read again, and what was given already is compared by its digest.

        :raises FileChangedError: if the file is not the same any more; nothing that was given is worth anything.
        :raises DownloadError: if the host gives nothing for too long.
        :raises MendixError: if Mendix gives no other link.
        """
        while True:
            part = (
                Part(self.tally.size, self._etag) if self.tally.size and self._etag and self._gives_parts else None
            )
            try:
                with self._open(part) as download:
                    self._meet(download.head)
                    for piece in self._rest(download):
                        self._add(piece)
                        yield piece
                return
            except FileChangedError:
                raise
            except MendixError as error:
                if part and error.status in (206, 416):
                    self._gives_parts = False
                elif isinstance(error, DownloadError) and is_refusal(error.status):
                    self._link = None
                self._patience.bear(error)

    @contextmanager
    def _open(self, part: Part | None) -> Iterator[Download]:
        clock = current_clock()
        if self._link is None or clock.now() >= self._link.good_until:
            asked_at = clock.now()
            _, url = self._hook.get_link(self._app_id, self._package_id)
            self._link = _Link(url, float("inf") if url.ttl is None else asked_at + url.ttl)
        with self._hook.open_link(self._link.url, part) as download:
            yield download

    def _meet(self, head: FileHead) -> None:
        if None not in (self.size, head.size) and self.size != head.size:
            raise FileChangedError(f"The file on the host had {self.size} bytes, and now has {head.size}.")
        self.size = self.size if head.size is None else head.size
        found = whole_file(head)
        self.tally.also(checksum.algorithm for checksum in found)
        self.checksums += [checksum for checksum in found if checksum not in self.checksums]

    def _rest(self, download: Download) -> Iterator[bytes]:
        """Leave out what has been read, if it comes again."""
        left = self.tally.size - download.head.first
        again = hashlib.sha256()
        if not left:
            self._etag = download.head.etag
        for piece in self._timed(iter(download)):
            known, new = piece[:left], piece[left:]
            if known:
                left -= len(known)
                again.update(known)
                if not left and again.hexdigest() != self.tally.sha256:
                    raise _changed()
                # Of a file whose beginning is not compared yet, nothing may be asked for.
                self._etag = self._etag if left else download.head.etag
            if new:
                self._patience.progressed(len(new))
                yield new
        if left:
            raise _changed()

    def _timed(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The time that the other end takes for a piece does not count."""
        clock = current_clock()
        while True:
            began = clock.now()
            piece = next(pieces, None)
            if piece is None:
                return
            self._patience.received(len(piece), clock.now() - began)
            yield piece

    def _add(self, piece: bytes) -> None:
        before = self.tally.size
        self.tally.add(piece)
        if self.tally.size // _PROGRESS_EVERY > before // _PROGRESS_EVERY:
            log.info("Read %s of %s bytes.", self.tally.size, self.size or "an unknown number of")


def _changed() -> FileChangedError:
    return FileChangedError("The file on the host is not the one any more whose beginning has been read.")
