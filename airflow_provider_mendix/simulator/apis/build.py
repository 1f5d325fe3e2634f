"""The Build API: every documented answer and refusal.

The messages are our own; Mendix's codes and HTTP statuses are the contract. No code is documented for an unknown
branch or revision or for a version used before, so all three are accepted here. A list is in no particular order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_mendix.api import build
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.apis.routes import (
    RefusedError,
    Reply,
    Request,
    json_reply,
    read_body,
    serves,
)
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, Ending, StoredPackage

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.state.platform import Platform


class _Start(msgspec.Struct, rename="pascal"):
    revision: str | int | None = None
    version: str | None = None
    branch: str | None = None
    description: str | None = None


@serves(build.LIST_PACKAGES)
def list_packages(platform: Platform, request: Request, app_id: str) -> Reply:
    app = find_app(platform, app_id, unknown=platform.options.unknown_app_on_list)
    found = [package for package in platform.packages.values() if package.app_id == app.app_id]
    found.sort(key=lambda package: package.package_id)
    return json_reply([_shown(platform, package) for package in found])


@serves(build.GET_PACKAGE)
def get_package(platform: Platform, request: Request, app_id: str, package_id: str) -> Reply:
    return json_reply(shown_package(platform, _find(platform, app_id, package_id), request))


@serves(build.DELETE_PACKAGE)
def delete_package(platform: Platform, request: Request, app_id: str, package_id: str) -> Reply:
    package = _find(platform, app_id, package_id)
    if platform.in_use(package_id):
        raise RefusedError(409, "PACKAGE_IN_USE", f"An environment of the app has package {package_id}.")
    del platform.packages[package.package_id]
    return Reply(platform.options.delete_status)


@serves(build.DOWNLOAD_PACKAGE)
def download_package(platform: Platform, request: Request, app_id: str, package_id: str) -> Reply:
    _find(platform, app_id, package_id)
    if platform.status(package_id) != SUCCEEDED:
        raise RefusedError(500, "BUILD_NOT_SUCCEEDED", f"Package {package_id} is not ready for download.")
    if platform.options.download == "redirect":
        return Reply(302, {"Location": platform.link(package_id)})
    return Reply(200, {"Content-Type": "application/octet-stream"}, platform.content(package_id))


@serves(build.START_BUILD)
def start_build(platform: Platform, request: Request, app_id: str) -> Reply:
    app = find_app(platform, app_id, unknown=platform.options.unknown_app_on_start)
    wish = read_body(request, _Start)
    if wish.revision in (None, "") or not wish.version:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both Revision and Version must be given.")
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", wish.version):
        raise RefusedError(400, "INVALID_VERSION", f"{wish.version!r} is not major.minor.patch.")
    ending = platform.take_ending()
    if ending is Ending.REFUSED:
        raise RefusedError(500, "BUILD_FAILED", "The build could not be started.")
    package = platform.new_package(
        app,
        version=wish.version,
        revision=str(wish.revision),
        branch=wish.branch,
        description=wish.description or "",
        creator=platform.creator(request),
    )
    package.steps = ending.steps(platform.timeline)
    return json_reply({"PackageId": package.package_id})


def _find(platform: Platform, app_id: str, package_id: str) -> StoredPackage:
    if not app_id or not package_id:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both AppId and PackageId must be given.")
    package = platform.packages.get(package_id)
    if package is None or package.app_id != app_id:
        raise RefusedError(404, "PACKAGE_NOT_FOUND", f"App {app_id} has no package or build {package_id}.")
    return package


def shown_package(platform: Platform, package: StoredPackage, request: Request) -> dict[str, object]:
    """Show a package, with a link to its file if the request asks for one."""
    shown = _shown(platform, package)
    if request.query.get("url", "").lower() == "true":
        if shown["Status"] == SUCCEEDED:
            shown["Url"] = {"Location": platform.link(package.package_id), "TTL": platform.options.ttl}
        elif platform.options.not_ready == "null":
            shown["Url"] = None
    return shown


def _shown(platform: Platform, package: StoredPackage) -> dict[str, object]:
    shown: dict[str, object] = {
        "PackageId": package.package_id,
        "Name": package.name,
        "Description": package.description,
        "Version": package.version,
        "Creator": package.creator,
        "CreationDate": int(package.created_at * 1000),
        "Status": platform.status(package.package_id),
    }
    if shown["Status"] == SUCCEEDED:
        shown["Size"] = package.size
    elif platform.options.not_ready == "null":
        shown["Size"] = None
    return shown
