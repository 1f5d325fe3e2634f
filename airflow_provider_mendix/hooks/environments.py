"""What the hook has for environments: calls of the Deploy API, and by the same names those of the Backups API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_mendix.api import conversations, deploy
from airflow_provider_mendix.api.call import Call, Conversation
from airflow_provider_mendix.api.conversations import EnvironmentIds
from airflow_provider_mendix.exceptions import AlreadyStartedError

if TYPE_CHECKING:
    from airflow_provider_mendix.api import backups
    from airflow_provider_mendix.api.build import Package

T = TypeVar("T")


class EnvironmentCalls:
    """Calls on environments. ``environment`` is always the name (Mode), spelled exactly as Mendix spells it."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: dict[tuple[str, str], EnvironmentIds] = {}

    def send(self, call: Call[T]) -> T:
        """Send one call."""
        raise NotImplementedError

    def run(self, conversation: Conversation[T]) -> T:
        """Drive a conversation."""
        raise NotImplementedError

    def list_environments(self, app_id: str) -> list[deploy.Environment]:
        """List the environments of an app."""
        return self.send(deploy.list_environments(app_id))

    def find_environment(self, app_id: str, environment: str) -> deploy.Environment:
        """Get one environment from the list, which knows how names are spelled.

        :raises EnvironmentNotFoundError: with the names that there are.
        """
        return self.run(conversations.environment(app_id, environment))

    def get_environment(self, app_id: str, environment: str) -> deploy.Environment:
        """Get one environment."""
        return self.send(deploy.get_environment(app_id, environment))

    def get_environment_package(self, app_id: str, environment: str) -> Package | None:
        """Get the package on an environment; ``None`` if there is none."""
        return self.run(conversations.environment_package(app_id, environment))

    def transport_package(self, app_id: str, environment: str, package_id: str) -> None:
        """Bring a package to an environment, by a call that is sent once; it runs from the next start on."""
        self.send(deploy.transport_package(app_id, environment, package_id))

    def stop_environment(self, app_id: str, environment: str) -> None:
        """Ask Mendix to stop the app on an environment, once; it runs on for a while."""
        self.send(deploy.stop_environment(app_id, environment))

    def start_environment(self, app_id: str, environment: str, *, auto_sync_db: bool = True) -> str | None:
        """Ask Mendix to start the app on an environment, once, and give the ``JobId``.

        ``None`` if Mendix has taken it and names no job: the environment itself tells then whether the app runs.

        :param auto_sync_db: change the database to what the model needs.
        :raises AlreadyStartedError: if the app runs already, whether Mendix calls that a success or not.
        """
        call = deploy.start_environment(app_id, environment, auto_sync_db=auto_sync_db)
        started = self.send(call)
        if started.error_code:
            raise AlreadyStartedError(f"{call}: {started.error_code}.", code=started.error_code)
        return started.job_id

    def get_start_job(self, app_id: str, environment: str, job_id: str) -> deploy.StartJob:
        """Get the state of a start job.

        :raises StartFailedError: if the start has failed: that is how Mendix says it.
        """
        return self.send(deploy.get_start_job(app_id, environment, job_id))

    def get_settings(self, app_id: str, environment: str) -> deploy.Settings:
        """Get constants, custom settings and scheduled events of an environment; their values may be secrets."""
        return self.send(deploy.get_settings(app_id, environment))

    def set_settings(self, app_id: str, environment: str, settings: deploy.Settings) -> deploy.Settings:
        """Change the settings of an environment, by a call that is sent once; the next start uses them.

        :param settings: as :meth:`get_settings` gave them, with other values.
        """
        return self.send(deploy.set_settings(app_id, environment, settings))

    def environment_ids(self, app_id: str, environment: str) -> EnvironmentIds:
        """Translate an app's subdomain and an environment's name into what the Backups API knows them by.

        They are asked for once: they do not change.

        :raises EnvironmentNotFoundError: with the names that there are.
        """
        if (app_id, environment) not in self._ids:
            self._ids[app_id, environment] = self.run(conversations.environment_ids(app_id, environment))
        return self._ids[app_id, environment]

    def list_snapshots(self, app_id: str, environment: str) -> Iterator[backups.Snapshot]:
        """Go through the snapshots of an environment; each further page is asked for when it is needed."""
        from airflow_provider_mendix.api import backups

        ids = self.environment_ids(app_id, environment)
        offset = 0
        while True:
            page = self.send(backups.list_snapshots(*ids, offset=offset))
            yield from page.snapshots
            offset += len(page.snapshots)
            # Mendix may give less than was asked for; without a total, only an empty page is surely the last.
            if not page.snapshots or (page.total is not None and offset >= page.total):
                return

    def create_snapshot(self, app_id: str, environment: str, *, comment: str | None = None) -> backups.Snapshot:
        """Start to back up an environment. It is sent once: a second call makes a second snapshot."""
        from airflow_provider_mendix.api import backups

        return self.send(backups.create_snapshot(*self.environment_ids(app_id, environment), comment=comment))

    def get_snapshot(self, app_id: str, environment: str, snapshot_id: str) -> backups.Snapshot:
        """Get one snapshot."""
        from airflow_provider_mendix.api import backups

        return self.send(backups.get_snapshot(*self.environment_ids(app_id, environment), snapshot_id))

    def create_restore(
        self, app_id: str, environment: str, snapshot_id: str, *, db_only: bool = False
    ) -> backups.Restore:
        """Start to put a snapshot back over all data of an environment, which must be stopped; sent once.

        :param snapshot_id: of this environment, or of another one of the same app.
        :param db_only: leave the files as they are.
        """
        from airflow_provider_mendix.api import backups

        ids = self.environment_ids(app_id, environment)
        return self.send(backups.create_restore(*ids, snapshot_id, db_only=db_only))

    def get_restore(self, app_id: str, environment: str, restore_id: str) -> backups.Restore:
        """Get the state of a restore."""
        from airflow_provider_mendix.api import backups

        return self.send(backups.get_restore(*self.environment_ids(app_id, environment), restore_id))
