"""The App Repository API: repositories, branches and commits by a project's UUID.

The messages are our own. Of the codes only `RS400` is documented; `RS401`, `RS403` and `RS404` are inferred from
it. That a branch without a Mendix version or stories leaves these keys out is how "if available" is read here.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_mendix.api import app_repository
from airflow_provider_mendix.simulator.apis.routes import Reply, Request, json_reply, serves
from airflow_provider_mendix.simulator.state.packages import App
from airflow_provider_mendix.simulator.state.permissions import REPOSITORY_JSON, repository_refusal
from airflow_provider_mendix.simulator.state.repositories import PREFIX, Commit, Repository, is_impossible

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.options import Options
    from airflow_provider_mendix.simulator.state.platform import Platform

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_URLS = {"git": "https://git.api.mendix.com/{}.git", "svn": "https://teamserver.sprintr.com/{}/"}
_USUAL_PAGE = 20
_LARGEST_PAGE = 100


@serves(app_repository.GET_REPOSITORY)
def get_repository(platform: Platform, request: Request, project_id: str) -> Reply:
    app = _find_app(platform, project_id)
    url = _URLS[app.repository].format(app.project_id)
    return _json({"appId": app.project_id, "type": app.repository, "url": url})


@serves(app_repository.LIST_BRANCHES)
def list_repository_branches(platform: Platform, request: Request, project_id: str) -> Reply:
    branches = _branches(platform, _find_app(platform, project_id))
    page, cursors = _page(platform.options, request, [project_id], list(branches))
    return _json({"items": [_shown_branch(name, branches[name]) for name in page], "cursors": cursors})


@serves(app_repository.GET_BRANCH)
def get_repository_branch(platform: Platform, request: Request, project_id: str, branch: str) -> Reply:
    return _json(_shown_branch(branch, _find_branch(platform, project_id, branch)))


@serves(app_repository.LIST_COMMITS)
def list_commits(platform: Platform, request: Request, project_id: str, branch: str) -> Reply:
    commits = {commit.id: commit for commit in reversed(_find_branch(platform, project_id, branch))}
    page, cursors = _page(platform.options, request, [project_id, branch], list(commits))
    return _json({"items": [_shown_commit(commits[number]) for number in page], "cursors": cursors})


def _find_app(platform: Platform, project_id: str) -> App:
    if not _UUID.fullmatch(project_id):
        raise repository_refusal(400, f"{project_id!r} is not the App ID of an app: that is a UUID.")
    app = platform.app_of(project_id)
    if app is None:
        raise repository_refusal(404, f"There is no repository of an app {project_id}.")
    return app


def _find_branch(platform: Platform, project_id: str, branch: str) -> Sequence[Commit]:
    if _UUID.fullmatch(project_id) and is_impossible(branch):
        raise repository_refusal(400, f"No branch can be called {branch!r}.")
    branches = _branches(platform, _find_app(platform, project_id))
    if branch not in branches:
        raise repository_refusal(404, f"The repository has no branch {branch!r}.")
    return branches[branch]


def _branches(platform: Platform, app: App) -> dict[str, Sequence[Commit]]:
    """Give the branches by the names that this API has for them."""
    repository = platform.repositories[app.app_id]
    return {_spelled(platform.options, repository, name): commits for name, commits in repository.branches.items()}


def _spelled(options: Options, repository: Repository, name: str) -> str:
    is_bare = repository.type == "git" and options.git_branch_names == "bare"
    return name if is_bare or name == repository.main_line else PREFIX + name


def _page(
    options: Options, request: Request, of: Sequence[str], keys: Sequence[str]
) -> tuple[Sequence[str], dict[str, str]]:
    """Give the keys of the page that was asked for, and its cursors.

    A cursor names what its page begins with, so that what is pushed meanwhile moves nothing from one page to
    another. Only the first page is whatever comes first at the time.

    :param of: what the list is of: a cursor is good for one list only.
    """
    limit = _limit(options, request)
    begins = {_cursor(of, key): index for index, key in enumerate(keys)}
    first = _cursor(of, "")
    begin = {first: 0, **begins}.get(request.query.get("cursor", first))
    if begin is None:
        raise repository_refusal(400, "The cursor is none of this list.")
    cursors = {"first": first}
    if begin > 0:
        cursors["prev"] = _cursor(of, keys[max(0, begin - limit)])
    if begin + limit < len(keys):
        cursors["next"] = _cursor(of, keys[begin + limit])
    cursors["last"] = _cursor(of, keys[(len(keys) - 1) // limit * limit])
    return keys[begin : begin + limit], cursors


def _cursor(of: Sequence[str], key: str) -> str:
    named = msgspec.json.encode([*of, key])
    # 16 bytes: the usual alphabet and the padding, all of which a client has to escape.
    return base64.b64encode(hashlib.blake2b(named, digest_size=16).digest()).decode()


def _limit(options: Options, request: Request) -> int:
    asked = request.query.get("limit", str(_USUAL_PAGE))
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", asked):
        raise repository_refusal(400, f"limit cannot be {asked!r}.")
    if int(asked) > _LARGEST_PAGE and options.over_limit == "refuse":
        raise repository_refusal(400, f"limit cannot be more than {_LARGEST_PAGE}.")
    return min(int(asked), _LARGEST_PAGE)


def _shown_branch(name: str, commits: Sequence[Commit]) -> dict[str, Any]:
    return {"name": name, "latestCommit": _shown_commit(commits[-1])}


def _shown_commit(commit: Commit) -> dict[str, Any]:
    date = datetime.fromtimestamp(commit.date, UTC).isoformat(timespec="milliseconds")
    shown: dict[str, Any] = {
        "id": commit.id,
        "author": {"name": commit.author_name, "email": commit.author},
        "date": date.replace("+00:00", "Z"),
        "message": commit.message,
    }
    if commit.mendix_version is not None:
        shown["mendixVersion"] = commit.mendix_version
    if commit.stories:
        shown["relatedStories"] = [{"id": story} for story in commit.stories]
    return shown


def _json(value: object) -> Reply:
    return json_reply(value, content_type=REPOSITORY_JSON)
