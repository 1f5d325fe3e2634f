"""The Deploy API, version 2: uploads, and the jobs that make packages of them.

The page documents two answers and four states, and no refusal at all. The codes here are those of the upload of
version 1; what that does not name either is invented.
"""

from __future__ import annotations

import io
import math
import re
import uuid
import zipfile
from collections.abc import Mapping
from email.message import Message
from typing import TYPE_CHECKING

from airflow_provider_mendix.api import deploy_v2
from airflow_provider_mendix.simulator.apis.deploy import find_app
from airflow_provider_mendix.simulator.apis.routes import RefusedError, Reply, Request, json_reply, serves
from airflow_provider_mendix.simulator.state.packages import (
    SUCCEEDED,
    UNDOCUMENTED,
    Ending,
    Steps,
    StoredJob,
    StoredPackage,
    Timeline,
)

if TYPE_CHECKING:
    from airflow_provider_mendix.simulator.state.platform import Platform

_DEFAULT_NAME = "default.mda"


@serves(deploy_v2.UPLOAD_PACKAGE)
def upload_package(platform: Platform, request: Request, app_id: str) -> Reply:
    app = find_app(platform, app_id)
    content = _file_of(request)
    if len(content) > platform.options.longest_upload:
        limit = platform.options.longest_upload
        raise RefusedError(413, "PACKAGE_TOO_BIG", f"{len(content)} bytes are more than {limit}.")
    ending = platform.take_ending()
    if ending is Ending.REFUSED:
        raise RefusedError(500, "UPLOAD_COPY_FAILED", "The file could not be kept.")
    if not zipfile.is_zipfile(io.BytesIO(content)):
        ending = Ending.FAILS_WHILE_UPLOADING
    name = request.query.get("name") or _DEFAULT_NAME
    line, version = _read_name(name) if platform.options.uploaded_version == "from_name" else ("", "")
    job_steps = _steps_of_job(ending, platform.timeline)
    package = StoredPackage(
        package_id=str(uuid.uuid4()),
        app_id=app.app_id,
        name=name,
        line=line,
        version=version,
        description="",
        creator=platform.creator(request),
        created_at=platform.clock.now(),
        size=len(content),
        steps=_steps_of_package(job_steps),
        file=content,
    )
    job = StoredJob(package.package_id, app.app_id, package.created_at, job_steps)
    job_id = str(uuid.uuid4())
    platform.packages[package.package_id] = package
    platform.jobs[job_id] = job
    return json_reply({"PackageId": package.package_id, "JobId": job_id})


@serves(deploy_v2.GET_JOB)
def get_job(platform: Platform, request: Request, app_id: str, job_id: str) -> Reply:
    find_app(platform, app_id)
    job = platform.jobs.get(job_id)
    if job is None or job.app_id != app_id:
        raise RefusedError(404, "JOB_NOT_FOUND", f"App {app_id} has no job {job_id}.")
    now = platform.faults.held_at(job.package_id, platform.clock.now())
    return json_reply({"Status": job.status(now)})


def _steps_of_job(ending: Ending, timeline: Timeline) -> Steps:
    queued, running = ("Queued", timeline.queued), ("Running", timeline.uploading)
    completed, failed = ("Completed", math.inf), ("Failed", math.inf)
    special: Mapping[Ending, Steps] = {
        Ending.FAILS_WHILE_QUEUED: [queued, failed],
        Ending.FAILS_WHILE_BUILDING: [queued, running, failed],
        Ending.FAILS_WHILE_UPLOADING: [queued, running, failed],
        Ending.STUCK_QUEUED: [("Queued", math.inf)],
        Ending.STUCK_BUILDING: [queued, ("Running", math.inf)],
        Ending.UNKNOWN_STATUS: [queued, (UNDOCUMENTED, timeline.uploading), completed],
    }
    return special.get(ending, [queued, running, completed])


def _steps_of_package(job: Steps) -> Steps:
    """What the list of packages shows meanwhile is not documented; `Uploading` is the word that fits."""
    words = {"Completed": SUCCEEDED, "Failed": "Failed"}
    return [(words.get(state, "Uploading"), seconds) for state, seconds in job]


def _read_name(name: str) -> tuple[str, str]:
    found = re.fullmatch(r"(.+)-([0-9]+\.[0-9]+\.[0-9]+\.\w+)\.mda", name)
    return (found[1], found[2]) if found else ("", "")


def _file_of(request: Request) -> bytes:
    """Take the part `file` out of a form."""
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
