"""Transfer of an archived deployment package from object storage back to Mendix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.deploy_v2 import StartedUpload, package_name
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import InvalidInputError, MendixError, PackageFailedError
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import checked
from airflow_provider_mendix.operators.base import MendixWaitingOperator
from airflow_provider_mendix.operators.lineage import Lineage, WithLineage
from airflow_provider_mendix.settings import MAX_CLOCK_SKEW, VISIBILITY_TIMEOUT

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.api.build import Package
    from airflow_provider_mendix.archive.archived_object import ArchivedObject
    from airflow_provider_mendix.operators.signatures import Text, WaitingArguments

__all__ = ["ObjectStorageToMendixOperator"]

UPLOAD_KEY = "mendix_upload"
MAX_SIZE = 2**30
"""Bytes. Mendix documents 1 GB without saying which: what is bigger than this is too big by any reading."""
CERTAIN_SIZE = 10**9


class ObjectStorageToMendixOperator(WithLineage, MendixWaitingOperator):
    """Upload an archived package to Mendix: to roll back, or to bring it to another app.

    The object is read twice. First all of it is checked: against its manifest (size and SHA-256), and that it is a
    whole zip; no request is sent before that. Then it is read again and sent; its last chunk only if it is still
    the same. So a byte that was not checked makes no package. All of it takes constant memory.

    With ``wait_for_completion=True`` (the default) the task waits until Mendix's job is ``Completed``. The task
    returns the ``PackageId``, and pushes ``package_id``, ``job_id``, ``sha256``, ``size``, ``version``,
    ``revision`` and ``source`` to XCom under ``mendix_upload``.

    An upload is sent once. Each further try of the task in the same DAG run first searches for a package of the
    app with the same name and size that was created since the run began, and takes that one (``job_id`` is
    ``None`` then), unless it is ``Failed``; ``docs/archive.md`` says where the limits of that are.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/deploy-api-2/#upload-package

    :param app_id: subdomain of the app to upload to; it may be another one than the package is from.
    :param source: URL of the archived object, such as the ``url`` that :class:`.MendixToObjectStorageOperator`
        returns, or an ``ObjectStoragePath``, whose connection is used then.
    :param source_conn_id: id of the connection for that storage; none for local files.
    :param name: name of the package in Mendix. Default: the name in the manifest, else the object's.
    :param require_manifest: refuse an object without a complete manifest. Without one, an object is only checked
        to be a whole zip.
    :param mendix_conn_id: id of the Airflow connection to Mendix.
    :param wait_for_completion: wait until the package is there.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls of the job, at least 5.
    :param timeout: seconds after which the wait for the job gives up. The upload itself is limited only by
        ``execution_timeout``.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds.
    :raises AirflowFailException: if a value is wrong, the object is missing or not right, or is too big (all
        before any request), or the key is refused: a retry could not fix that.
    :raises UploadFailedError: if Mendix's job ends as ``Failed``.
    :raises MendixConnectionError: if the upload breaks off, or no response comes.
    :raises WaitTimeoutError: if the job is not done in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "source", "source_conn_id", "name")
    retried_errors = (PackageFailedError,)  # of an earlier try: another one uploads the file again

    def __init__(
        self,
        *,
        app_id: Text,
        source: ObjectStoragePath | Text,
        source_conn_id: Text | None = None,
        name: Text | None = None,
        require_manifest: bool = True,
        **kwargs: Unpack[WaitingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.source: Any = source
        self.source_conn_id: Any = source_conn_id
        self.name: Any = name
        self.require_manifest: bool = checked("require_manifest", require_manifest)

    def execute(self, context: Context) -> str:
        """Check the object, upload it unless that was done before, and wait if asked to."""
        from airflow_provider_mendix.waits.package import PackageWait
        from airflow_provider_mendix.waits.upload import UploadWait

        with fail_without_retry(self):
            self.check_rendered(context)
            app_id = inputs.app_id(self.app_id)
            if self.name is not None:
                package_name(self.name)
            found = self._find_archived(app_id)
            name = self._name_of(found)
            self.log.info("Checking %s: %s bytes.", found.url, found.size)
            sha256 = found.verify()
            hook = MendixHook(self.mendix_conn_id)
            uploaded = self._find_uploaded(hook, app_id, name, found.size, context)
            wait: PackageWait | UploadWait
            if uploaded:
                wait, job_id = PackageWait(app_id, uploaded.package_id), None
            else:
                started = self._upload(hook, app_id, name, found, sha256)
                job_id = started.job_id
                visible_by = current_clock().now() + VISIBILITY_TIMEOUT
                wait = UploadWait(app_id, job_id, started.package_id, visible_by=visible_by)
            values = {"package_id": wait.package_id, "job_id": job_id, "sha256": sha256, "size": found.size}
            if found.manifest:
                values |= {"version": found.manifest.version, "revision": found.manifest.revision}
            context["ti"].xcom_push(key=UPLOAD_KEY, value={**values, "source": found.url})
            if not self.wait_for_completion:
                return self.finish({"package_id": wait.package_id}, context)
            return self.finish(self.wait_for(hook, wait), context)

    def finish(self, result: dict[str, Any], context: Context) -> str:
        """Return the ``PackageId``."""
        from airflow_provider_mendix.operators.outlets import describe, is_description_wanted, own_xcom

        if is_description_wanted(self):
            uploaded = own_xcom(context, UPLOAD_KEY)
            facts = {name: uploaded.get(name) for name in ("version", "revision", "sha256")}
            facts |= {"app_id": self.app_id, "package_id": result["package_id"], "url": uploaded.get("source")}
            source = str(uploaded.get("source"))
            describe(self, context, Lineage(target=("packages", self.app_id, "main"), facts=facts, source=source))
        return str(result["package_id"])

    def _find_archived(self, app_id: str) -> ArchivedObject:
        from airflow_provider_mendix.archive.archived_object import find_archived
        from airflow_provider_mendix.archive.destination import check_spelling, url_of

        source, conn_id = url_of("source", self.source, self.source_conn_id)
        if not isinstance(source, str) or not source or source.endswith("/") or "{{" in source or "{%" in source:
            raise InvalidInputError(
                f"source {source!r} does not name an object. Use the URL of an archived package, such as"
                " s3://releases/shop/2.5.4.mda."
            )
        check_spelling("source", source)
        path = ObjectStoragePath(source, conn_id=conn_id)
        found = find_archived(path, require_manifest=self.require_manifest)
        if found.size > MAX_SIZE:
            raise InvalidInputError(
                f"{found.url} has {found.size} bytes, and Mendix takes no file above 1 GB ({MAX_SIZE} bytes)."
            )
        if found.size > CERTAIN_SIZE:
            self.log.warning(
                "%s has %s bytes. Mendix takes files up to 1 GB, and does not say whether that is %s or %s bytes.",
                found.url,
                found.size,
                CERTAIN_SIZE,
                MAX_SIZE,
            )
        if found.manifest is None:
            self.log.warning("%s has no complete manifest: it cannot be compared with what was built.", found.url)
        elif found.manifest.app_id != app_id:
            self.log.info(
                "%s is package %s of app %s; uploading it to app %s.",
                found.url,
                found.manifest.package_id,
                found.manifest.app_id,
                app_id,
            )
        return found

    def _name_of(self, found: ArchivedObject) -> str:
        if self.name is not None:
            return package_name(self.name)
        return package_name((found.manifest and found.manifest.name) or found.path.rpartition("/")[2])

    def _upload(
        self, hook: MendixHook, app_id: str, name: str, found: ArchivedObject, sha256: str
    ) -> StartedUpload:
        self.log.info("Uploading %s to app %s as %s: SHA-256 %s.", found.url, app_id, name, sha256)
        try:
            started = hook.upload_package(app_id, name=name, size=found.size, chunks=found.read_verified(sha256))
        except MendixError as error:
            if not error.outcome_unknown:
                raise
            raise error.with_hint(
                f"If it has, app {app_id} has a new package named {name} with {found.size} bytes, or soon will"
                " have. Another try of this task searches for it, and takes it instead of uploading again."
            ) from error
        self.log.info("Uploaded package %s of app %s, job %s.", started.package_id, app_id, started.job_id)
        return started

    def _find_uploaded(
        self, hook: MendixHook, app_id: str, name: str, size: int, context: Context
    ) -> Package | None:
        """Return what an earlier try has uploaded.

        The packages are listed in any case: a refused key or a wrong app shows here, and not after a gigabyte.
        """
        from airflow_provider_mendix.builds.marker import is_retry as is_retry_of
        from airflow_provider_mendix.builds.started_before import Order, find_started_before

        # An upload has no marker: after a Clear of the same DAG run, its package is found too.
        is_retry = is_retry_of(context["ti"], self.retries, on_clear="reattach")
        not_before = _began_at(context) - MAX_CLOCK_SKEW

        def pick_own(packages: list[Package]) -> list[Package]:
            own = [package for package in packages if _is_upload(package, name, size, not_before)]
            return [package for package in own if package.status != "Failed"] if is_retry else []

        own, _ = find_started_before(
            lambda: hook.list_packages(app_id),
            pick_own,
            lambda package: Order.of(package.package_id, package.creation_date, has_failed=False),
            timeout=VISIBILITY_TIMEOUT if is_retry else 0,
            is_settled=lambda packages: any(_is_upload(package, name, size, not_before) for package in packages),
        )
        if not own:
            return None
        first, *others = own
        self.log.info(
            "Found package %s (%s) of this name and size, uploaded during this run; not uploading again.",
            first.package_id,
            first.status,
        )
        if others:
            extra = ", ".join(package.package_id for package in others)
            self.log.warning("There are more of them, which no task waits for: %s.", extra)
        return first


def _began_at(context: Context) -> float:
    """Return when the run began: clearing a finished run lets it begin again, but not when it was due."""
    run: Any = context["dag_run"]
    return min((at.timestamp() for at in (run.start_date, getattr(run, "run_after", None)) if at), default=0.0)


def _is_upload(package: Package, name: str, size: int, not_before: float) -> bool:
    """Return whether a package can be the upload; a size that is not a whole number says nothing."""
    made = package.creation_date
    return (
        package.name == name
        and made is not None
        and made.timestamp() >= not_before
        and (package.size == size or not isinstance(package.size, int))
    )
