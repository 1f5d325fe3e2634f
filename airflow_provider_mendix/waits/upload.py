"""Wait for an upload."""

from __future__ import annotations

from airflow_provider_mendix.api.call import Call
from airflow_provider_mendix.api.deploy_v2 import Job, JobStatus, get_job
from airflow_provider_mendix.exceptions import UploadFailedError
from airflow_provider_mendix.waits.base import Outcome, Wait


class UploadWait(Wait, frozen=True, tag=True):
    """Wait until the job that makes a package of an uploaded file is ``Completed``.

    :param package_id: the package that the job makes.
    """

    app_id: str
    job_id: str
    package_id: str

    @property
    def description(self) -> str:
        return f"Upload of package {self.package_id} to app {self.app_id} (job {self.job_id})"

    def call(self) -> Call[Job]:
        return get_job(self.app_id, self.job_id)

    def judge(self, response: Job) -> Outcome:
        if response.status == JobStatus.FAILED:
            raise UploadFailedError(
                f"{self.description} ended as Failed. Mendix gives no reason; check the app's Environments page in"
                " the portal. Another try of the task uploads the file again."
            )
        done = response.status == JobStatus.COMPLETED
        result = {"package_id": self.package_id, "job_id": self.job_id}
        return Outcome(response.status, done=done, result=result if done else {})
