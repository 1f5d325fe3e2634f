"""A form with one file, as it goes over the wire: of known length, read once and piece by piece.

Source: https://www.rfc-editor.org/rfc/rfc7578
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from airflow_provider_mendix.exceptions import DamagedFileError

_FIELD = "file"
_STEP = 64 * 1024
"""Bytes that are sent at once: each of them has a time limit of its own."""


class FileForm:
    """The body of one request. Its length is known before its first byte is read, so nothing has to be kept.

    :param name: name of the file.
    :param size: bytes of the file.
    :param pieces: those bytes; they are asked for when there is room for them on the line.
    :ivar sent: bytes that were handed over so far, the form's own included.
    :ivar is_sent: whether all of them were.
    :ivar failure: what the source of the pieces raised, if it did: that is no failure of the line.
    """

    def __init__(self, name: str, size: int, pieces: Iterable[bytes]) -> None:
        self._size = size
        self._pieces = pieces
        self._boundary = f"mendix-{uuid.uuid4().hex}"
        self._head = (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{_FIELD}"; filename="{_escaped(name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()
        self.sent = 0
        self.is_sent = False
        self.failure: Exception | None = None

    @property
    def content_type(self) -> str:
        """What the header ``Content-Type`` has to say."""
        return f"multipart/form-data; boundary={self._boundary}"

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        for step in self._steps():
            yield step
            self.sent += len(step)
        self.is_sent = True

    def _steps(self) -> Iterator[bytes]:
        yield self._head
        left = self._size
        source = iter(self._pieces)
        while True:
            try:
                piece = next(source, None)
                if left if piece is None else len(piece) > left:
                    raise DamagedFileError(f"The file has not the {self._size} bytes any more that it had.")
            except Exception as error:
                self.failure = error
                raise
            if piece is None:
                break
            left -= len(piece)
            for start in range(0, len(piece), _STEP):
                yield piece[start : start + _STEP]
        yield self._tail


def _escaped(name: str) -> str:
    """As browsers do it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
