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
    """

    unknown_app_on_list: Literal["INVALID_APPID", "APP_NOT_FOUND"] = "INVALID_APPID"
    unknown_app_on_start: Literal["INVALID_APPID", "APP_NOT_FOUND"] = "APP_NOT_FOUND"
    list_apps_without_rights: bool = False
    not_ready: Literal["absent", "null"] = "absent"
    delete_status: Literal[200, 204] = 204
    download: Literal["stream", "redirect"] = "stream"
    ttl: int = 900
    ranges: bool = True
