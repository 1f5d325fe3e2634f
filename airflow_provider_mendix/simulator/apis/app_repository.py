"""The App Repository API: repositories, branches and commits by a project's UUID.

The messages are our own. Of the codes only `RS400` is documented; `RS401`, `RS403` and `RS404` are inferred from
it. A commit without a Mendix version or stories leaves these keys out: so "if available" is read here.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from airflow_provider_mendix.api import app_repository
from airflow_provider_mendix.simulator.apis.credentials import REPOSITORY_JSON, repository_refusal
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.apps import App
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.repositories import PREFIX, Commit, Repository, is_impossible
from airflow_provider_mendix.simulator.wire import Reply, Request, json_reply

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_URLS = {"git": "https://git.api.mendix.com/{}.git", "svn": "https://teamserver.sprintr.com/{}/"}
_DEFAULT_PAGE = 20
_LARGEST_PAGE = 100


@serves(app_repository.GET_REPOSITORY)
def get_repository(cloud: Cloud, request: Request, project_id: str) -> Reply:
    app = _find_app(cloud, project_id)
    url = _URLS[app.repository].format(app.project_id)
    return _json({"appId": app.project_id, "type": app.repository, "url": url})


@serves(app_repository.LIST_BRANCHES)
def list_repository_branches(cloud: Cloud, request: Request, project_id: str) -> Reply:
    branches = _branches(cloud, _find_app(cloud, project_id))
    page, cursors = _page(cloud.options, request, [project_id], list(branches))
    return _json({"items": [_shown_branch(name, branches[name]) for name in page], "cursors": cursors})


@serves(app_repository.GET_BRANCH)
def get_repository_branch(cloud: Cloud, request: Request, project_id: str, branch: str) -> Reply:
    return _json(_shown_branch(*_find_branch(cloud, project_id, branch)))


@serves(app_repository.LIST_COMMITS)
def list_commits(cloud: Cloud, request: Request, project_id: str, branch: str) -> Reply:
    name, oldest_first = _find_branch(cloud, project_id, branch)
    commits = {commit.id: commit for commit in reversed(oldest_first)}
    page, cursors = _page(cloud.options, request, [project_id, name], list(commits))
    return _json({"items": [_shown_commit(commits[number]) for number in page], "cursors": cursors})


def _find_app(cloud: Cloud, project_id: str) -> App:
    if not _UUID.fullmatch(project_id):
        raise repository_refusal(400, f"{project_id!r} is not the App ID of an app: that is a UUID.")
    app = cloud.apps.of_project(project_id)
    if app is None:
        raise repository_refusal(404, f"There is no repository of an app {project_id}.")
    return app


def _find_branch(cloud: Cloud, project_id: str, branch: str) -> tuple[str, Sequence[Commit]]:
    if _UUID.fullmatch(project_id) and is_impossible(branch):
        raise repository_refusal(400, f"No branch can be called {branch!r}.")
    app = _find_app(cloud, project_id)
    branches = _branches(cloud, app)
    name = branch
    if branch not in branches and app.repository == "git" and cloud.options.git_branch_paths == "both":
        name = branch.removeprefix(PREFIX) if branch.startswith(PREFIX) else PREFIX + branch
    if name not in branches or (name != branch and name == cloud.repositories[app.app_id].main_line):
        raise repository_refusal(404, f"The repository has no branch {branch!r}.")
    return name, branches[name]


def _branches(cloud: Cloud, app: App) -> dict[str, Sequence[Commit]]:
    """Return the branches by the names that this API has for them."""
    repository = cloud.repositories[app.app_id]
    return {_spelled(cloud.options, repository, name): commits for name, commits in repository.branches.items()}


def _spelled(options: Options, repository: Repository, name: str) -> str:
    is_bare = repository.type == "git" and options.git_branch_names == "bare"
    return name if is_bare or name == repository.main_line else PREFIX + name


def _page(
    options: Options, request: Request, of: Sequence[str], keys: Sequence[str]
) -> tuple[Sequence[str], dict[str, str]]:
    """Return the keys of the page that the request asks for, and its cursors.

    A cursor names the first key of its page, so that a push moves nothing from one page to another. Only the first
    page begins with the key that is first at the time.

    :param of: identifies the list: a cursor is good for one list only.
    """
    limit = _limit(options, request)
    begins = {_cursor(of, key): index for index, key in enumerate(keys)}
    first = _cursor(of, "")
    begin = {first: 0, **begins}.get(request.query.get("cursor", first))
    if begin is None:
        raise repository_refusal(400, "The cursor does not belong to this list.")
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
    wanted = request.query.get("limit", str(_DEFAULT_PAGE))
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", wanted):
        raise repository_refusal(400, f"limit cannot be {wanted!r}.")
    if int(wanted) > _LARGEST_PAGE and options.over_limit == "refuse":
        raise repository_refusal(400, f"limit cannot be more than {_LARGEST_PAGE}.")
    return min(int(wanted), _LARGEST_PAGE)


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
