"""One intent, one snapshot: a task finds the snapshot that it has already asked for instead of making another."""

from __future__ import annotations

import logging
from functools import partial

from airflow_provider_mendix.api.backups import BackupState, Snapshot
from airflow_provider_mendix.builds.marker import Owner
from airflow_provider_mendix.builds.started_before import Order, find_started_before
from airflow_provider_mendix.exceptions import MendixError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT

log = logging.getLogger(__name__)


class SnapshotRequest:
    """The snapshot that one task run wants, as something that can be attempted until Mendix accepts it.

    :param comment: the author's text, without the marker.
    """

    def __init__(self, hook: MendixHook, owner: Owner, app_id: str, environment: str, comment: str) -> None:
        self.hook = hook
        self.owner = owner
        self.app_id = app_id
        self.environment = environment
        self.comment = comment
        self._search_timeout = VISIBILITY_TIMEOUT if owner.is_retry else 0.0

    def find_or_create(self) -> Snapshot:
        """Return the snapshot, asked for now if there is none."""
        own, _ = find_started_before(
            partial(self.hook.list_snapshots, self.app_id, self.environment),
            self._pick_own,
            _order,
            timeout=self._search_timeout,
        )
        if own:
            _log_found(own)
            return own[0]
        try:
            made = self.hook.create_snapshot(self.app_id, self.environment, comment=self.owner.mark(self.comment))
        except MendixError as error:
            self._search_timeout = VISIBILITY_TIMEOUT if error.outcome_unknown else 0.0
            raise
        log.info(
            "Backing up environment %s of app %s: snapshot %s.", self.environment, self.app_id, made.snapshot_id
        )
        return made

    def _pick_own(self, snapshots: list[Snapshot]) -> list[Snapshot]:
        return [
            snapshot
            for snapshot in snapshots
            if self.owner.owns(snapshot.comment, snapshot.created_at)
            and not self.owner.is_replaced(snapshot.comment, has_failed=snapshot.state == BackupState.FAILED)
        ]


def _log_found(own: list[Snapshot]) -> None:
    first, *others = own
    log.info(
        "Found snapshot %s (%s), which this task has asked for before; not making another.",
        first.snapshot_id,
        first.state,
    )
    if others:
        log.warning(
            "This task has made more snapshots, which no task waits for: %s.",
            ", ".join(snapshot.snapshot_id for snapshot in others),
        )


def _order(snapshot: Snapshot) -> Order:
    has_failed = snapshot.state == BackupState.FAILED
    return Order.of(snapshot.snapshot_id, snapshot.created_at, has_failed=has_failed)
