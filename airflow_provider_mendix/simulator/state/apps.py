"""The apps."""

from __future__ import annotations

import re
import uuid

import msgspec

from airflow_provider_mendix.simulator.state.repositories import PREFIX, RepositoryType

_SUBDOMAIN = re.compile(r"[A-Za-z0-9-]+")


class InvalidAppError(ValueError):
    """An app cannot have this id."""


class App(msgspec.Struct, frozen=True, kw_only=True):
    """An app.

    :param repository: ``git`` or ``svn``; decides how its main line and its versions are written.
    :param free: a Free App, whose builds are deployed at once.
    """

    app_id: str
    name: str
    project_id: str
    repository: RepositoryType = "git"
    free: bool = False

    def version(self, version: str, revision: str) -> str:
        """Add the revision to a version, as its fourth part."""
        return f"{version}.{revision[:8] if self.repository == 'git' else revision}"

    def line(self, branch: str | None) -> str:
        """Return the name of a branch as it is in a package's name; no branch is the main line."""
        if self.repository == "svn" and branch in (None, "trunk"):
            return "Main line"
        return (branch or "main").removeprefix(PREFIX)


class Apps(dict[str, App]):
    """All apps, by subdomain."""

    def of_project(self, project_id: str) -> App | None:
        """Return the app with the UUID of a project."""
        wanted = project_id.lower()
        return next((app for app in self.values() if app.project_id.lower() == wanted), None)


def is_app_id(app_id: str) -> bool:
    """Return whether an app can have an id, which is a subdomain."""
    return bool(_SUBDOMAIN.fullmatch(app_id))


def default_project_id(app_id: str) -> str:
    """Return the same UUID for the same subdomain every time."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{app_id}.mendixcloud.com"))
