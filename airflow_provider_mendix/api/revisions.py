"""The newest revision of a branch: one answer, whichever API knows the repository, and of whichever kind it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pendulum

from airflow_provider_mendix.api import app_repository, inputs, team_server
from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.exceptions import InvalidInputError, RevisionNotFoundError

_GIT_HASH = 40
_SHOWN_OF_A_HASH = 8


class BranchRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A revision on a branch.

    :param app_id: subdomain of the app.
    :param branch: as the Build API wants it.
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
        """Give it as JSON-plain values."""
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

    :param name: the spelling that its repository answers to.
    """

    app_id: str
    project_id: str
    name: str

    @property
    def branch(self) -> str:
        """Its name for the Build API."""
        return inputs.branch(self.name)

    def newest(self) -> Call[app_repository.Branch]:
        """What to ask."""
        return app_repository.get_branch(self.project_id, self.name)

    def read(self, answer: app_repository.Branch) -> BranchRevision:
        """Give the newest revision that an answer tells of."""
        if answer.latest_commit is None:
            raise _no_revision(self.branch, self.app_id)
        return self.of(answer.latest_commit)

    def of(self, commit: app_repository.Commit) -> BranchRevision:
        """Give a commit as a revision of this branch."""
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

    :param name: the spelling that the Team Server answers to.
    """

    app_id: str
    name: str

    @property
    def branch(self) -> str:
        """Its name for the Build API."""
        return inputs.branch(self.name)

    def newest(self) -> Call[list[team_server.Revision]]:
        """What to ask."""
        return team_server.list_revisions(self.app_id, self.name)

    def read(self, answer: list[team_server.Revision]) -> BranchRevision:
        """Give the newest revision that an answer tells of: its order is not documented."""
        if not answer:
            raise _no_revision(self.branch, self.app_id)
        return self.of(max(answer, key=lambda revision: revision.number))

    def of(self, revision: team_server.Revision) -> BranchRevision:
        """Give one of its revisions."""
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


def is_revision(asked: str, full: str) -> bool:
    """Tell whether what somebody wrote names a revision: a Git hash may be shortened, a number may not."""
    return asked.lower() == full.lower() or (len(full) >= _GIT_HASH and full.lower().startswith(asked.lower()))


def is_shown_as(revision: str, shown: str) -> bool:
    """Tell whether the fourth part of a package's version stands for a revision.

    Mendix shows the first 8 digits of a Git hash; a part of an SVN number is another number.
    """
    asked, shown = revision.lower(), shown.lower()
    if asked.isdigit():
        return shown in (asked, asked[:_SHOWN_OF_A_HASH])
    return len(shown) >= _SHOWN_OF_A_HASH and (asked.startswith(shown) or shown.startswith(asked))


def is_newer(revision: str, than: str) -> bool:
    """Tell whether the newest revision of a branch is newer than one that is known already.

    Git hashes have no order: whatever is not the known one came after it.

    :raises InvalidInputError: if the known one is a hash, and the branch has numbers.
    """
    if revision.isdigit() and len(revision) < _GIT_HASH:
        if not than.isdigit():
            raise InvalidInputError(f"{than!r} is a Git commit hash, but the app's revisions are SVN numbers.")
        return int(revision) > int(than)
    return not is_revision(than, revision)


def _no_revision(branch: str, app_id: str) -> RevisionNotFoundError:
    return RevisionNotFoundError(f"Branch {branch} of app {app_id} has no revision yet.")
