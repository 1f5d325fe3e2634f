"""Mendix Deploy API, version 2: upload a deployment package, and look at the job that takes it in.

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
    advice=((413, "The file is too big: by its documentation, Mendix takes no more than 1 GB."),),
)
_LONGEST_NAME = 255


class JobStatus(enum.StrEnum):
    """The documented states of a job. Others may come, and then mean "not yet"."""

    QUEUED = "Queued"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"


class StartedUpload(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to an upload.

    :param package_id: of the package that is going to be.
    :param job_id: of the job that makes it.
    """

    package_id: str
    job_id: str


class Job(msgspec.Struct, frozen=True, rename="pascal"):
    """A job.

    :param status: one of :class:`JobStatus`, or a word that Mendix adds one day.
    """

    status: str


UPLOAD_PACKAGE = Endpoint[StartedUpload](
    DEPLOY_API_V2, "POST", "/apps/{app_id}/packages/upload", returns=StartedUpload, repeatable=False
)
GET_JOB = Endpoint[Job](DEPLOY_API_V2, "GET", "/apps/{app_id}/jobs/{job_id}", returns=Job, repeatable=True)


def upload_package(app_id: str, name: str) -> Call[StartedUpload]:
    """Upload the file of a package, which goes along as the body: every call that arrives whole makes a package.

    :param name: what Mendix is to call the package.
    """
    return UPLOAD_PACKAGE.call({"app_id": inputs.app_id(app_id)}, query={"name": package_name(name)})


def get_job(app_id: str, job_id: str) -> Call[Job]:
    """The state of a job."""
    if not isinstance(job_id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", job_id):
        raise InvalidInputError(f"job_id {job_id!r} is not shaped like an id. Give the JobId of an upload.")
    return GET_JOB.call({"app_id": inputs.app_id(app_id), "job_id": job_id})


def package_name(value: object) -> str:
    """Check the name of a file that is to become a package."""
    advice = "Give the name of a file, such as main-2.5.4.63.mda."
    if not isinstance(value, str) or value.strip().lower() in ("", "none"):
        raise InvalidInputError(f"name is empty (it rendered to {value!r}). {advice}")
    if "{{" in value or "{%" in value:
        raise InvalidInputError(f"name {value!r} holds a template that was not rendered. {advice}")
    if not value.isprintable() or "/" in value or "\\" in value or len(value) > _LONGEST_NAME:
        raise InvalidInputError(f"name {value!r} cannot be the name of a file. {advice}")
    return value
