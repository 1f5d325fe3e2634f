"""The Deploy API, version 2: uploads, and the jobs that make packages of them; and the upload of version 1.

The page documents two responses and four states, and no refusal at all. The codes here are those of the upload of
version 1; what that does not name either is invented. The response of version 1 is not documented: clients expect
a ``PackageId``.
"""

from __future__ import annotations

import io
import re
import zipfile
from email.message import Message
from typing import Literal

from airflow_provider_mendix.api import deploy_v2
from airflow_provider_mendix.api.call import Endpoint
from airflow_provider_mendix.api.deploy import DEPLOY_API
from airflow_provider_mendix.simulator.apis.credentials import creator_of
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.package_file import read_metadata
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply

_DEFAULT_NAME = "default.mda"


@serves(deploy_v2.UPLOAD_PACKAGE)
def upload_package(cloud: Cloud, request: Request, app_id: str) -> Reply:
    package_id, job_id = _add_upload(cloud, request, app_id)
    return json_reply({"PackageId": package_id, "JobId": job_id})


@serves(Endpoint[None](DEPLOY_API, "POST", "/apps/{app_id}/packages/upload", returns=None, repeatable=False))
def upload_package_v1(cloud: Cloud, request: Request, app_id: str) -> Reply:
    """Handle the upload of version 1, which has no job: the package is in the list, as of version 2."""
    if not zipfile.is_zipfile(io.BytesIO(_file_of(request))):
        raise RefusedError(500, "INVALID_PACKAGE", "The file is no package.")
    package_id, _ = _add_upload(cloud, request, app_id)
    return json_reply({"PackageId": package_id})


@serves(deploy_v2.GET_JOB)
def get_job(cloud: Cloud, request: Request, app_id: str, job_id: str) -> Reply:
    find_app(cloud, app_id)
    job = cloud.packages.jobs.get(job_id)
    if job is None or job.app_id != app_id:
        raise RefusedError(404, "JOB_NOT_FOUND", f"App {app_id} has no job {job_id}.")
    return json_reply({"Status": cloud.packages.job_status(job)})


def _add_upload(cloud: Cloud, request: Request, app_id: str) -> tuple[str, str]:
    app = find_app(cloud, app_id)
    content = _file_of(request)
    if len(content) > cloud.options.longest_upload:
        limit = cloud.options.longest_upload
        raise RefusedError(413, "PACKAGE_TOO_BIG", f"{len(content)} bytes are more than {limit}.")
    outcome = cloud.packages.take_outcome()
    if outcome is BuildOutcome.REFUSED:
        raise RefusedError(500, "UPLOAD_COPY_FAILED", "The file could not be kept.")
    if not zipfile.is_zipfile(io.BytesIO(content)):
        outcome = BuildOutcome.FAILS_WHILE_UPLOADING
    name = request.query.get("name") or _DEFAULT_NAME
    line, version = _line_and_version(name, content, cloud.options.uploaded_version)
    return cloud.packages.add_upload(
        app,
        name=name,
        line=line,
        version=version,
        creator=creator_of(cloud, request),
        content=content,
        outcome=outcome,
    )


def _line_and_version(
    name: str, content: bytes, source: Literal["from_content", "from_name", "absent"]
) -> tuple[str, str]:
    if source == "absent":
        return "", ""
    found = re.fullmatch(r"(.+)[-_]([0-9]+\.[0-9]+\.[0-9]+\.\w+)\.mda", name)
    line, version = (found[1], found[2]) if found else ("", "")
    model_version = read_metadata(content).model_version if source == "from_content" else None
    return line, model_version or version


def _file_of(request: Request) -> bytes:
    """Return the part `file` of a form."""
    form = _header(request.headers.get("content-type", ""))
    boundary = form.get_boundary()
    if form.get_content_type() != "multipart/form-data" or not boundary:
        raise RefusedError(400, "INVALID_PARAMETERS", "The body is not a form with a file.")
    _, *parts = (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())
    is_whole = bool(parts) and parts[-1].strip() == b"--"
    for part in parts if is_whole else ():
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            disposition = _header(value.strip())
            if name.lower() == "content-disposition" and disposition.get_param("name") == "file":
                return content
    raise RefusedError(400, "INVALID_PARAMETERS", "The form has no part named file, or no end.")


def _header(value: str) -> Message:
    message = Message()
    message["Content-Type"] = value
    return message
