"""The body of a file on its way from a file host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_mendix.client.ranges import FileHead
from airflow_provider_mendix.client.reasons import reason
from airflow_provider_mendix.exceptions import DownloadError

if TYPE_CHECKING:
    import requests

CHUNK_SIZE = 1024 * 1024


class Download:
    """The file of a package, or the rest of one, while it arrives.

    :ivar head: what the host said about it.
    """

    def __init__(self, response: requests.Response, head: FileHead) -> None:
        self._response = response
        self.head = head

    @property
    def size(self) -> int | None:
        """Bytes of the whole file, if the host announced them."""
        return self.head.size

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes as they are on the wire: about a mebibyte at a time, or what arrived in a second.

        :raises DownloadError: if the connection breaks, or the file ends before its announced size. All bytes
            that arrived before have been yielded.
        """
        import urllib3

        received = self.head.first
        broken = ""
        at_end = False
        while not at_end:
            parts: list[bytes] = []
            length, due = 0, time.monotonic() + 1
            while length < CHUNK_SIZE and (not parts or time.monotonic() < due):
                try:
                    part = self._response.raw.read1(CHUNK_SIZE, decode_content=False)
                except (urllib3.exceptions.HTTPError, OSError) as error:
                    broken, part = reason(error), b""
                if not part:
                    at_end = True
                    break
                parts.append(part)
                length += len(part)
            received += length
            if parts:
                yield b"".join(parts)
        if broken:
            raise DownloadError(
                f"The download broke off after {received} of {self.size or 'unknown'} bytes: {broken}."
            )
        if self.size is not None and received != self.size:
            raise DownloadError(f"The download ended after {received} of {self.size} bytes.")
