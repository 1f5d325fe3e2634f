"""The Deploy API, version 2: uploads, and the jobs that make packages of them.

The page documents two responses and four states, and no refusal at all. The codes here are those of the upload of
version 1; what that does not name either is invented.
"""

from __future__ import annotations

import io
import re
import zipfile
from email.message import Message

from airflow_provider_mendix.api import deploy_v2
from airflow_provider_mendix.simulator.apis.credentials import creator_of
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.routes import serves
from airflow_provider_mendix.simulator.state.cloud import Cloud
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import RefusedError, Reply, Request, json_reply

_DEFAULT_NAME = "default.mda"


@serves(deploy_v2.UPLOAD_PACKAGE)
def upload_package(cloud: Cloud, request: Request, app_id: str) -> Reply:
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
    line, version = _read_name(name) if cloud.options.uploaded_version == "from_name" else ("", "")
    package_id, job_id = cloud.packages.add_upload(
        app,
        name=name,
        line=line,
        version=version,
        creator=creator_of(cloud, request),
        content=content,
        outcome=outcome,
    )
    return json_reply({"PackageId": package_id, "JobId": job_id})


@serves(deploy_v2.GET_JOB)
def get_job(cloud: Cloud, request: Request, app_id: str, job_id: str) -> Reply:
    find_app(cloud, app_id)
    job = cloud.packages.jobs.get(job_id)
    if job is None or job.app_id != app_id:
        raise RefusedError(404, "JOB_NOT_FOUND", f"App {app_id} has no job {job_id}.")
    return json_reply({"Status": cloud.packages.job_status(job)})


def _read_name(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.+)-([0-9]+\.[0-9]+\.[0-9]+\.\w+)\.mda", name)
    return (found[1], found[2]) if found else ("", "")


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
