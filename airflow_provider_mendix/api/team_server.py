"""Mendix Team Server API: branches of an app and their newest revisions, by number.

Mendix has retired it, and removed its documentation, in favour of the App Repository API. Where it is still
served, it is the only one for SVN apps of users without a personal access token. With a token, it is never asked.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/team-server-api/ (removed)
"""

from __future__ import annotations

import msgspec
import pendulum

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.app_repository import CREDENTIAL_TO_ADD
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host

TEAM_SERVER_API = Api(
    name="Team Server API",
    host=Host.DEPLOY,
    prefix="/api/1",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/team-server-api/",
    retired=f"Mendix has retired the Team Server API: add to the connection {CREDENTIAL_TO_ADD}.",
)
MAX_REVISIONS = 20
"""How many revisions a response has at most; older ones cannot be requested."""


class Branch(msgspec.Struct, frozen=True, rename="pascal"):
    """A branch.

    :param name: ``trunk`` for the main line.
    :param display_name: ``Main line`` for the main line.
    :param latest_tagged_version: four parts; undocumented.
    """

    name: str
    display_name: str | None = None
    latest_revision_number: int | None = None
    latest_revision_mendix_version: str | None = None
    latest_tagged_version: str | None = None


class Revision(msgspec.Struct, frozen=True, rename="pascal"):
    """A revision of a branch.

    :param author: e-mail address of the committer.
    """

    number: int
    commit_message: str | None = None
    date: pendulum.DateTime | None = None
    author: str | None = None
    mendix_version: str | None = None


LIST_BRANCHES = Endpoint[list[Branch]](
    TEAM_SERVER_API, "GET", "/apps/{app_id}/branches", returns=list[Branch], repeatable=True
)
GET_BRANCH = Endpoint[Branch](
    TEAM_SERVER_API, "GET", "/apps/{app_id}/branches/{branch}", returns=Branch, repeatable=True
)
LIST_REVISIONS = Endpoint[list[Revision]](
    TEAM_SERVER_API, "GET", "/apps/{app_id}/branches/{branch}/revisions", returns=list[Revision], repeatable=True
)


def list_branches(app_id: str) -> Call[list[Branch]]:
    """Return the call for all branches of an app."""
    return LIST_BRANCHES.call({"app_id": inputs.app_id(app_id)})


def get_branch(app_id: str, branch: str) -> Call[Branch]:
    """Return the call for one branch.

    :param branch: as the Team Server spells it; see :func:`airflow_provider_mendix.api.inputs.spellings`.
    """
    return GET_BRANCH.call({"app_id": inputs.app_id(app_id), "branch": inputs.spelled_branch(branch)})


def list_revisions(app_id: str, branch: str) -> Call[list[Revision]]:
    """Return the call for the last 20 revisions of a branch, in no particular order.

    :param branch: as the Team Server spells it.
    """
    return LIST_REVISIONS.call({"app_id": inputs.app_id(app_id), "branch": inputs.spelled_branch(branch)})
