"""Conversations: lookups where the response to one call decides the next call.

Each function returns a :data:`.Conversation`, a generator of calls that does no I/O. ``MendixHook.run`` drives
one on a worker. A driver sends each call that the generator yields and sends the result in. If a call fails, the
driver throws the ``MendixError`` in, and the generator may handle it and yield another call.

``has_token`` says whether the connection has a personal access token, which the App Repository API requires.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from airflow_provider_mendix.api import app_repository, deploy, inputs, team_server
from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.api.call import Call, Conversation
from airflow_provider_mendix.api.revisions import (
    BranchRevision,
    BranchSource,
    RepositoryBranch,
    TeamServerBranch,
    is_revision,
)
from airflow_provider_mendix.exceptions import (
    AlreadyStartedError,
    AppNotFoundError,
    BranchNotFoundError,
    EnvironmentNotFoundError,
    InvalidInputError,
    InvalidRequestError,
    MendixError,
    NotFoundError,
    PackageNotFoundError,
    RevisionNotFoundError,
)

T = TypeVar("T")

MAX_COMMITS = 5000
"""How many commits of a branch are searched for a revision."""
_MAX_NAMES = 10

log = logging.getLogger(__name__)


class LocatedBranch(NamedTuple):
    """A branch, and the response that it was found by.

    :param response: what ``source.newest()`` returned.
    """

    source: BranchSource
    response: Any

    @property
    def newest(self) -> BranchRevision:
        """The newest revision of the branch.

        :raises RevisionNotFoundError: if nothing has been committed to it.
        """
        return self.source.read(self.response)


class EnvironmentIds(NamedTuple):
    """The UUIDs by which the Backups API knows an environment."""

    project_id: str
    environment_id: str


def project_id(app_id: str) -> Conversation[str]:
    """Return the UUID of an app's project.

    :raises AppNotFoundError: if Mendix names no UUID for the app.
    """
    app: deploy.App = yield deploy.get_app(app_id)
    if not app.project_id:
        raise AppNotFoundError(f"Mendix returned no ProjectId for app {app_id}.")
    return inputs.project_id(app.project_id)


def app_id(project_id: str) -> Conversation[str]:
    """Return the subdomain of the app that belongs to a project.

    :raises AppNotFoundError: if the user has access to no app of that project.
    """
    wanted = inputs.project_id(project_id)
    apps: list[deploy.App] = yield deploy.list_apps()
    for app in apps:
        if (app.project_id or "").lower() == wanted:
            return app.app_id
    raise AppNotFoundError(f"The user has access to no app of project {project_id}. {AppNotFoundError.advice}")


def describe_apps(apps: list[deploy.App]) -> str:
    """Return the sentence that names the apps of the user."""
    return f"The user has access to these apps: {_shorten(sorted(app.app_id for app in apps))}."


def environment(app_id: str, name: str) -> Conversation[deploy.Environment]:
    """Return one environment from the list of the app's environments.

    :raises EnvironmentNotFoundError: with the names of the existing environments.
    """
    wanted = inputs.environment(name)
    environments: list[deploy.Environment] = yield deploy.list_environments(app_id)
    for found in environments:
        if found.mode == wanted:
            return found
    names = [found.mode for found in environments]
    similar = [known for known in names if known.strip().casefold() == wanted.strip().casefold()]
    hint = f" Write {similar[0]!r}: upper case, lower case and blanks count." if similar else ""
    raise EnvironmentNotFoundError(
        f"App {app_id} has no environment {wanted!r} that the user has access to. Its environments:"
        f" {', '.join(map(repr, names)) or 'none'}.{hint}",
        code="ENVIRONMENT_NOT_FOUND",
    )


def start_environment(app_id: str, name: str, *, auto_sync_db: bool) -> Conversation[str | None]:
    """Start the app on an environment and return the id of the start job, if Mendix names one.

    :raises AlreadyStartedError: if the app already runs, also where Mendix calls that a success.
    """
    call = deploy.start_environment(app_id, name, auto_sync_db=auto_sync_db)
    started: deploy.StartedEnvironment = yield call
    if started.error_code:
        raise AlreadyStartedError(
            f"{AlreadyStartedError.summary}.", request=f"{call}: {started.error_code}", code=started.error_code
        )
    return started.job_id


def environment_ids(app_id: str, name: str) -> Conversation[EnvironmentIds]:
    """Return the UUIDs of an app's project and of one of its environments.

    :raises EnvironmentNotFoundError: with the names of the existing environments.
    """
    environment_id = (yield from environment(app_id, name)).environment_id
    if not environment_id:
        raise EnvironmentNotFoundError(
            f"Mendix returned no EnvironmentId for environment {name} of app {app_id}, so its backups cannot be"
            " requested."
        )
    return EnvironmentIds((yield from project_id(app_id)), environment_id)


def environment_package(app_id: str, name: str) -> Conversation[Package | None]:
    """Return the package on an environment; ``None`` if there is none."""
    try:
        package: Package = yield deploy.get_environment_package(app_id, name)
    except PackageNotFoundError:
        return None
    return package


def first_spelling(call_for: Callable[[str, str], Call[T]], app_id: str, branch: str) -> Conversation[T]:
    """Return the response of the first spelling of a branch that the Team Server API knows.

    :param call_for: makes the call of an app and a spelling.
    :raises BranchNotFoundError: the one of the likeliest spelling, if it knows none.
    """
    first, *others = inputs.spellings(inputs.branch(branch))
    found: T
    try:
        found = yield call_for(app_id, first)
    except BranchNotFoundError as error:
        missing = error
    else:
        return found
    for name in others:
        with suppress(BranchNotFoundError):
            found = yield call_for(app_id, name)
            return found
    raise missing


def locate_branch(app_id: str, branch: str, *, has_token: bool) -> Conversation[LocatedBranch]:
    """Find the API and the spelling by which a branch is known.

    The App Repository API is asked if there is a personal access token, the Team Server API otherwise.

    :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``.
    :raises BranchNotFoundError: with the names of the existing branches.
    :raises RetiredApiError: if there is no token, and Mendix does not serve the Team Server API.
    """
    app_id, branch = inputs.app_id(app_id), inputs.branch(branch)
    sources = yield from _sources(app_id, branch, has_token=has_token)
    for source in sources:
        try:
            return LocatedBranch(source, (yield source.newest()))
        except (NotFoundError, InvalidRequestError) as error:
            if not _is_about_the_branch(source, error):
                raise
    names = yield from _branch_names(sources[0])
    raise BranchNotFoundError(
        f"App {app_id} has no branch {branch!r}. Its branches: {_shorten(names)}.", code="BRANCH_NOT_FOUND"
    )


def latest_revision(app_id: str, branch: str, *, has_token: bool) -> Conversation[BranchRevision]:
    """Return the newest revision of a branch.

    :raises BranchNotFoundError: with the names of the existing branches.
    :raises RevisionNotFoundError: if nothing has been committed to it.
    """
    return (yield from locate_branch(app_id, branch, has_token=has_token)).newest


def find_revision(
    app_id: str, branch: str, revision: str | int, *, has_token: bool
) -> Conversation[BranchRevision]:
    """Return a revision that is on a branch; a short Git hash is returned in full length.

    :raises RevisionNotFoundError: if it is not among the revisions that can be read.
    :raises InvalidInputError: if a short hash fits more than one commit.
    """
    revision = inputs.revision(revision)
    source, response = yield from locate_branch(app_id, branch, has_token=has_token)
    if isinstance(source, TeamServerBranch):
        return _find_number(source, response, revision)
    newest: app_repository.Commit | None = response.latest_commit
    if newest and newest.id.lower() == revision.lower():
        return source.of(newest)
    return (yield from _find_commit(source, revision, newest.id if newest else "none"))


def _sources(app_id: str, branch: str, *, has_token: bool) -> Conversation[list[BranchSource]]:
    names = inputs.spellings(branch)
    if not has_token:
        log.info(
            "The connection has no personal access token: requesting revisions from the Team Server API, which"
            " Mendix has retired. Where it is served, it knows SVN apps only, and the newest %s revisions of a"
            " branch.",
            team_server.MAX_REVISIONS,
        )
        return [TeamServerBranch(app_id, name) for name in names]
    uuid = yield from project_id(app_id)
    return [RepositoryBranch(app_id, uuid, name) for name in names]


def _find_number(source: TeamServerBranch, seen: list[team_server.Revision], revision: str) -> BranchRevision:
    for found in seen:
        if str(found.number) == revision:
            return source.of(found)
    more = ", and the Team Server API returns no more" if len(seen) >= team_server.MAX_REVISIONS else ""
    newest = max((found.number for found in seen), default="none")
    raise _not_on_branch(source, revision, f"newest {len(seen)}{more}", newest)


def _find_commit(source: RepositoryBranch, revision: str, newest: str) -> Conversation[BranchRevision]:
    """Read up to the revision and one page further, where a short hash may fit a second commit."""
    matching: list[app_repository.Commit] = []
    last = MAX_COMMITS
    read = 0
    cursor: str | None = None
    while True:
        page: app_repository.Page[app_repository.Commit]
        page = yield app_repository.list_commits(source.project_id, source.name, cursor=cursor)
        for commit in page.items[: last - read]:
            read += 1
            if is_revision(revision, commit.id):
                matching.append(commit)
                last = min(last, read + app_repository.MAX_PAGE_SIZE)
        cursor = app_repository.next_cursor(page, cursor)
        if cursor is None or read >= last:
            break
    if len(matching) > 1:
        raise InvalidInputError(
            f"revision {revision!r} fits more than one commit of branch {source.branch}:"
            f" {_shorten([commit.id for commit in matching])}. Give more of its digits."
        )
    if not matching:
        raise _not_on_branch(source, revision, f"newest {read}", newest)
    return source.of(matching[0])


def _branch_names(source: BranchSource) -> Conversation[list[str]]:
    """Return the names of a repository's branches, or as many as a message shows."""
    if isinstance(source, TeamServerBranch):
        listed: list[team_server.Branch] = yield team_server.list_branches(source.app_id)
        return [branch.name for branch in listed]
    names: list[str] = []
    cursor: str | None = None
    while True:
        page: app_repository.Page[app_repository.Branch]
        page = yield app_repository.list_branches(source.project_id, cursor=cursor)
        names += [branch.name for branch in page.items]
        cursor = app_repository.next_cursor(page, cursor)
        if cursor is None or len(names) > _MAX_NAMES:
            return names


def _is_about_the_branch(source: BranchSource, error: MendixError) -> bool:
    """The App Repository API answers alike for a missing repository and for a missing branch."""
    return isinstance(source, RepositoryBranch) or isinstance(error, BranchNotFoundError)


def _shorten(names: Iterable[str]) -> str:
    all_names = list(names)
    more = ", …" if len(all_names) > _MAX_NAMES else ""
    return ", ".join(all_names[:_MAX_NAMES]) + more if all_names else "none"


def _not_on_branch(source: BranchSource, revision: str, searched: str, newest: str | int) -> RevisionNotFoundError:
    return RevisionNotFoundError(
        f"Revision {revision} is not on branch {source.branch} of app {source.app_id}: it is not among the"
        f" {searched}. The newest one is {newest}. Give a revision of the branch, or the branch of the revision;"
        " check_revision=False lets Mendix decide."
    )
