"""Every other store, through its `fsspec` file system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from airflow_provider_mendix.archive.stores.base import CHUNK, Stored
from airflow_provider_mendix.exceptions import InvalidInputError

_BLOCK = 16 * CHUNK


class FsspecStore:
    """Objects of a file system."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def check(self, path: str) -> None:
        if self._fs.isdir(path):
            raise InvalidInputError(f"There cannot be a file {path}: it is a directory. Use another destination.")

    def find(self, path: str) -> Stored | None:
        self._fs.invalidate_cache()
        try:
            found = self._fs.info(path)
        except FileNotFoundError:
            return None
        if found["type"] != "file":
            return None
        return Stored(found["size"], repr(sorted((name, str(value)) for name, value in found.items())))

    def list(self, folder: str) -> dict[str, int]:
        self._fs.invalidate_cache()
        return {path: info["size"] for path, info in self._fs.find(folder, detail=True).items()}

    def read(self, path: str) -> Iterator[bytes]:
        with self._fs.open(path, "rb", block_size=_BLOCK) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def commit(self, path: str, chunks: Iterable[bytes]) -> None:
        """A plain ``with open()`` would commit even what an error cut off."""
        file = self._fs.open(path, "wb", autocommit=False, block_size=_BLOCK)
        try:
            for chunk in chunks:
                file.write(chunk)
            file.close()
            file.commit()
        except BaseException:
            with suppress(Exception):
                file.discard()
            # The file's own finaliser would flush what is left, and so commit it.
            file.closed = True
            raise

    def put(self, path: str, content: bytes) -> None:
        self._fs.pipe_file(path, content)

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def sweep(self, path: str) -> None:
        """Google and Azure drop unfinished uploads by themselves."""
