"""What one task run wants built, and which packages are its own."""

from __future__ import annotations

import msgspec

from airflow_provider_mendix.api.build import Package, PackageStatus, split_version
from airflow_provider_mendix.api.revisions import is_shown_as
from airflow_provider_mendix.builds.marker import Marker, Owner


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """What one task run wants built, the same for all its tries.

    :param app_id: subdomain of the app.
    :param revision: ``None`` for the newest when the build starts.
    :param version: ``None`` for the next when the build starts.
    :param description: the author's text, without the marker.
    :param retry_failed_build: whether a retry starts a new build after one that has failed.
    """

    app_id: str
    revision: str | None
    version: str | None
    branch: str | None
    description: str
    owner: Owner
    retry_failed_build: bool = False

    def marked_description(self) -> str:
        """Return the description to send."""
        return self.owner.mark(self.description)

    def owns(self, package: Package) -> bool:
        """Return whether a package was started for this intent, by its marker."""
        return self.owner.owns(package.description, package.creation_date)

    def left_behind(self, package: Package) -> bool:
        """Return whether a package was started by this task before it was cleared."""
        found = Marker.of(package.description)
        return found is not None and found.digest == self.owner.marker.digest and not self.owns(package)

    def resembles(self, package: Package) -> bool:
        """Return whether a package whose marker Mendix cut off or dropped is probably this intent's."""
        if self.revision is None and self.version is None:
            return False  # Nothing is left to recognise it by.
        version, revision = split_version(package.version)
        kept = (package.description or "").rstrip()
        # This much is the same in every try; the rest of the marker names the try.
        expected = self.marked_description().rpartition(" try ")[0]
        return (
            Marker.of(package.description) is None
            and (expected.startswith(kept) or kept.startswith(expected))
            and self.version in (None, version)
            and (self.revision is None or is_shown_as(self.revision, revision))
            and not self.owner.is_older(package.creation_date)
        )

    def is_replaced(self, package: Package) -> bool:
        """Return whether a package is a failed build that this try replaces.

        It replaces the build of an earlier try only if failed builds are to be retried, and the build from before
        a Clear in any case.
        """
        if not self.owner.is_replaced(package.description, has_failed=package.status == PackageStatus.FAILED):
            return False
        found = Marker.of(package.description)
        return self.retry_failed_build or found is None or found.last_try != self.owner.marker.last_try

    def has_failed_before(self, package: Package) -> bool:
        """Return whether a package is a failed build of an earlier try that this try does not replace."""
        has_failed = package.status == PackageStatus.FAILED
        return self.owner.is_replaced(package.description, has_failed=has_failed) and not self.is_replaced(package)

    def is_of_previous_try(self, package: Package) -> bool:
        """Return whether a package is the one that the previous try has started."""
        found = Marker.of(package.description)
        return found is not None and found.try_number == self.owner.marker.try_number - 1
