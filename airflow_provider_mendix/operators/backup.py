"""Operators for backups: make a snapshot of an environment, restore one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.deploy import EnvironmentStatus
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import EnvironmentStateError
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators._environment import MendixChangingOperator, MendixEnvironmentOperator
from airflow_provider_mendix.operators.arguments import as_written, checked
from airflow_provider_mendix.operators.lineage import Lineage, WithLineage
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.operators.signatures import ChangingArguments, EnvironmentArguments, Text

__all__ = ["MendixCreateBackupOperator", "MendixRestoreBackupOperator"]

BACKUP_KEY = "mendix_backup"


class MendixCreateBackupOperator(MendixEnvironmentOperator):
    """Make a snapshot of an environment's database and files, and wait until it is ``completed``.

    A snapshot only reads, so production needs no permission in the DAG. The app may run meanwhile.

    The task returns the ``snapshot_id``. XCom has under ``mendix_backup``: ``snapshot_id``, ``state``,
    ``model_version``, ``comment``, ``created_at``, ``finished_at``, ``expires_at``.

    One task run makes one snapshot, whatever crashes: its comment ends with a marker, and the task searches the
    list for its own snapshot before it asks for one. A retry after a snapshot that ended as ``failed`` makes a new
    one, and so does a Clear. While the environment is busy (another backup, maintenance) and after a lost
    response, the task searches and tries again every ``poll_interval`` until ``timeout``, on the worker.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/backups-api/#create-snapshot

    :param app_id: subdomain of the app.
    :param environment: name of the environment, exactly as Mendix spells it.
    :param comment: free text that Mendix keeps with the snapshot; cut to leave room for the marker.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until the snapshot is ``completed``.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls, at least 5.
    :param timeout: how long to wait, in seconds: until Mendix accepts the request, and then until it is done.
        After a timeout, the backup goes on in Mendix.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds.
    :raises AirflowFailException: if the environment does not exist, the user may not back it up, a value is
        invalid or the key is refused. The reason is its ``__context__``.
    :raises BackupFailedError: if the snapshot ends as ``failed``; with Mendix's own words.
    :raises WaitTimeoutError: if it is not done in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "environment", "comment")
    action = "back up"

    def __init__(self, *, comment: Text | None = None, **kwargs: Unpack[EnvironmentArguments]) -> None:
        super().__init__(**kwargs)
        self.comment: Any = comment
        self._as_written = as_written(app_id=self.app_id, environment=self.environment, comment=comment)

    def execute(self, context: Context) -> str:
        """Find or start the snapshot, and wait for it if asked to."""
        from airflow_provider_mendix.builds.marker import owner_of
        from airflow_provider_mendix.builds.snapshots import SnapshotRequest
        from airflow_provider_mendix.waits.backup import SnapshotWait, details

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            self.check_rendered(context)
            comment = inputs.free_text("comment", self.comment)
            ids = self.retry_until_timeout(partial(hook.environment_ids, self.app_id, self.environment))
            owner = owner_of(context, self._as_written, retries=self.retries)
            request = SnapshotRequest(hook, owner, self.app_id, self.environment, comment)
            snapshot = self.retry_until_timeout(request.find_or_create)
            context["ti"].xcom_push(key=BACKUP_KEY, value=details(snapshot))
            if not self.wait_for_completion:
                return snapshot.snapshot_id
            visible_by = current_clock().now() + VISIBILITY_TIMEOUT
            wait = SnapshotWait(self.app_id, self.environment, *ids, snapshot.snapshot_id, visible_by=visible_by)
            return self._push_result(self.wait_for(hook, wait), context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the triggerer has waited for the snapshot."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            return self._push_result(result_of(event), context)

    def _push_result(self, result: dict[str, Any], context: Context) -> str:
        context["ti"].xcom_push(key=BACKUP_KEY, value=result)
        return str(result["snapshot_id"])


class MendixRestoreBackupOperator(WithLineage, MendixChangingOperator):
    """Restore a snapshot over **all data** of an environment, and wait until that is ``completed``.

    The environment must be ``Stopped``, and stays so. While it is busy (another backup, maintenance), and after a
    lost response, the task tries again every ``poll_interval`` until ``timeout``, on the worker.

    The task returns the ``restore_id``.

    Mendix has no list of restores, so a restore that an earlier try has started cannot be found: a retry restores
    again. That brings the same data, and Mendix refuses two restores at once. A Clear restores again too, and
    changes of the data since then are lost; an environment that runs is refused.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/backups-api/#restore-snapshot

    :param app_id: subdomain of the app.
    :param environment: name of the environment whose data is replaced, exactly as Mendix spells it.
    :param snapshot_id: the snapshot, of this environment or of another one of the same app.
    :param db_only: leave the files as they are.
    :param allow_production: whether the environment may be production, by Mendix's flag or by its name.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until the data is restored.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls, at least 5.
    :param timeout: how long to wait, in seconds: until Mendix accepts the request, and then until it is done.
        After a timeout, the restore goes on in Mendix.
    :param outage_tolerance: how long polling may keep failing before the wait gives up, in seconds.
    :raises AirflowFailException: if the environment is not ``Stopped``, Mendix refuses, the environment or the
        snapshot does not exist, it is production and not allowed, a value is invalid or the key is refused. The
        reason is its ``__context__``.
    :raises RestoreFailedError: if the restore ends as ``failed``; with Mendix's own words.
    :raises WaitTimeoutError: if it is not done in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "environment", "snapshot_id")
    action = "restore a snapshot to"

    def __init__(self, *, snapshot_id: Text, db_only: bool = False, **kwargs: Unpack[ChangingArguments]) -> None:
        super().__init__(**kwargs)
        self.snapshot_id: Any = snapshot_id
        self.db_only: bool = checked("db_only", db_only)

    def execute(self, context: Context) -> str:
        """Start the restore, and wait for it if asked to."""
        from airflow_provider_mendix.waits.backup import RestoreWait

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            self.check_rendered(context)
            snapshot_id = inputs.uuid("snapshot_id", self.snapshot_id)
            restore_id = self.retry_until_timeout(partial(self._restore, hook, snapshot_id))
            if not self.wait_for_completion:
                return self.finish({"restore_id": restore_id}, context)
            ids = hook.environment_ids(self.app_id, self.environment)
            visible_by = current_clock().now() + VISIBILITY_TIMEOUT
            wait = RestoreWait(self.app_id, self.environment, *ids, restore_id, visible_by=visible_by)
            return self.finish(self.wait_for(hook, wait), context)

    def finish(self, result: dict[str, Any], context: Context) -> str:
        """Return the ``restore_id``."""
        from airflow_provider_mendix.operators.outlets import describe

        facts = {"app_id": self.app_id, "environment": self.environment, "snapshot_id": self.snapshot_id}
        facts["restore_id"] = result["restore_id"]
        describe(self, context, Lineage(target=("environments", self.app_id, self.environment), facts=facts))
        return str(result["restore_id"])

    def _restore(self, hook: MendixHook, snapshot_id: str) -> str:
        status = self.check_allowed(hook).status
        if status != EnvironmentStatus.STOPPED:
            raise EnvironmentStateError(
                f"The {self.target} is {status}, and data can only be restored to one that is Stopped. Stop it"
                " first, with MendixStopEnvironmentOperator. Nothing was changed."
            )
        with self.with_environment_state(hook):
            restore = hook.create_restore(self.app_id, self.environment, snapshot_id, db_only=self.db_only)
        self.log.info("Restoring snapshot %s to %s: restore %s.", snapshot_id, self.target, restore.restore_id)
        return restore.restore_id
