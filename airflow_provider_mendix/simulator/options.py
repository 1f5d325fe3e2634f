"""Options for what Mendix's documentation leaves open."""

from __future__ import annotations

from typing import Literal

import msgspec

TeamServerResponse = Literal[
    "not_found", "app_not_found", "gone", "not_implemented", "forbidden", "redirect", "page"
]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What Mendix's documentation leaves open. The defaults are what evidence favours.

    :param wrong_key_status: status of ``INVALID_CREDENTIALS``, the response to a wrong user name or API key. A
        personal access token in place of the key is 400, which was seen.
    :param unknown_app_on_list: code for a well-formed id of no app, when packages are listed.
    :param unknown_app_on_start: the same, when a build is started.
    :param list_apps_without_rights: whether the list of apps includes those on which the user has no API Rights.
    :param not_ready: whether ``Size`` and an asked-for ``Url`` are absent or null before ``Succeeded``, and the
        versions of an environment that is ``Empty``.
    :param delete_status: status of a successful delete; its body is empty.
    :param download: whether the deprecated download call sends the file or redirects to the file host.
    :param ttl: seconds until a link to a file expires.
    :param ranges: whether the file host supports range requests.
    :param over_limit: whether the App Repository API returns its largest page or refuses a larger ``limit``.
    :param git_branch_names: whether it shows Git branches other than the main line with ``branches/`` or without.
    :param git_branch_paths: whether it finds Git branches by both forms of their names, or only as it shows them.
    :param team_server_branch_names: the same for the path of the Team Server API.
    :param team_server: whether the Team Server API is served, as its documentation described it, or retired.
    :param team_server_retired_response: how the retired API responds to every request: 404 with a page, 404
        ``APP_NOT_FOUND``, 410, 501, 403, a redirect to a page, or 200 with a page.
    :param team_server_refusal: code with which the Team Server API refuses Git apps and Free Apps.
    :param package_lifetime: seconds after which a package is deleted, unless it is deployed or one of the five of
        the app's other packages that were deployed last; ``None`` for never. Up to 15 days are documented.
    :param expiry_date: form of ``ExpiryDate`` while a package has one.
    :param longest_upload: bytes of a file that may be uploaded; 1 GB by the documentation.
    :param uploaded_version: whether the version of an uploaded package comes from its ``model/metadata.json``
        (else from its name), from its name only, or is absent.
    :param mode_case: whether the case of an environment's name matters.
    :param list_environments_without_rights: whether the list of environments includes those without API Rights.
    :param model_version: whether ``ModelVersion`` of an environment is the version of the package that runs, or of
        the one that was transported since.
    :param stop: whether an environment is stopped when the stop call returns, or still reads ``Running`` for
        ``timeline.stopping`` seconds, in which a start is ``ALREADY_STARTED``.
    :param action_body: body of the responses of transport and stop: none, text, or an empty JSON object.
    :param request_json: whether bodies must be JSON, or may also have single quotes, no quotes, and ``=`` for
        ``:``, as on older pages of the documentation.
    :param transport_while_running: whether a package may be transported to an environment that runs.
    :param already_started: status of ``ALREADY_STARTED``, the response to a start of an app that runs.
    :param stop_when_stopped: whether a stop of an app that does not run is 200, or 500 ``STOP_FAILED``.
    :param start_job_lifetime: seconds after its end for which a start job is known; ``None`` for no limit.
    :param failed_start_migrates: whether a start with ``AutoSyncDb`` that fails during or after the change of the
        database leaves it changed.
    :param every_version_needs_sync: whether a start of another version than the database's fails with
        ``INVALID_DB_STRUCTURE`` without ``AutoSyncDb``; with real models it depends on the models.
    :param archive_links: whether each look at a finished archive renews the link to it, or it expires once.
    :param archive_ttl: seconds until a link to the archive of a snapshot expires.
    :param snapshot_lifetime: seconds until a snapshot expires and is removed; 90 days are the documentation's
        sample.
    :param tagged_versions: whether the Team Server API shows ``LatestTaggedVersion``.
    """

    wrong_key_status: Literal[401, 400] = 401
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
    git_branch_paths: Literal["both", "as_shown"] = "both"
    team_server_branch_names: Literal["prefixed", "bare"] = "prefixed"
    team_server: Literal["serves", "retired"] = "serves"
    team_server_retired_response: TeamServerResponse = "not_found"
    team_server_refusal: Literal["APP_NOT_FOUND", "NO_ACCESS"] = "APP_NOT_FOUND"
    package_lifetime: float | None = None
    expiry_date: Literal["milliseconds", "text", "absent"] = "milliseconds"
    longest_upload: int = 10**9
    uploaded_version: Literal["from_content", "from_name", "absent"] = "from_content"
    mode_case: Literal["strict", "lenient"] = "strict"
    list_environments_without_rights: bool = False
    model_version: Literal["running", "transported"] = "running"
    stop: Literal["synchronous", "asynchronous"] = "synchronous"
    action_body: Literal["empty", "text", "json"] = "empty"
    request_json: Literal["strict", "lenient"] = "strict"
    transport_while_running: bool = True
    already_started: Literal[200, 500] = 200
    stop_when_stopped: Literal[200, 500] = 200
    start_job_lifetime: float | None = None
    failed_start_migrates: bool = True
    every_version_needs_sync: bool = False
    archive_links: Literal["renewed", "once"] = "renewed"
    archive_ttl: int = 8 * 3600
    snapshot_lifetime: float = 90 * 24 * 3600.0
    tagged_versions: bool = True
