"""What Mendix's documentation leaves open."""

from __future__ import annotations

from typing import Literal

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What Mendix's documentation leaves open; each is one way that it may be.

    :param unknown_app_on_list: code for a well-formed id of no app, when packages are listed.
    :param unknown_app_on_start: the same, when a build is started.
    :param list_apps_without_rights: whether the list of apps has those that the user has no API Rights on.
    :param not_ready: whether ``Size`` and an asked-for ``Url`` are absent or null before ``Succeeded``.
    :param delete_status: status of a successful delete; its body is empty.
    :param download: whether the deprecated download call sends the file or redirects to the file host.
    :param ttl: seconds that a link to a file is good for.
    :param ranges: whether the file host gives parts of a file.
    :param over_limit: whether the App Repository API gives its largest page or refuses if more is asked for.
    :param git_branch_names: whether, for Git, it knows branches other than the main line with ``branches/`` or
        without; it knows one form only.
    :param team_server_branch_names: the same for the path of the Team Server API.
    :param team_server_refusal: code with which the Team Server API refuses Git apps and Free Apps.
    :param longest_upload: bytes of a file that may be uploaded; 1 GB by the documentation.
    :param uploaded_version: whether an uploaded package has the version that its name tells, or none.
    :param tagged_versions: whether the Team Server API shows ``LatestTaggedVersion``.
    """

    unknown_app_on_list: Literal["INVALID_APPID", "APP_NOT_FOUND"] = "INVALID_APPID"
    unknown_app_on_start: Literal["INVALID_APPID", "APP_NOT_FOUND"] = "APP_NOT_FOUND"
    list_apps_without_rights: bool = False
    not_ready: Literal["absent", "null"] = "absent"
    delete_status: Literal[200, 204] = 204
    download: Literal["stream", "redirect"] = "stream"
    ttl: int = 900
    ranges: bool = True
    over_limit: Literal["clamp", "refuse"] = "clamp"
    git_branch_names: Literal["prefixed", "bare"] = "prefixed"
    team_server_branch_names: Literal["prefixed", "bare"] = "prefixed"
    team_server_refusal: Literal["APP_NOT_FOUND", "NO_ACCESS"] = "APP_NOT_FOUND"
    longest_upload: int = 10**9
    uploaded_version: Literal["from_name", "absent"] = "from_name"
    tagged_versions: bool = True
