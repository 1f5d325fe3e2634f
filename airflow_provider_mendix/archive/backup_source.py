"""The archive of a snapshot as something to archive.

Mendix's page on backups says what the files are: a ``.tar.gz`` with the files and a dump of the database, or that
dump alone (the custom format of ``pg_dump``). A gzip file proves by its CRC-32 that it is whole. A dump does not.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.archive.beside import read_beside
from airflow_provider_mendix.archive.inflate import zlib
from airflow_provider_mendix.archive.manifest import BackupManifest
from airflow_provider_mendix.archive.verification import BackupVerification, damaged
from airflow_provider_mendix.exceptions import BackupFailedError, UnverifiableFileError

if TYPE_CHECKING:
    from airflow_provider_mendix.api.backups import Snapshot
    from airflow_provider_mendix.api.build import DownloadUrl
    from airflow_provider_mendix.archive.download import RemoteFile
    from airflow_provider_mendix.hooks.mendix import MendixHook

_GZIP = b"\x1f\x8b"
_DUMP = b"PGDM"
"""What a dump begins with, as far as it is kept of a stream."""

_MAX_UNPACKED = 256 * 1024
_WITH_GZIP_HEADER = 31


class BackupSource:
    """The archive of a snapshot.

    :param archive_id: needed to read the file, not to find out whether it is archived already.
    """

    manifest_type = BackupManifest
    expected_size = None

    def __init__(
        self,
        hook: MendixHook,
        app_id: str,
        environment: str,
        environment_id: str,
        snapshot: Snapshot,
        data_type: str,
        archive_id: str = "",
    ) -> None:
        self._hook = hook
        self.app_id = app_id
        self.environment = environment
        self.environment_id = environment_id
        self.snapshot = snapshot
        self.data_type = data_type
        self._archive_id = archive_id

    @property
    def description(self) -> str:
        """What it is, for messages."""
        return f"{self.data_type} of snapshot {self.snapshot.snapshot_id} of app {self.app_id}"

    def is_described_by(self, manifest: BackupManifest) -> bool:
        """Return whether a manifest is one of this snapshot, with the same data."""
        described = (manifest.environment_id, manifest.snapshot_id, manifest.data_type)
        return described == (self.environment_id, self.snapshot.snapshot_id, self.data_type)

    def new_link(self) -> DownloadUrl:
        """Return the signed link to the file, a new one if Mendix renews it.

        :raises BackupFailedError: if Mendix gives none.
        """
        found = self._hook.get_archive(self.app_id, self.environment, self.snapshot.snapshot_id, self._archive_id)
        if found.link is None:
            raise BackupFailedError(
                f"Archive {self._archive_id} ({self.description}) is {found.state}, and Mendix gives no link to"
                " it. Another try of the task asks for a new one if this one has failed."
            )
        return found.link

    def check(self) -> BackupCheck:
        """Begin the check of one reading."""
        return BackupCheck(self)


class BackupCheck:
    """The check of one reading of the archive of a snapshot."""

    def __init__(self, source: BackupSource) -> None:
        self._source = source
        self._is_whole_gzip = False

    def passing(self, chunks: Generator[bytes]) -> Generator[bytes]:
        """Yield the same chunks.

        :raises DamagedFileError: if the file begins as a gzip file and is none.
        """
        return read_beside(chunks, self._read)

    def finish(self, file: RemoteFile, described: dict[str, Any]) -> BackupManifest:
        """Check all of a file that has passed, and describe it.

        :raises UnverifiableFileError: if nothing says whether it is whole.
        """
        file.check_sums()
        if not self._is_whole_gzip:
            if file.digest.head.startswith(_GZIP):
                raise damaged("it is a gzip file without its end", file.describe())
            if file.digest.head != _DUMP:
                raise damaged("it is neither a gzip file nor a dump of a database", file.describe())
            if file.size is None and file.sha256_of_host is None:
                raise UnverifiableFileError(
                    "The file cannot be checked: it is a dump of a database, in which nothing says where it ends,"
                    " and the file host announced no length. Use data_type='files_and_database'."
                )
        source, snapshot = self._source, self._source.snapshot
        return BackupManifest(
            **described,
            snapshot_id=snapshot.snapshot_id,
            data_type=source.data_type,
            app_id=source.app_id,
            environment=source.environment,
            environment_id=source.environment_id,
            model_version=snapshot.model_version,
            comment=snapshot.comment,
            created_at=snapshot.created_at.isoformat() if snapshot.created_at else None,
            verification=BackupVerification(
                size_of_host=file.size is not None,
                sha256_of_host=file.sha256_of_host is not None,
                gzip_contents=self._is_whole_gzip,
            ),
        )

    def _read(self, chunks: Iterator[bytes]) -> None:
        """Inflate a gzip file, which may have several members, to its end."""
        head, members, inflater = b"", 0, None
        for chunk in chunks:
            head += chunk[: len(_GZIP) - len(head)]
            if not _GZIP.startswith(head):
                return
            left = chunk
            while left:
                inflater = inflater or zlib.decompressobj(_WITH_GZIP_HEADER)
                try:
                    while inflater.decompress(left, _MAX_UNPACKED) and not inflater.eof:
                        left = inflater.unconsumed_tail
                except zlib.error:  # type: ignore[misc]  # isal types its own as an object
                    raise damaged("it is a gzip file that cannot be unpacked") from None
                left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
                if inflater.eof:
                    inflater, members = None, members + 1
        self._is_whole_gzip = members > 0 and inflater is None
