"""What a package says of itself: ``model/metadata.json``, which Mendix's own buildpack reads.

That each package has this file is known from other people's code only, so its absence is no failure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from airflow_provider_mendix.archive.zip_walk import MAX_METADATA


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """The app's project, as the package names it."""

    id: str | None = None
    name: str | None = None


class PackageMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a package says of itself."""

    runtime_version: str | None = None
    model_version: str | None = None
    java_version: str | None = None
    project: Project | None = None

    def contradicts(self, version: str | None) -> bool:
        """Return whether the package says that it is another version than Mendix says.

        Either may have three or four parts, and a revision in full length or abbreviated.
        """
        if not version or not self.model_version:
            return False
        ours, theirs = self.model_version.split("."), version.split(".")
        if ours[:3] != theirs[:3]:
            return True
        return any(
            not a.startswith(b) and not b.startswith(a) for a, b in zip(ours[3:4], theirs[3:4], strict=False)
        )


def read_metadata(content: bytes | None) -> PackageMetadata | None:
    """Return what ``model/metadata.json`` says; ``None`` if it is missing, or no object of JSON."""
    if content is None or len(content) >= MAX_METADATA:
        return None
    try:
        values = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    project = Project(id=_text(values, "ProjectID", "ProjectId"), name=_text(values, "ProjectName"))
    return PackageMetadata(
        runtime_version=_text(values, "RuntimeVersion"),
        model_version=_text(values, "ModelVersion"),
        java_version=_text(values, "JavaVersion"),
        project=project if project.id or project.name else None,
    )


def _text(values: dict[str, Any], *names: str) -> str | None:
    """Return the first of these values that is text or a number."""
    found = (values.get(name) for name in names)
    return next((str(value) for value in found if isinstance(value, str | int | float) and value != ""), None)
