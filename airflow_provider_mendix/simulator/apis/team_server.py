"""The Team Server API: branches of SVN apps and their newest revisions.

The messages are our own; Mendix's codes and HTTP statuses are the contract. That Git apps and Free Apps are not
served is documented, or follows from revisions being numbers; how they are refused is not documented. Neither is
how the API responds since Mendix has retired it.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_mendix.api import team_server
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.options import TeamServerResponse
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.apps import App
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.repositories import PREFIX, Commit
from airflow_provider_mendix.simulator.wire import (
    RefusedError,
    RepliedError,
    Reply,
    Request,
    json_reply,
    page_reply,
)

_MOST_REVISIONS = 20
_RETIRED: dict[TeamServerResponse, Reply] = {
    "not_found": page_reply(404, "Not Found"),
    "app_not_found": RefusedError(404, "APP_NOT_FOUND", "This app does not exist.").reply,
    "gone": page_reply(410, "Gone"),
    "not_implemented": page_reply(501, "Not Implemented"),
    "forbidden": page_reply(403, "Forbidden"),
    "redirect": page_reply(301, "Moved Permanently", Location="https://docs.mendix.com/apidocs-mxsdk/apidocs/"),
    "page": page_reply(200, "Mendix"),
}


@serves(team_server.LIST_BRANCHES)
def list_branches(cloud: Cloud, request: Request, app_id: str) -> Reply:
    app = _find_app(cloud, app_id)
    return json_reply([_shown_branch(cloud, app, name) for name in cloud.repositories[app_id].branches])


@serves(team_server.GET_BRANCH)
def get_branch(cloud: Cloud, request: Request, app_id: str, branch: str) -> Reply:
    app = _find_app(cloud, app_id)
    return json_reply(_shown_branch(cloud, app, _find_branch(cloud, app, branch)))


@serves(team_server.LIST_REVISIONS)
def list_revisions(cloud: Cloud, request: Request, app_id: str, branch: str) -> Reply:
    app = _find_app(cloud, app_id)
    commits = cloud.repositories[app_id].branches[_find_branch(cloud, app, branch)]
    return json_reply([_shown_revision(commit) for commit in commits[-_MOST_REVISIONS:]])


def _find_app(cloud: Cloud, app_id: str) -> App:
    if cloud.options.team_server == "retired":
        raise RepliedError(_RETIRED[cloud.options.team_server_retired_response])
    app = find_app(cloud, app_id)
    if app.repository == "svn" and not app.free:
        return app
    if cloud.options.team_server_refusal == "NO_ACCESS":
        raise RefusedError(403, "NO_ACCESS", f"The Team Server API does not serve app {app_id}.")
    raise RefusedError(404, "APP_NOT_FOUND", f"No app {app_id} is known to the Team Server API.")


def _find_branch(cloud: Cloud, app: App, branch: str) -> str:
    """Return the name by which the repository keeps a branch."""
    repository = cloud.repositories[app.app_id]
    prefix = PREFIX if cloud.options.team_server_branch_names == "prefixed" else ""
    spelled = {name if name == repository.main_line else prefix + name: name for name in repository.branches}
    if branch not in spelled:
        raise RefusedError(404, "BRANCH_NOT_FOUND", f"This app has no branch with the name '{branch}'.")
    return spelled[branch]


def _shown_branch(cloud: Cloud, app: App, name: str) -> dict[str, Any]:
    latest = cloud.repositories[app.app_id].branches[name][-1]
    shown: dict[str, Any] = {"Name": name, "LatestRevisionNumber": int(latest.id)}
    if latest.mendix_version is not None:
        shown["LatestRevisionMendixVersion"] = _three_parts(latest.mendix_version)
    shown["DisplayName"] = app.line(name)
    built = [package for package in cloud.packages.of(app.app_id) if package.line == app.line(name)]
    if built and cloud.options.tagged_versions:
        shown["LatestTaggedVersion"] = max(built, key=lambda package: package.created_at).version
    return shown


def _shown_revision(commit: Commit) -> dict[str, Any]:
    shown: dict[str, Any] = (
        {} if commit.mendix_version is None else {"MendixVersion": _three_parts(commit.mendix_version)}
    )
    return {
        **shown,
        "CommitMessage": commit.message,
        "Date": int(commit.date * 1000),
        "Number": int(commit.id),
        "Author": commit.author,
    }


def _three_parts(mendix_version: str) -> str:
    """Leave out the build number, which the documentation's samples of this API do not have."""
    return ".".join(mendix_version.split(".")[:3])
