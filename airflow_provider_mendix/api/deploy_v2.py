"""Mendix Deploy API, version 2: upload a deployment package, and poll the job that processes it.

The page has no table of errors; those of version 1 are expected here too.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api-2/
"""

from __future__ import annotations

import enum
import re

import msgspec

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host
from airflow_provider_mendix.exceptions import InvalidInputError

DEPLOY_API_V2 = Api(
    name="Deploy API v2",
    host=Host.DEPLOY,
    prefix="/api/v2",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api-2/",
    advice=((413, "The file is too big: Mendix documents a limit of 1 GB."),),
)
_MAX_NAME = 255


class JobStatus(enum.StrEnum):
    """The documented states of a job. Any other state means "not finished"."""

    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"


class StartedUpload(msgspec.Struct, frozen=True, rename="pascal"):
    """The response to an upload.

    :param package_id: id of the future package.
    :param job_id: id of the job that makes it.
    """

    package_id: str
    job_id: str


class Job(msgspec.Struct, frozen=True, rename="pascal"):
    """A job.

    :param status: one of :class:`JobStatus`, or an undocumented one.
    """

    status: str


UPLOAD_PACKAGE = Endpoint[StartedUpload](
    DEPLOY_API_V2, "POST", "/apps/{app_id}/packages/upload", returns=StartedUpload, repeatable=False
)
GET_JOB = Endpoint[Job](DEPLOY_API_V2, "GET", "/apps/{app_id}/jobs/{job_id}", returns=Job, repeatable=True)


def upload_package(app_id: str, name: str) -> Call[StartedUpload]:
    """Return the call that uploads the file of a package, its body. Every call that arrives complete makes one.

    :param name: the name that Mendix gives the package.
    """
    return UPLOAD_PACKAGE.call({"app_id": inputs.app_id(app_id)}, query={"name": package_name(name)})


def get_job(app_id: str, job_id: str) -> Call[Job]:
    """Return the call for a job."""
    if not isinstance(job_id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", job_id):
        raise InvalidInputError(f"job_id {job_id!r} is not an id. Use the JobId of an upload.")
    return GET_JOB.call({"app_id": inputs.app_id(app_id), "job_id": job_id})


def package_name(value: object) -> str:
    """Check the name of a file to upload."""
    advice = "Use the name of a file, such as main-2.5.4.63.mda."
    if not isinstance(value, str) or value.strip().lower() in ("", "none"):
        raise InvalidInputError(f"name is empty (it rendered to {value!r}). {advice}")
    if "{{" in value or "{%" in value:
        raise InvalidInputError(f"name {value!r} contains a template that was not rendered. {advice}")
    if not value.isprintable() or "/" in value or "\\" in value or len(value) > _MAX_NAME:
        raise InvalidInputError(f"name {value!r} cannot be the name of a file. {advice}")
    return value
