"""The methods of the hook for backups: snapshots, their archives and their restores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from airflow_provider_mendix.api import backups, conversations
from airflow_provider_mendix.api.call import Call, Conversation
from airflow_provider_mendix.api.conversations import EnvironmentIds

T = TypeVar("T")


class BackupMethods:
    """Mixin of the hook, which sends the calls."""

    _environment_ids: dict[tuple[str, str], EnvironmentIds]

    def send(self, call: Call[T]) -> T:
        """Send one call."""
        raise NotImplementedError

    def run(self, conversation: Conversation[T]) -> T:
        """Return the result of a conversation."""
        raise NotImplementedError

    def environment_ids(self, app_id: str, environment: str) -> EnvironmentIds:
        """Return the UUIDs by which the Backups API knows an environment. They are requested once.

        :raises EnvironmentNotFoundError: with the names of the existing environments.
        """
        key = (app_id, environment)
        if key not in self._environment_ids:
            self._environment_ids[key] = self.run(conversations.environment_ids(app_id, environment))
        return self._environment_ids[key]

    def list_snapshots(self, app_id: str, environment: str) -> Iterator[backups.Snapshot]:
        """Yield the snapshots of an environment; each further page is requested when it is needed."""
        return backups.all_snapshots(self.send, *self.environment_ids(app_id, environment))

    def create_snapshot(self, app_id: str, environment: str, *, comment: str | None = None) -> backups.Snapshot:
        """Start to back up an environment. A second call makes a second snapshot."""
        return self.send(backups.create_snapshot(*self.environment_ids(app_id, environment), comment=comment))

    def get_snapshot(self, app_id: str, environment: str, snapshot_id: str) -> backups.Snapshot:
        """Return one snapshot."""
        return self.send(backups.get_snapshot(*self.environment_ids(app_id, environment), snapshot_id))

    def update_snapshot(
        self, app_id: str, environment: str, snapshot_id: str, *, comment: str
    ) -> backups.Snapshot:
        """Change the comment of a snapshot, and return it."""
        ids = self.environment_ids(app_id, environment)
        return self.send(backups.update_snapshot(*ids, snapshot_id, comment=comment))

    def delete_snapshot(self, app_id: str, environment: str, snapshot_id: str) -> None:
        """Delete a snapshot."""
        self.send(backups.delete_snapshot(*self.environment_ids(app_id, environment), snapshot_id))

    def create_archive(
        self,
        app_id: str,
        environment: str,
        snapshot_id: str,
        *,
        data_type: str = backups.DataType.FILES_AND_DATABASE,
    ) -> backups.Archive:
        """Start to make an archive of a snapshot. A second call makes a second one.

        :param data_type: ``files_and_database`` or ``database_only``.
        """
        ids = self.environment_ids(app_id, environment)
        return self.send(backups.create_archive(*ids, snapshot_id, data_type=data_type))

    def get_archive(self, app_id: str, environment: str, snapshot_id: str, archive_id: str) -> backups.Archive:
        """Return one archive; when it is ``completed`` with the signed link to its file, which is a secret."""
        ids = self.environment_ids(app_id, environment)
        archive = self.send(backups.get_archive(*ids, snapshot_id, archive_id))
        if archive.url:
            from airflow_provider_mendix.hooks.link_secrets import mask_link

            mask_link(archive.url)
        return archive

    def create_restore(
        self, app_id: str, environment: str, snapshot_id: str, *, db_only: bool = False
    ) -> backups.Restore:
        """Start to restore a snapshot over all data of an environment, which must be stopped.

        :param snapshot_id: of this environment, or of another one of the same app.
        :param db_only: keep the files as they are.
        """
        ids = self.environment_ids(app_id, environment)
        return self.send(backups.create_restore(*ids, snapshot_id, db_only=db_only))

    def get_restore(self, app_id: str, environment: str, restore_id: str) -> backups.Restore:
        """Return one restore."""
        return self.send(backups.get_restore(*self.environment_ids(app_id, environment), restore_id))
