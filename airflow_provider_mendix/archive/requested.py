"""Which archive of a snapshot a task has asked Mendix for, noted beside the object that is to be.

Mendix has no list of archives, and Airflow forgets what a try has noted when the next one begins.
"""

from __future__ import annotations

import msgspec

from airflow_provider_mendix.archive.manifest import MAX_SIZE
from airflow_provider_mendix.archive.stores.base import Store

SUFFIX = ".archive.json"


class RequestedArchive(msgspec.Struct, frozen=True):
    """An archive that Mendix was asked for."""

    environment_id: str
    snapshot_id: str
    data_type: str
    archive_id: str


class Note:
    """The note beside an object.

    :param path: of the object.
    """

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self._path = path + SUFFIX

    def read(self) -> RequestedArchive | None:
        """Return what is noted; ``None`` for nothing that can be read."""
        found = self._store.find(self._path)
        if found is None or found.size > MAX_SIZE:
            return None
        try:
            return msgspec.json.decode(b"".join(self._store.read(self._path)), type=RequestedArchive)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def write(self, requested: RequestedArchive) -> None:
        """Note an archive."""
        self._store.put(self._path, msgspec.json.encode(requested))

    def remove(self) -> None:
        """Forget it."""
        if self._store.find(self._path):
            self._store.remove(self._path)
