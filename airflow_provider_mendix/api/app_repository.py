"""Mendix App Repository API: the repository of an app, its branches and their commits.

It knows an app by its project's UUID, which Mendix calls App ID, and requires a personal access token.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/app-repository-api/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec
import pendulum

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host
from airflow_provider_mendix.exceptions import MalformedResponseError

T = TypeVar("T")

CREDENTIAL_TO_ADD = (
    "a personal access token with the scope mx:modelrepository:repo:read, from"
    " https://user-settings.mendix.com/link/developersettings"
)
"""Which token the API requires, and where to get it."""
APP_REPOSITORY_API = Api(
    name="App Repository API",
    host=Host.REPOSITORY,
    prefix="/v1",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/app-repository-api/",
    advice=(
        (400, "Check the branch, and that the project's UUID is the App ID that the app's Settings show."),
        (401, "Check the personal access token of the connection: Mendix does not know it, or it was revoked."),
        (
            403,
            "Check that the personal access token of the connection has the scope mx:modelrepository:repo:read,"
            " and that its owner is a member of the app's team.",
        ),
        (404, "Mendix does not say whether the repository or the branch is missing: check both."),
    ),
)
MAX_PAGE_SIZE = 100


class Repository(msgspec.Struct, frozen=True, rename="camel"):
    """The repository of an app.

    :param app_id: UUID of the project.
    :param type: ``svn`` or ``git``.
    """

    app_id: str
    type: str
    url: str | None = None


class Author(msgspec.Struct, frozen=True):
    """The author of a commit. With SVN, the name is the e-mail address."""

    name: str | None = None
    email: str | None = None


class Story(msgspec.Struct, frozen=True):
    """A user story that a commit belongs to."""

    id: str


class Commit(msgspec.Struct, frozen=True, rename="camel"):
    """A commit.

    :param id: full hash of a Git commit, or number of an SVN revision.
    :param mendix_version: may have a fourth part, the build number.
    """

    id: str
    author: Author | None = None
    date: pendulum.DateTime | None = None
    message: str | None = None
    mendix_version: str | None = None
    related_stories: tuple[Story, ...] | None = None


class Branch(msgspec.Struct, frozen=True, rename="camel"):
    """A branch and its newest commit."""

    name: str
    latest_commit: Commit | None = None


class Cursors(msgspec.Struct, frozen=True):
    """The cursors of the other pages; the last page has no ``next``."""

    first: str | None = None
    prev: str | None = None
    next: str | None = None
    last: str | None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list."""

    items: list[T]
    cursors: Cursors = Cursors()


GET_REPOSITORY = Endpoint[Repository](
    APP_REPOSITORY_API, "GET", "/repositories/{project_id}/info", returns=Repository, repeatable=True
)
LIST_BRANCHES = Endpoint[Page[Branch]](
    APP_REPOSITORY_API, "GET", "/repositories/{project_id}/branches", returns=Page[Branch], repeatable=True
)
GET_BRANCH = Endpoint[Branch](
    APP_REPOSITORY_API, "GET", "/repositories/{project_id}/branches/{branch}", returns=Branch, repeatable=True
)
LIST_COMMITS = Endpoint[Page[Commit]](
    APP_REPOSITORY_API,
    "GET",
    "/repositories/{project_id}/branches/{branch}/commits",
    returns=Page[Commit],
    repeatable=True,
)


def get_repository(project_id: str) -> Call[Repository]:
    """Return the call for the type and the URL of an app's repository."""
    return GET_REPOSITORY.call({"project_id": inputs.project_id(project_id)})


def list_branches(project_id: str, *, cursor: str | None = None, limit: int = MAX_PAGE_SIZE) -> Call[Page[Branch]]:
    """Return the call for one page of the branches."""
    return LIST_BRANCHES.call({"project_id": inputs.project_id(project_id)}, query=_page(cursor, limit))


def get_branch(project_id: str, branch: str) -> Call[Branch]:
    """Return the call for one branch.

    :param branch: as the repository spells it; see :func:`airflow_provider_mendix.api.inputs.spellings`.
    """
    return GET_BRANCH.call({"project_id": inputs.project_id(project_id), "branch": inputs.spelled_branch(branch)})


def list_commits(
    project_id: str, branch: str, *, cursor: str | None = None, limit: int = MAX_PAGE_SIZE
) -> Call[Page[Commit]]:
    """Return the call for one page of the commits of a branch, newest first.

    :param branch: as the repository spells it.
    """
    segments = {"project_id": inputs.project_id(project_id), "branch": inputs.spelled_branch(branch)}
    return LIST_COMMITS.call(segments, query=_page(cursor, limit))


def next_cursor(page: Page[Any], cursor: str | None) -> str | None:
    """Return the cursor of the page after this one; ``None`` after the last page.

    :param cursor: the cursor that this page was requested with.
    :raises MalformedResponseError: if it is the same cursor again, which would never end.
    """
    if cursor is not None and page.cursors.next == cursor:
        raise MalformedResponseError("Mendix returned the cursor of the page that it just sent.")
    return page.cursors.next


def pages(send: Callable[[Call[Any]], Any], call_for: Callable[..., Call[Page[T]]]) -> Iterator[T]:
    """Yield the items of all pages of a list; each further page is requested when it is needed.

    :param call_for: makes the call for the page at a ``cursor``.
    """
    cursor: str | None = None
    while True:
        page: Page[T] = send(call_for(cursor=cursor))
        yield from page.items
        cursor = next_cursor(page, cursor)
        if cursor is None:
            return


def _page(cursor: str | None, limit: int) -> dict[str, str]:
    return {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
