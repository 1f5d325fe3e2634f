"""The Build API: every documented response and refusal.

The messages are our own; Mendix's codes and HTTP statuses are the contract. No code is documented for an unknown
branch or revision or for a version used before, so all three are accepted here. A list is in no particular order.
"""

from __future__ import annotations

import re

import msgspec
import pendulum

from airflow_provider_mendix.api import build
from airflow_provider_mendix.simulator.apis.credentials import creator_of
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.apis.files import link
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, BuildOutcome, StoredPackage
from airflow_provider_mendix.simulator.state.repositories import DEFAULT_MENDIX_VERSION
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply, read_body


class _Start(msgspec.Struct, rename="pascal"):
    revision: str | int | None = None
    version: str | None = None
    branch: str | None = None
    description: str | None = None


@serves(build.LIST_PACKAGES)
def list_packages(cloud: Cloud, request: Request, app_id: str) -> Reply:
    app = find_app(cloud, app_id, unknown=cloud.options.unknown_app_on_list)
    found = sorted(cloud.packages.of(app.app_id), key=lambda package: package.package_id)
    return json_reply([_shown(cloud, package) for package in found])


@serves(build.GET_PACKAGE)
def get_package(cloud: Cloud, request: Request, app_id: str, package_id: str) -> Reply:
    return json_reply(shown_package(cloud, _find(cloud, app_id, package_id), request))


@serves(build.DELETE_PACKAGE)
def delete_package(cloud: Cloud, request: Request, app_id: str, package_id: str) -> Reply:
    package = _find(cloud, app_id, package_id)
    if cloud.is_in_use(package_id):
        raise RefusedError(409, "PACKAGE_IN_USE", f"An environment of the app has package {package_id}.")
    del cloud.packages[package.package_id]
    return Reply(cloud.options.delete_status)


@serves(build.DOWNLOAD_PACKAGE)
def download_package(cloud: Cloud, request: Request, app_id: str, package_id: str) -> Reply:
    _find(cloud, app_id, package_id)
    if cloud.packages.status(package_id) != SUCCEEDED:
        raise RefusedError(500, "BUILD_NOT_SUCCEEDED", f"Package {package_id} is not ready for download.")
    if cloud.options.download == "redirect":
        return Reply(302, {"Location": link(cloud, package_id)})
    return Reply(200, {"Content-Type": "application/octet-stream"}, cloud.packages.content(package_id))


@serves(build.START_BUILD)
def start_build(cloud: Cloud, request: Request, app_id: str) -> Reply:
    app = find_app(cloud, app_id, unknown=cloud.options.unknown_app_on_start)
    payload = read_body(request, _Start, cloud.options.request_json)
    if payload.revision in (None, "") or not payload.version:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both Revision and Version must be given.")
    if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", payload.version):
        raise RefusedError(400, "INVALID_VERSION", f"{payload.version!r} is not major.minor.patch.")
    outcome = cloud.packages.take_outcome()
    if outcome is BuildOutcome.REFUSED:
        raise RefusedError(500, "BUILD_FAILED", "The build could not be started.")
    revision = str(payload.revision)
    commit = cloud.repositories.find(app.app_id, revision)
    package_id = cloud.packages.add(
        app.app_id,
        version=payload.version,
        # Mendix shows eight characters of a hash, even if a shorter one was given.
        revision=commit.id if commit else revision,
        branch=payload.branch,
        description=payload.description or "",
        creator=creator_of(cloud, request),
        mendix_version=commit.mendix_version if commit else DEFAULT_MENDIX_VERSION,
        steps=outcome.steps(cloud.packages.timeline),
    )
    return json_reply({"PackageId": package_id})


def shown_package(cloud: Cloud, package: StoredPackage, request: Request) -> dict[str, object]:
    """Return a package as the API shows it, with a link to its file if the request asks for one."""
    shown = _shown(cloud, package)
    if request.query.get("url", "").lower() == "true":
        if shown["Status"] == SUCCEEDED:
            shown["Url"] = {"Location": link(cloud, package.package_id), "TTL": cloud.options.ttl}
        elif cloud.options.not_ready == "null":
            shown["Url"] = None
    return shown


def _find(cloud: Cloud, app_id: str, package_id: str) -> StoredPackage:
    if not app_id or not package_id:
        raise RefusedError(400, "INVALID_PARAMETERS", "Both AppId and PackageId must be given.")
    package = cloud.packages.get(package_id)
    if package is None or package.app_id != app_id:
        raise RefusedError(404, "PACKAGE_NOT_FOUND", f"App {app_id} has no package or build {package_id}.")
    return package


def _shown(cloud: Cloud, package: StoredPackage) -> dict[str, object]:
    shown: dict[str, object] = {
        "PackageId": package.package_id,
        "Name": package.name,
        "Description": package.description,
        "Version": package.version,
        "Creator": package.creator,
        "CreationDate": int(package.created_at * 1000),
        "Status": cloud.packages.status(package.package_id),
    }
    if shown["Status"] == SUCCEEDED:
        shown["Size"] = package.size
    elif cloud.options.not_ready == "null":
        shown["Size"] = None
    if cloud.options.package_lifetime is not None and cloud.options.expiry_date != "absent":
        shown["ExpiryDate"] = _expiry_date(cloud, package)
    return shown


def _expiry_date(cloud: Cloud, package: StoredPackage) -> int | str | None:
    expires_at = cloud.expires_at(package)
    if expires_at is None:
        return None
    if cloud.options.expiry_date == "text":
        return pendulum.from_timestamp(expires_at).isoformat()
    return int(expires_at * 1000)
