"""A multipart form with one file, streamed as the body of one request: of known length, read once.

Source: https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from airflow_provider_mendix.exceptions import DamagedFileError

_FIELD = "file"
_SEND_SIZE = 64 * 1024
"""Bytes that are sent at once: each of these sends has a timeout of its own."""


class FileForm:
    """The body of one request. Its length is known before its first byte is read, so nothing has to be kept.

    :param name: name of the file.
    :param size: bytes of the file.
    :param chunks: those bytes; they are read while they are sent.
    :ivar sent: bytes that were handed to the connection so far, the form's own included.
    :ivar is_sent: whether all of them were.
    :ivar failure: what the source of the chunks raised, if it did: the connection did not fail then.
    """

    def __init__(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        self._size = size
        self._chunks = chunks
        self._boundary = f"mendix-{uuid.uuid4().hex}"
        self._head = (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{_FIELD}"; filename="{_escape(name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()
        self.sent = 0
        self.is_sent = False
        self.failure: Exception | None = None

    @property
    def content_type(self) -> str:
        """Value of the header ``Content-Type``."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        for data in self._parts():
            yield data
            self.sent += len(data)
        self.is_sent = True

    def _parts(self) -> Iterator[bytes]:
        yield self._head
        left = self._size
        source = iter(self._chunks)
        while True:
            try:
                chunk = next(source, None)
                if left if chunk is None else len(chunk) > left:
                    raise DamagedFileError(f"The file is no longer {self._size} bytes long.")
            except Exception as error:
                self.failure = error
                raise
            if chunk is None:
                break
            left -= len(chunk)
            for start in range(0, len(chunk), _SEND_SIZE):
                yield chunk[start : start + _SEND_SIZE]
        yield self._tail


def _escape(name: str) -> str:
    """Escape a file name as browsers do."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
