"""Transfer of a deployment package from Mendix to object storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, ObjectStoragePath

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.build import require_succeeded
from airflow_provider_mendix.exceptions import ObjectExistsError
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import RenderedArguments, checked
from airflow_provider_mendix.operators.lineage import Lineage, WithLineage
from airflow_provider_mendix.settings import DEFAULT_OUTAGE_TOLERANCE

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.operators.signatures import OperatorArguments, Text

__all__ = ["MendixToObjectStorageOperator"]

IfObjectExists = Literal["fail", "skip", "replace"]
Verify = Literal["structure", "deep"]


@contextmanager
def skip_existing(if_object_exists: object) -> Iterator[None]:
    """Skip the task for an object that must not be replaced, if the author wants that."""
    try:
        yield
    except ObjectExistsError as error:
        if if_object_exists != "skip":
            raise
        raise AirflowSkipException(str(error)) from error


class MendixToObjectStorageOperator(WithLineage, RenderedArguments, BaseOperator):
    """Store the file of a ``Succeeded`` package in object storage, whole and checked, or not at all.

    The object appears under its name only when all of it has arrived and proved right; ``docs/archive.md`` says
    how it is checked. Beside it is a manifest, ``<object>.manifest.json``. A download that breaks continues where
    it stopped, with a new link if the old one has expired. The file host gets no Mendix credentials.

    A task that runs again finds its object and does nothing.

    The task returns ``{"package_id", "app_id", "version", "revision", "url", "manifest", "size", "sha256",
    "stored"}``; ``stored`` says whether this run stored the object.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/#retrieve-package

    :param app_id: subdomain of the app.
    :param package_id: id of the package.
    :param destination: URL of the object, such as ``s3://releases/shop/2.5.4.mda``, or an ``ObjectStoragePath``,
        whose connection is used then; local paths must be absolute. Besides Jinja, ``{app_id}``,
        ``{package_id}``, ``{version}`` (three parts), ``{revision}``, ``{branch}`` and ``{name}`` are filled in
        from the package, made safe for a path.
    :param destination_conn_id: id of the connection for that storage; none for local files.
    :param if_object_exists: what to do if there is an object that is not known to be this package: ``fail``,
        ``skip`` the task, or ``replace`` it.
    :param verify: ``structure`` checks size, the host's checksum and that it is a whole zip; ``deep`` (default)
        also every file in the zip, and that the zip's directory describes each file as it is.
    :param outage_tolerance: how long the download may make no progress before it gives up, in seconds (default
        15 minutes).
    :param fast_path: upload to S3 with `obstore`, if that is installed (``airflow-provider-mendix[fast]``) and
        supports all that the connection says.
    :param mendix_conn_id: id of the Airflow connection to Mendix.
    :raises AirflowFailException: if a value is wrong (before any byte moves), the key is refused, there is no such
        package, another object is there, or the file cannot be checked as requested.
    :raises AirflowSkipException: if another object is there, and ``if_object_exists`` is ``skip``.
    :raises PackageNotReadyError: if the package is not ``Succeeded`` or has no file.
    :raises DownloadError: if the file does not arrive whole and right.
    """

    template_fields: Sequence[str] = (
        "mendix_conn_id",
        "app_id",
        "package_id",
        "destination",
        "destination_conn_id",
        "if_object_exists",
        "verify",
    )

    def __init__(
        self,
        *,
        app_id: Text,
        package_id: Text,
        destination: ObjectStoragePath | Text,
        destination_conn_id: Text | None = None,
        if_object_exists: IfObjectExists | Text = "fail",
        verify: Verify | Text = "deep",
        outage_tolerance: float | timedelta = DEFAULT_OUTAGE_TOLERANCE,
        fast_path: bool = True,
        mendix_conn_id: Text = MendixHook.default_conn_name,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.package_id: Any = package_id
        self.destination: Any = destination
        self.destination_conn_id: Any = destination_conn_id
        self.if_object_exists: Any = if_object_exists
        self.verify: Any = verify
        self.outage_tolerance: float = checked("outage_tolerance", outage_tolerance)
        self.fast_path: bool = checked("fast_path", fast_path)
        self.mendix_conn_id: Any = mendix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Store the file, unless it is there."""
        with fail_without_retry(self), skip_existing(self.if_object_exists):
            return self._archive(context)

    def _archive(self, context: Context) -> dict[str, Any]:
        # Only a running task needs these modules; parsing a DAG file does not.
        from airflow_provider_mendix.archive import destination as location
        from airflow_provider_mendix.archive.manifest import TaskRun
        from airflow_provider_mendix.archive.package_source import PackageSource
        from airflow_provider_mendix.archive.stores.selection import select_store
        from airflow_provider_mendix.archive.writer import ArchiveRequest, ArchiveWriter
        from airflow_provider_mendix.operators.outlets import describe

        inputs.one_of("if_object_exists", self.if_object_exists, get_args(IfObjectExists))
        inputs.one_of("verify", self.verify, get_args(Verify))
        self.check_rendered(context)
        destination, conn_id = location.url_of("destination", self.destination, self.destination_conn_id)
        location.check(destination)
        app_id, package_id = inputs.app_id(self.app_id), inputs.package_id(self.package_id)
        store = select_store(location.locate(destination, conn_id), fast_path=self.fast_path)
        hook = MendixHook(self.mendix_conn_id)
        package = hook.get_package(app_id, package_id)
        require_succeeded(app_id, package)
        request = ArchiveRequest(
            source=PackageSource(hook, app_id, package, deep=self.verify == "deep"),
            destination=location.locate(location.fill(destination, app_id, package), conn_id),
            store=store,
            replace=self.if_object_exists == "replace",
            outage_tolerance=self.outage_tolerance,
            task=TaskRun.of(context["ti"]),
        )
        result = ArchiveWriter(hook, request).run().summary()
        facts = {name: result[name] for name in ("app_id", "package_id", "version", "revision", "sha256", "url")}
        lineage = Lineage(target=result["url"], facts=facts, source=("packages", app_id, package.branch or "main"))
        describe(self, context, lineage)
        return result
