"""Files of this machine."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_provider_mendix.archive.stores.base import CHUNK, Stored

log = logging.getLogger(__name__)


class LocalStore:
    """Files; an unfinished one is beside its final name, because a rename is atomic only within a file system."""

    def find(self, path: str) -> Stored | None:
        try:
            found = Path(path).stat()
        except FileNotFoundError:
            return None
        return Stored(found.st_size, f"{found.st_ino} {found.st_mtime_ns}")

    def list(self, folder: str) -> dict[str, int]:
        return {str(path): path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()}

    def read(self, path: str) -> Iterator[bytes]:
        with Path(path).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def commit(self, path: str, chunks: Iterable[bytes]) -> None:
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.{uuid.uuid4().hex}.part")
        try:
            with temporary.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(final)
        finally:
            temporary.unlink(missing_ok=True)
        directory = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def put(self, path: str, content: bytes) -> None:
        self.commit(path, [content])

    def remove(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)

    def sweep(self, path: str) -> None:
        final = Path(path)
        ours = re.compile(rf"\.{re.escape(final.name)}\.[0-9a-f]{{32}}\.part")
        for found in final.parent.iterdir():
            if ours.fullmatch(found.name):
                log.info("Removing %s, which a killed run has left.", found)
                found.unlink(missing_ok=True)
