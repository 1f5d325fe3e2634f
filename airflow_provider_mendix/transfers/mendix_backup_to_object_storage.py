"""Transfer of a snapshot's archive from Mendix to object storage."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.backups import BackupState, DataType
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import DownloadError, EnvironmentStateError, NotFoundError
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators._environment import MendixEnvironmentOperator
from airflow_provider_mendix.operators.arguments import InvalidArgumentError, checked
from airflow_provider_mendix.operators.lineage import Lineage, WithLineage
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT
from airflow_provider_mendix.transfers.mendix_to_object_storage import IfObjectExists, skip_existing

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.api.backups import Archive
    from airflow_provider_mendix.archive.requested import Note
    from airflow_provider_mendix.archive.writer import ArchiveWriter
    from airflow_provider_mendix.operators.signatures import EnvironmentArguments, Text

__all__ = ["MendixBackupToObjectStorageOperator"]

Data = Literal["files_and_database", "database_only"]
FIELDS = ("app_id", "environment", "snapshot_id", "data_type", "version", "created")


class MendixBackupToObjectStorageOperator(WithLineage, MendixEnvironmentOperator):
    """Keep a snapshot for longer than Mendix does: store its archive in object storage, whole, or not at all.

    Mendix makes the archive, which takes minutes to hours; then it is stored as
    :class:`.MendixToObjectStorageOperator` stores a package: under its name only when all of it has arrived, with
    a manifest beside it, continued after a break. ``docs/archive.md`` says how it is checked.

    A task that runs again finds its object and does nothing, or goes on with the archive that an earlier try has
    asked for. The signed link is in no log, XCom or trigger.

    The task returns ``{"snapshot_id", "data_type", "app_id", "environment", "model_version", "url", "manifest",
    "size", "sha256", "stored"}``; ``stored`` says whether this run stored the object.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/backups-api/#request-archive

    :param app_id: subdomain of the app.
    :param environment: name of the environment that the snapshot is of, exactly as Mendix spells it.
    :param snapshot_id: the snapshot, which must be ``completed``.
    :param destination: URL of the object, such as ``s3://backups/shop/2026-11-25.tar.gz``, or an
        ``ObjectStoragePath``, whose connection is used then; local paths must be absolute. Besides Jinja,
        ``{app_id}``, ``{environment}``, ``{snapshot_id}``, ``{data_type}``, ``{version}`` (of the app's model) and
        ``{created}`` (the snapshot's date and time) are filled in, made safe for a path.
    :param destination_conn_id: id of the connection for that storage; none for local files.
    :param data_type: ``files_and_database``, a ``.tar.gz`` (default); or ``database_only``, a dump of PostgreSQL.
    :param if_object_exists: what to do if there is an object that is not known to be this archive: ``fail``,
        ``skip`` the task, or ``replace`` it.
    :param fast_path: upload to S3 with `obstore`, if that is installed (``airflow-provider-mendix[fast]``) and
        supports all that the connection says.
    :param mendix_conn_id: id of the Airflow connection to Mendix.
    :param deferrable: wait for the archive in the triggerer, without a worker slot. Default: ``[operators]
        default_deferrable``.
    :param poll_interval: seconds between two polls, at least 5.
    :param timeout: how long to wait, in seconds: until Mendix accepts the request, and then until the archive is
        made.
    :param outage_tolerance: how long polling may keep failing, and how long the download may make no progress,
        in seconds.
    :raises AirflowFailException: if a value is wrong (before any request), the environment or the snapshot does
        not exist, the snapshot is not ``completed``, the user has no access, another object is there, or the file
        cannot be checked.
    :raises AirflowSkipException: if another object is there, and ``if_object_exists`` is ``skip``.
    :raises BackupFailedError: if Mendix cannot make the archive; with Mendix's own words.
    :raises DownloadError: if the file does not arrive whole and right.
    :raises WaitTimeoutError: if the archive is not made in time.
    """

    template_fields: Sequence[str] = (
        "mendix_conn_id",
        "app_id",
        "environment",
        "snapshot_id",
        "destination",
        "destination_conn_id",
        "data_type",
        "if_object_exists",
    )
    action = "archive a snapshot of"

    def __init__(
        self,
        *,
        snapshot_id: Text,
        destination: ObjectStoragePath | Text,
        destination_conn_id: Text | None = None,
        data_type: Data | Text = "files_and_database",
        if_object_exists: IfObjectExists | Text = "fail",
        fast_path: bool = True,
        **kwargs: Unpack[EnvironmentArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.snapshot_id: Any = snapshot_id
        self.destination: Any = destination
        self.destination_conn_id: Any = destination_conn_id
        self.data_type: Any = data_type
        self.if_object_exists: Any = if_object_exists
        self.fast_path: bool = checked("fast_path", fast_path)
        if not self.wait_for_completion:
            raise InvalidArgumentError(
                "wait_for_completion must be True: there is nothing to store before Mendix has made the archive."
                " Use deferrable=True to wait without a worker slot."
            )

    def execute(self, context: Context) -> dict[str, Any]:
        """Find the object, or ask for the archive, wait for it and store it."""
        from airflow_provider_mendix.waits.backup import ArchiveWait

        with fail_without_retry(self), skip_existing(self.if_object_exists):
            self.check_rendered(context)
            hook = MendixHook(self.mendix_conn_id)
            writer, note = self._prepare(hook, context)
            if existing := writer.find():
                note.remove()
                return self._described(existing.summary(), context)
            ids = hook.environment_ids(self.app_id, self.environment)
            archive_id = self._find_or_request(hook, note, ids.environment_id)
            visible_by = current_clock().now() + VISIBILITY_TIMEOUT
            wait = ArchiveWait(
                self.app_id, self.environment, *ids, self.snapshot_id, archive_id, visible_by=visible_by
            )
            return self._store(hook, self.wait_for(hook, wait), context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Go on after the triggerer has waited for the archive."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self), skip_existing(self.if_object_exists):
            return self._store(MendixHook(self.mendix_conn_id), result_of(event), context)

    def _prepare(self, hook: MendixHook, context: Context, archive_id: str = "") -> tuple[ArchiveWriter, Note]:
        """Check all values and the snapshot."""
        # Only a running task needs these modules; parsing a DAG file does not.
        from airflow_provider_mendix.archive import destination as location
        from airflow_provider_mendix.archive.backup_source import BackupSource
        from airflow_provider_mendix.archive.manifest import TaskRun
        from airflow_provider_mendix.archive.requested import Note
        from airflow_provider_mendix.archive.stores.selection import select_store
        from airflow_provider_mendix.archive.writer import ArchiveRequest, ArchiveWriter

        data_type = inputs.one_of("data_type", self.data_type, list(DataType))
        inputs.one_of("if_object_exists", self.if_object_exists, get_args(IfObjectExists))
        destination, conn_id = location.url_of("destination", self.destination, self.destination_conn_id)
        location.check(destination, FIELDS)
        app_id, snapshot_id = inputs.app_id(self.app_id), inputs.uuid("snapshot_id", self.snapshot_id)
        store = select_store(location.locate(destination, conn_id), fast_path=self.fast_path)
        ids = self.retry_until_timeout(partial(hook.environment_ids, app_id, self.environment))
        snapshot = hook.get_snapshot(app_id, self.environment, snapshot_id)
        if snapshot.state != BackupState.COMPLETED:
            raise EnvironmentStateError(
                f"Snapshot {snapshot_id} of {self.target} is {snapshot.state}, and only one that is completed has"
                " an archive. MendixCreateBackupOperator waits for that, with wait_for_completion=True."
            )
        values = {
            "app_id": app_id,
            "environment": self.environment,
            "snapshot_id": snapshot_id,
            "data_type": data_type,
            "version": snapshot.model_version,
            "created": f"{snapshot.created_at:%Y-%m-%dT%H-%M-%SZ}" if snapshot.created_at else None,
        }
        path = location.locate(location.fill_in(destination, values, f"snapshot {snapshot_id}"), conn_id)
        request = ArchiveRequest(
            source=BackupSource(
                hook, app_id, self.environment, ids.environment_id, snapshot, data_type, archive_id
            ),
            destination=path,
            store=store,
            replace=self.if_object_exists == "replace",
            outage_tolerance=self.outage_tolerance,
            task=TaskRun.of(context["ti"]),
        )
        return ArchiveWriter(hook, request), Note(store, path.path)

    def _find_or_request(self, hook: MendixHook, note: Note, environment_id: str) -> str:
        """Return the archive that an earlier try has asked for, unless that has failed, or ask for one."""
        from airflow_provider_mendix.archive.requested import RequestedArchive

        def requested(archive_id: str) -> RequestedArchive:
            return RequestedArchive(environment_id, self.snapshot_id, self.data_type, archive_id)

        noted = note.read()
        if noted and noted == requested(noted.archive_id):
            with contextlib.suppress(NotFoundError):
                found = hook.get_archive(self.app_id, self.environment, self.snapshot_id, noted.archive_id)
                if found.state != BackupState.FAILED:
                    self.log.info("Found archive %s (%s), which an earlier try has asked for.", *_shown(found))
                    return found.archive_id
        made = self.retry_until_timeout(
            partial(hook.create_archive, self.app_id, self.environment, self.snapshot_id, data_type=self.data_type)
        )
        self.log.info("Mendix makes archive %s (%s) of snapshot %s.", *_shown(made), self.snapshot_id)
        note.write(requested(made.archive_id))
        return made.archive_id

    def _store(self, hook: MendixHook, result: dict[str, Any], context: Context) -> dict[str, Any]:
        from airflow_provider_mendix.client.ranges import is_refusal

        writer, note = self._prepare(hook, context, result["archive_id"])
        try:
            stored = writer.run()
        except DownloadError as error:
            # The links to this archive may have expired for good, so that another try needs another archive.
            if is_refusal(error.status):
                note.remove()
            raise
        note.remove()
        return self._described(stored.summary(), context)

    def _described(self, result: dict[str, Any], context: Context) -> dict[str, Any]:
        from airflow_provider_mendix.operators.outlets import describe

        names = ("app_id", "environment", "snapshot_id", "data_type", "model_version", "sha256", "url")
        describe(self, context, Lineage(target=result["url"], facts={name: result[name] for name in names}))
        return result


def _shown(archive: Archive) -> tuple[str, str]:
    return archive.archive_id, archive.state
