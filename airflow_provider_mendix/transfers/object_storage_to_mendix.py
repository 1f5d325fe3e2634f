"""Transfer of an archived deployment package from object storage back to Mendix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.deploy_v2 import StartedUpload, package_name
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    DamagedFileError,
    InvalidInputError,
    MendixError,
    NotArchivedError,
)
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import boolean
from airflow_provider_mendix.operators.base import MendixWaitingOperator
from airflow_provider_mendix.settings import MAX_CLOCK_SKEW, VISIBILITY_TIMEOUT

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.archive.archived_object import Copy

UPLOAD_KEY = "mendix_upload"
MOST_BYTES = 2**30
"""Mendix documents 1 GB, and not which: above this one it is more by any reading."""
DOUBTFUL_BYTES = 10**9


class ObjectStorageToMendixOperator(MendixWaitingOperator):
    """Upload an archived package to Mendix: the way back, and the way to another app.

    The object is read twice. First all of it is checked: against its manifest (size and sha256), and that it is a
    whole zip; not one request is made before that. Then it is read again and sent; its last piece only if it is
    still the same. A byte that was not checked makes no package. All of it takes constant memory.

    With ``wait_for_completion=True`` (the default) the task waits until Mendix's job is ``Completed``. The task
    returns the ``PackageId``, in XCom under ``mendix_upload`` it leaves ``{"package_id", "job_id", "sha256",
    "size", "source"}``.

    An upload is sent once. Whatever becomes of it, each further try of the task in the same DAG run first looks
    for a package of the app with the same name and size that was created since the run began, and takes that one
    (``job_id`` is ``None`` then), unless it is ``Failed``; ``docs/archive.md`` says where the limits of that are.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api-2/#upload-package

    :param app_id: subdomain of the app to upload to; it may be another one than the package is from.
    :param source: URL of the archived object, such as the ``url`` that :class:`.MendixToObjectStorageOperator`
        returns.
    :param source_conn_id: id of the connection for that storage; none for local files.
    :param name: name of the package in Mendix. Default: the one that the manifest has, else the object's.
    :param require_manifest: refuse an object without a complete manifest. Without one, an object is only checked
        to be a whole zip.
    :param mendix_conn_id: id of the Airflow connection to Mendix.
    :param wait_for_completion: wait until the package is there.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks at the job, at least 5.
    :param timeout: seconds to wait for the job at most; the upload itself takes as long as it takes, unless
        ``execution_timeout`` ends it.
    :param outage_tolerance: seconds without one good answer from Mendix that the wait puts up with.
    :raises AirflowFailException: if a value cannot be right, the object is not there or not right, or is too big
        (all before any request), or the key is refused: another try would only meet that again.
    :raises UploadFailedError: if Mendix's job ends as ``Failed``.
    :raises MendixConnectionError: if the upload breaks off, or no answer comes.
    :raises WaitTimeoutError: if the job is not done in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "source", "source_conn_id", "name")

    def __init__(
        self,
        *,
        app_id: str,
        source: str,
        source_conn_id: str | None = None,
        name: str | None = None,
        require_manifest: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
        self.source = source
        self.source_conn_id = source_conn_id
        self.name = name
        self.require_manifest = boolean("require_manifest", require_manifest)

    def execute(self, context: Context) -> str:
        """Check the object, upload it unless that was done before, and wait if asked to."""
        from airflow_provider_mendix.archive.archived_object import verify
        from airflow_provider_mendix.waits.package import PackageWait
        from airflow_provider_mendix.waits.upload import UploadWait

        with fail_without_retry(self, NotArchivedError, DamagedFileError):
            self.check_rendered(context)
            app_id = inputs.app_id(self.app_id)
            if self.name is not None:
                package_name(self.name)
            copy = self._look(app_id)
            name = self._name_of(copy)
            self.log.info("Checking %s: %s bytes.", copy.url, copy.size)
            sha256 = verify(copy)
            hook = MendixHook(self.mendix_conn_id)
            # Asked in any case: a refused key or a wrong app shows here, and not after a gigabyte.
            packages = hook.list_packages(app_id)
            found = self._uploaded_before(packages, name, copy.size, context)
            wait: PackageWait | UploadWait
            if found:
                wait, job_id = PackageWait(app_id, found.package_id), None
            else:
                started = self._upload(hook, app_id, name, copy, sha256)
                job_id = started.job_id
                visible_by = current_clock().now() + VISIBILITY_TIMEOUT
                wait = UploadWait(app_id, job_id, started.package_id, visible_by=visible_by)
            values = {"package_id": wait.package_id, "job_id": job_id, "sha256": sha256, "size": copy.size}
            context["ti"].xcom_push(key=UPLOAD_KEY, value={**values, "source": copy.url})
            if not self.wait_for_completion:
                return wait.package_id
            return self.finish(self.wait_for(hook, wait))

    def finish(self, result: dict[str, Any]) -> str:
        """Give the ``PackageId``."""
        return str(result["package_id"])

    def _look(self, app_id: str) -> Copy:
        from airflow_provider_mendix.archive.archived_object import look

        source = self.source
        if not isinstance(source, str) or not source or source.endswith("/") or "{{" in source or "{%" in source:
            raise InvalidInputError(
                f"source {source!r} does not name an object. Give the URL of an archived package, such as"
                " s3://releases/shop/2.5.4.mda."
            )
        copy = look(ObjectStoragePath(source, conn_id=self.source_conn_id), require_manifest=self.require_manifest)
        if copy.size > MOST_BYTES:
            raise InvalidInputError(
                f"{copy.url} has {copy.size} bytes, and Mendix takes no file above 1 GB ({MOST_BYTES} bytes)."
            )
        if copy.size > DOUBTFUL_BYTES:
            self.log.warning(
                "%s has %s bytes. Mendix takes files up to 1 GB, and does not say whether that is %s or %s bytes.",
                copy.url,
                copy.size,
                DOUBTFUL_BYTES,
                MOST_BYTES,
            )
        if copy.manifest is None:
            self.log.warning("%s has no complete manifest: nothing tells whether it is what it was.", copy.url)
        elif copy.manifest.app_id != app_id:
            self.log.info(
                "%s is package %s of app %s; it goes to app %s.",
                copy.url,
                copy.manifest.package_id,
                copy.manifest.app_id,
                app_id,
            )
        return copy

    def _name_of(self, copy: Copy) -> str:
        if self.name is not None:
            return package_name(self.name)
        return package_name((copy.manifest and copy.manifest.name) or copy.path.rpartition("/")[2])

    def _upload(self, hook: MendixHook, app_id: str, name: str, copy: Copy, sha256: str) -> StartedUpload:
        from airflow_provider_mendix.archive.archived_object import read_again

        self.log.info("Uploading %s to app %s as %s: sha256 %s.", copy.url, app_id, name, sha256)
        try:
            started = hook.upload_package(app_id, name=name, size=copy.size, chunks=read_again(copy, sha256))
        except MendixError as error:
            if not error.outcome_unknown:
                raise
            raise error.with_hint(
                f"If it has, app {app_id} has a new package named {name} with {copy.size} bytes, or soon"
                " will have. Another try of this task looks for it, and takes it instead of uploading again."
            ) from error
        self.log.info("Uploaded. Package %s of app %s, job %s.", started.package_id, app_id, started.job_id)
        return started

    def _uploaded_before(self, packages: list[Package], name: str, size: int, context: Context) -> Package | None:
        """Find what an earlier try has uploaded: the oldest one, so that all tries take the same."""
        task: Any = context["ti"]
        if task.try_number <= 1:
            return None
        run: Any = context["dag_run"]
        # Clearing a task of a run that is over lets the run begin anew; when it was due stays.
        began = min(
            (at.timestamp() for at in (run.start_date, getattr(run, "run_after", None)) if at), default=0.0
        )
        found = sorted(
            (package for package in packages if _is_ours(package, name, size, began - MAX_CLOCK_SKEW)),
            key=lambda package: (package.creation_date, package.package_id),
        )
        if not found:
            return None
        self.log.info(
            "Package %s (%s) has this name and size, and was uploaded during this run: it is not uploaded again.",
            found[0].package_id,
            found[0].status,
        )
        if len(found) > 1:
            extra = ", ".join(package.package_id for package in found[1:])
            self.log.warning("There are more of them, which nobody waits for: %s.", extra)
        return found[0]


def _is_ours(package: Package, name: str, size: int, not_before: float) -> bool:
    """A size that is no whole number, or not known yet, says nothing."""
    made = package.creation_date
    return (
        package.name == name
        and package.status != "Failed"
        and made is not None
        and made.timestamp() >= not_before
        and (package.size == size or not isinstance(package.size, int))
    )
