"""Revisions of a branch in one form, for both APIs that know repositories and for SVN and Git alike."""

from __future__ import annotations

from typing import Any

import msgspec
import pendulum

from airflow_provider_mendix.api import app_repository, inputs, team_server
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.exceptions import InvalidInputError, RevisionNotFoundError

GIT_HASH = 40
_SHORT_HASH = 8


class BranchRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A revision on a branch.

    :param app_id: subdomain of the app.
    :param branch: as the Build API requires it.
    :param revision: full hash of a Git commit, or number of an SVN revision.
    :param author: e-mail address.
    """

    app_id: str
    branch: str
    revision: str
    author: str | None = None
    date: pendulum.DateTime | None = None
    message: str | None = None
    mendix_version: str | None = None

    def summary(self) -> dict[str, Any]:
        """Return JSON values for XCom."""
        return {
            "app_id": self.app_id,
            "branch": self.branch,
            "revision": self.revision,
            "author": self.author,
            "date": self.date.isoformat() if self.date else None,
            "message": self.message,
            "mendix_version": self.mendix_version,
        }


class RepositoryBranch(msgspec.Struct, frozen=True, tag=True):
    """A branch as the App Repository API knows it.

    :param name: the spelling that its repository knows.
    """

    app_id: str
    project_id: str
    name: str

    @property
    def branch(self) -> str:
        """The name for the Build API."""
        return inputs.branch(self.name)

    def newest(self) -> Call[app_repository.Branch]:
        """Return the call whose response :meth:`read` reads."""
        return app_repository.get_branch(self.project_id, self.name)

    def read(self, response: app_repository.Branch) -> BranchRevision:
        """Return the newest revision in a response.

        :raises RevisionNotFoundError: if there is none.
        """
        if response.latest_commit is None:
            raise _no_revision(self.branch, self.app_id)
        return self.of(response.latest_commit)

    def of(self, commit: app_repository.Commit) -> BranchRevision:
        """Return a commit as a revision of this branch."""
        author = commit.author or app_repository.Author()
        return BranchRevision(
            app_id=self.app_id,
            branch=self.branch,
            revision=commit.id,
            author=author.email or author.name,
            date=commit.date,
            message=commit.message,
            mendix_version=commit.mendix_version,
        )


class TeamServerBranch(msgspec.Struct, frozen=True, tag=True):
    """A branch as the Team Server API knows it.

    :param name: the spelling that the Team Server API knows.
    """

    app_id: str
    name: str

    @property
    def branch(self) -> str:
        """The name for the Build API."""
        return inputs.branch(self.name)

    def newest(self) -> Call[list[team_server.Revision]]:
        """Return the call whose response :meth:`read` reads."""
        return team_server.list_revisions(self.app_id, self.name)

    def read(self, response: list[team_server.Revision]) -> BranchRevision:
        """Return the newest revision in a response, whose order is not documented.

        :raises RevisionNotFoundError: if there is none.
        """
        if not response:
            raise _no_revision(self.branch, self.app_id)
        return self.of(max(response, key=lambda revision: revision.number))

    def of(self, revision: team_server.Revision) -> BranchRevision:
        """Return a revision of the Team Server API as a revision of this branch."""
        return BranchRevision(
            app_id=self.app_id,
            branch=self.branch,
            revision=str(revision.number),
            author=revision.author,
            date=revision.date,
            message=revision.commit_message,
            mendix_version=revision.mendix_version,
        )


BranchSource = RepositoryBranch | TeamServerBranch


def is_revision(given: str, full: str) -> bool:
    """Return whether a given revision means a known one. A Git hash may be shortened, a number may not."""
    return given.lower() == full.lower() or (len(full) >= GIT_HASH and full.lower().startswith(given.lower()))


def is_shown_as(revision: str, shown: str) -> bool:
    """Return whether the fourth part of a package's version stands for a revision.

    Mendix shows the first 8 digits of a Git hash; a part of an SVN number would be another number.
    """
    revision, shown = revision.lower(), shown.lower()
    if revision.isdigit():
        return shown in (revision, revision[:_SHORT_HASH])
    return len(shown) >= _SHORT_HASH and (revision.startswith(shown) or shown.startswith(revision))


def is_number(revision: str) -> bool:
    """Return whether a revision is an SVN revision number: the hash of a Git commit may have digits only."""
    return revision.isdigit() and len(revision) < GIT_HASH


def is_newer(revision: str, than: str) -> bool:
    """Return whether the newest revision of a branch is newer than a known one.

    Git hashes have no order, so every hash other than the known one counts as newer.

    :raises InvalidInputError: if the known revision is a hash and the branch has numbers.
    """
    if is_number(revision):
        if not than.isdigit():
            raise InvalidInputError(f"{than!r} is a Git commit hash, but the app's revisions are SVN numbers.")
        return int(revision) > int(than)
    return not is_revision(than, revision)


def _no_revision(branch: str, app_id: str) -> RevisionNotFoundError:
    return RevisionNotFoundError(f"Branch {branch} of app {app_id} has no revision yet.")
