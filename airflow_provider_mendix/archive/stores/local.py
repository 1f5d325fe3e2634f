"""Files of this machine."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_provider_mendix.archive.stores.base import CHUNK, LONGEST_SUFFIX, Stored
from airflow_provider_mendix.exceptions import InvalidInputError

log = logging.getLogger(__name__)


class LocalStore:
    """Files; an unfinished one is beside its final name, because a rename is atomic only within a file system."""

    def check(self, path: str) -> None:
        final = Path(path)
        folder = next(parent for parent in final.parents if os.path.exists(parent))
        if not os.path.isdir(folder) or os.path.isdir(final):
            in_the_way = f"{final} is a directory" if os.path.isdir(final) else f"{folder} is not a directory"
            raise InvalidInputError(f"There cannot be a file {final}: {in_the_way}. Use another destination.")
        names = [*final.parts, self._unfinished(final, LONGEST_SUFFIX).name]
        too_much = max(len(os.fsencode(name)) for name in names) - os.pathconf(folder, "PC_NAME_MAX")
        if too_much > 0:
            raise InvalidInputError(
                f"A name in {final} is too long by {too_much} bytes: the manifest, and both files while they are"
                " written, have longer names than the object. Use a shorter destination."
            )

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
        temporary = self._unfinished(final)
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

    def _unfinished(self, final: Path, suffix: str = "") -> Path:
        return Path(f"{final.parent}/.{final.name}{suffix}.{uuid.uuid4().hex}.part")

    def sweep(self, path: str) -> None:
        final = Path(path)
        ours = re.compile(rf"\.{re.escape(final.name)}\.[0-9a-f]{{32}}\.part")
        for found in final.parent.iterdir():
            if ours.fullmatch(found.name):
                log.info("Removing %s, which a killed run has left.", found)
                found.unlink(missing_ok=True)
