"""The checksum (CRC-32) of every file in a zip, checked while the zip passes by."""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing

from airflow_provider_mendix.exceptions import DamagedFileError, InvalidInputError, UnverifiableFileError

_LIBRARY = "stream_unzip"
_MOST_PENDING = 4 * 1024 * 1024


def require_library() -> None:
    """Check that deep verification is possible here.

    :raises InvalidInputError: if the library for it is not installed.
    """
    if importlib.util.find_spec(_LIBRARY) is None:
        raise InvalidInputError(
            "verify='deep' needs the library stream-unzip. Install airflow-provider-mendix[deep] on the workers,"
            " or leave out verify."
        )


class DeepCheck:
    """Lets a zip pass by, and checks each file in it.

    :ivar entries: how many files there have been.
    """

    def __init__(self) -> None:
        self.entries = 0
        self._pending: deque[bytes] = deque()

    def passing(self, pieces: Generator[bytes]) -> Generator[bytes]:
        """Give the same pieces.

        :raises DamagedFileError: if a file in the zip is not what its checksum says.
        :raises UnverifiableFileError: if the zip cannot be read from its beginning on.
        """
        import stream_unzip

        with closing(pieces):
            try:
                for _ in self._unpacked(pieces):
                    while self._pending:
                        yield self._pending.popleft()
            except (stream_unzip.UnsupportedFeatureError, stream_unzip.MissingPasswordError) as error:
                raise UnverifiableFileError(
                    f"verify='deep' cannot check this zip ({type(error).__name__}), which does not mean that it is"
                    " damaged. Leave out verify to archive it with the usual checks."
                ) from None
            except stream_unzip.UnzipError as error:
                raise DamagedFileError(
                    f"The file is damaged: {type(error).__name__} after {self.entries} of the files in it."
                ) from None
            yield from self._pending
            yield from pieces

    def _unpacked(self, pieces: Iterator[bytes]) -> Iterator[None]:
        from stream_unzip import stream_unzip

        for _, _, contents in stream_unzip(self._noted(pieces)):
            for _ in contents:
                yield
            self.entries += 1
            yield

    def _noted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The library reads what follows the last file to its end at once; it may do without most of it."""
        size = 0
        for piece in pieces:
            size = size + len(piece) if self._pending else len(piece)
            self._pending.append(piece)
            yield piece
            if size >= _MOST_PENDING:
                return
