"""Where a branch is, and what is on it: the calls that it takes to find out, in the order that makes sense."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow_provider_mendix.api import app_repository, inputs, team_server
from airflow_provider_mendix.api.core import Call
from airflow_provider_mendix.api.revisions import (
    BranchRevision,
    BranchSource,
    RepositoryBranch,
    TeamServerBranch,
    is_revision,
)
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    BranchNotFoundError,
    InvalidInputError,
    InvalidRequestError,
    MalformedResponseError,
    NotFoundError,
    RevisionNotFoundError,
)

if TYPE_CHECKING:
    from airflow_provider_mendix.hooks.mendix import MendixHook

T = TypeVar("T")

MOST_COMMITS = 5000
"""How far back a revision is looked for."""
_MOST_NAMES = 10

log = logging.getLogger(__name__)


class Located(NamedTuple):
    """A branch, and what was said of it when it was found."""

    source: BranchSource
    answer: Any


def locate(hook: MendixHook, app_id: str, branch: str) -> Located:
    """Find a branch, by whichever of its names the repository knows it.

    The App Repository API is asked if the connection has a personal access token, the Team Server API otherwise.

    :param branch: as :func:`airflow_provider_mendix.api.inputs.branch` gives it.
    :raises BranchNotFoundError: with the names of the branches that there are.
    """
    sources = _sources(hook, app_id, branch)
    for source in sources:
        try:
            newest: Call[Any] = source.newest()
            return Located(source, hook.send(newest))
        except AppNotFoundError as error:
            raise _not_served(error) from error
        except (NotFoundError, InvalidRequestError) as error:
            if not _is_about_the_branch(source, error):
                raise
    raise BranchNotFoundError(
        f"App {app_id} has no branch {branch!r}. Its branches: {_names(hook, sources[0])}.",
        code="BRANCH_NOT_FOUND",
    )


def find(hook: MendixHook, app_id: str, branch: str, revision: str) -> BranchRevision:
    """Find a revision on a branch; a short Git hash comes back in full length.

    :raises RevisionNotFoundError: if it is not on the branch, or too far back to be seen.
    :raises InvalidInputError: if a short hash names more than one commit.
    """
    source, answer = locate(hook, app_id, branch)
    if isinstance(source, TeamServerBranch):
        return _find_number(source, answer, revision)
    newest: app_repository.Commit | None = answer.latest_commit
    if newest and newest.id.lower() == revision.lower():
        return source.of(newest)
    return _find_commit(source, hook.list_commits(source.project_id, source.name), revision)


def pages(
    send: Callable[[Call[app_repository.Page[T]]], app_repository.Page[T]],
    ask: Callable[[str | None], Call[app_repository.Page[T]]],
) -> Iterator[T]:
    """Go through the items of all pages; the next page is asked for when it is needed."""
    cursor: str | None = None
    while True:
        page = send(ask(cursor))
        yield from page.items
        if page.cursors.next is None:
            return
        if page.cursors.next == cursor:
            raise MalformedResponseError(
                "The App Repository API gave the cursor of the page that it had just sent."
            )
        cursor = page.cursors.next


def _find_number(source: TeamServerBranch, seen: list[team_server.Revision], revision: str) -> BranchRevision:
    for found in seen:
        if str(found.number) == revision:
            return source.of(found)
    more = ", and the Team Server shows no more" if len(seen) >= team_server.MOST_REVISIONS else ""
    raise _not_found(source, revision, f"newest {len(seen)}{more}")


def _find_commit(
    source: RepositoryBranch, commits: Iterator[app_repository.Commit], revision: str
) -> BranchRevision:
    """Read as far as the revision and a page further, where a short hash may fit once more."""
    fitting: list[app_repository.Commit] = []
    last = MOST_COMMITS
    read = 0
    for read, commit in enumerate(islice(commits, MOST_COMMITS), start=1):
        if is_revision(revision, commit.id):
            fitting.append(commit)
            last = min(last, read + app_repository.LARGEST_PAGE)
        if read >= last:
            break
    if len(fitting) > 1:
        raise InvalidInputError(
            f"revision {revision!r} is short for more than one commit of branch {source.branch}:"
            f" {_some(commit.id for commit in fitting)}. Give more of its digits."
        )
    if not fitting:
        raise _not_found(source, revision, f"newest {read}")
    return source.of(fitting[0])


def _is_about_the_branch(source: BranchSource, error: Exception) -> bool:
    """The App Repository API answers alike for a repository and for a branch that it does not know."""
    return isinstance(source, RepositoryBranch) or isinstance(error, BranchNotFoundError)


def _sources(hook: MendixHook, app_id: str, branch: str) -> list[BranchSource]:
    if hook.get_conn().account.personal_access_token:
        project_id = hook.project_id(app_id)
        return [RepositoryBranch(app_id, project_id, name) for name in inputs.spellings(branch)]
    _tell_deprecated(hook.mendix_conn_id)
    return [TeamServerBranch(app_id, name) for name in inputs.spellings(branch)]


def _names(hook: MendixHook, source: BranchSource) -> str:
    if isinstance(source, RepositoryBranch):
        return _some(branch.name for branch in hook.list_repository_branches(source.project_id))
    return _some(branch.name for branch in hook.list_branches(source.app_id))


def _some(names: Iterable[str]) -> str:
    shown = list(islice(names, _MOST_NAMES + 1))
    more = ", …" if len(shown) > _MOST_NAMES else ""
    return ", ".join(shown[:_MOST_NAMES]) + more if shown else "none"


def _not_found(source: BranchSource, revision: str, among: str) -> RevisionNotFoundError:
    return RevisionNotFoundError(
        f"Revision {revision} is not on branch {source.branch} of app {source.app_id}: it is not among the"
        f" {among}. Mendix might build it all the same; check_revision=False lets it."
    )


def _not_served(error: AppNotFoundError) -> AppNotFoundError:
    return error.with_hint(
        "The Team Server API serves licensed SVN apps only: for a Git app, the connection needs a personal access"
        " token."
    )


@functools.cache
def _tell_deprecated(mendix_conn_id: str) -> None:
    log.info(
        "Connection %s has no personal access token, so the Team Server API is asked, which Mendix has deprecated:"
        " it serves SVN apps only, and their newest %s revisions.",
        mendix_conn_id,
        team_server.MOST_REVISIONS,
    )
