"""What Mendix's documentation leaves open."""

from __future__ import annotations

from typing import Literal

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What Mendix's documentation leaves open; each is one way that it may be.

    :param unknown_app_on_list: code for a well-formed id of no app, when packages are listed.
    :param unknown_app_on_start: the same, when a build is started.
    :param list_apps_without_rights: whether the list of apps has those that the user has no API Rights on.
    :param not_ready: whether ``Size`` and an asked-for ``Url`` are absent or null before ``Succeeded``, and the
        versions of an environment that is ``Empty``.
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
    :param mode_case: whether the name of an environment must be spelled as it is, or capitals do not matter.
    :param list_environments_without_rights: whether the list of environments has those without API Rights.
    :param model_version: whether ``ModelVersion`` of an environment that runs is that of what runs, or of the
        package that was transported meanwhile.
    :param transport_while_running: whether a package may be transported to an environment that runs.
    :param already_started: status of ``ALREADY_STARTED``, the answer to the start of what runs.
    :param stop_when_stopped: whether stopping what does not run is 200, or 500 ``STOP_FAILED``.
    :param start_job_lifetime: seconds after its end for which a start job is known; ``None`` for ever.
    :param failed_start_migrates: whether a start that fails in or after the change of the database with
        ``AutoSyncDb`` leaves it changed.
    :param every_version_needs_sync: whether a start of another version than the database's fails with
        ``INVALID_DB_STRUCTURE`` without ``AutoSyncDb``; with real models it depends on what they are.
    :param snapshot_lifetime: seconds until a snapshot expires, which takes it away; 90 days are the
        documentation's sample.
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
    mode_case: Literal["strict", "lenient"] = "strict"
    list_environments_without_rights: bool = False
    model_version: Literal["running", "transported"] = "running"
    transport_while_running: bool = True
    already_started: Literal[200, 500] = 200
    stop_when_stopped: Literal[200, 500] = 200
    start_job_lifetime: float | None = None
    failed_start_migrates: bool = True
    every_version_needs_sync: bool = False
    snapshot_lifetime: float = 90 * 24 * 3600.0
    tagged_versions: bool = True
