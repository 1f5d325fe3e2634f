"""The Deploy API, version 2: jobs, and the names of uploads. `tests/client/test_multipart.py` uploads files."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api import deploy_v2
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    InvalidInputError,
    InvalidRequestError,
    NotFoundError,
)

from .checks import check_refusal, documented

JOB_ID = "66046953-ecf7-4550-a889-4b7e9f1e1705"
GET_JOB = deploy_v2.get_job("calc", JOB_ID)
CALLS = [
    (
        deploy_v2.get_job("calc", JOB_ID),
        f"/api/v2/apps/calc/jobs/{JOB_ID}",
        None,
        "deploy_v2/job.json",
        deploy_v2.Job(status="Completed"),
    ),
]
ELSEWHERE = (deploy_v2.UPLOAD_PACKAGE,)
FIELDS = [
    (deploy_v2.StartedUpload, "deploy_v2/started_upload.json", ()),
    (deploy_v2.Job, "deploy_v2/job.json", ()),
]


TestDocumented = documented(deploy_v2, CALLS, FIELDS, elsewhere=ELSEWHERE)


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [(400, "invalid_appid", InvalidRequestError), (404, "app_not_found", AppNotFoundError)],
)
def test_a_job_is_refused_as_by_version_1(mendix, sample, status, answer, kind):
    """Version 2 documents no refusal; those of version 1 are expected of it too."""
    check_refusal(mendix, GET_JOB, status, sample(f"deploy/error_{answer}.json"), kind, kind.advice)


def test_a_missing_job(mendix):
    assert type(mendix.refusal(GET_JOB, b"", 404)) is NotFoundError


@pytest.mark.parametrize("name", ["", " ", None, "{{ name }}", "a/b.mda", "a\\b.mda", "a\r\nb.mda", "x" * 256])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(InvalidInputError, match="^name "):
        deploy_v2.upload_package("calc", name)


@pytest.mark.parametrize("job_id", ["", None, "..", "a/b", "{{ job }}"])
def test_a_job_id_that_is_none_is_refused(job_id):
    with pytest.raises(InvalidInputError, match="^job_id "):
        deploy_v2.get_job("calc", job_id)
