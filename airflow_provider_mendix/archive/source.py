"""What can be archived: a file behind a signed link, how it is checked and how it is described."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow_provider_mendix.api.build import DownloadUrl
    from airflow_provider_mendix.archive.download import RemoteFile
    from airflow_provider_mendix.archive.manifest import ObjectManifest


class Check(Protocol):
    """The check of one reading of a file."""

    def passing(self, chunks: Generator[bytes]) -> Generator[bytes]:
        """Yield the same chunks.

        :raises DamagedFileError: if what has passed is not right.
        """

    def finish(self, file: RemoteFile, described: dict[str, Any]) -> ObjectManifest:
        """Check all of a file that has passed, and describe it.

        :param described: what every manifest says.
        :raises DamagedFileError: if it is not right.
        """


class Source(Protocol):
    """A file of Mendix's that can be archived.

    :ivar description: what it is, for messages.
    :ivar expected_size: bytes according to Mendix.
    """

    @property
    def manifest_type(self) -> type[ObjectManifest]: ...

    @property
    def description(self) -> str: ...

    @property
    def expected_size(self) -> float | None: ...

    def is_described_by(self, manifest: Any) -> bool:
        """Return whether a manifest of its type is one of this file."""

    def new_link(self) -> DownloadUrl:
        """Return a new signed link to the file."""

    def check(self) -> Check:
        """Begin the check of one reading."""
