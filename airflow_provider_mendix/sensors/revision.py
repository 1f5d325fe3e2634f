"""Sensor for revisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.sensors.base import MendixSensor

if TYPE_CHECKING:
    from typing import Unpack

    from airflow_provider_mendix.operators.signatures import SensorArguments, Text
    from airflow_provider_mendix.waits.revision import RevisionWait

__all__ = ["MendixRevisionSensor"]


class MendixRevisionSensor(MendixSensor):
    """Wait until a branch has a newer revision; in ``poke`` and ``reschedule`` mode and deferred alike.

    The task returns the newest revision of the branch: ``app_id``, ``branch`` (as the start operator takes it),
    ``revision`` (in full), ``author``, ``date``, ``message``, ``mendix_version``.

    What is newer differs by the kind of repository. SVN revisions are numbers, and a greater one is newer. Git
    hashes have no order: the branch has a newer revision as soon as its newest one is not the known one, and so
    also after a reset of the branch to an older one.

    The task fails when the branch does not exist or has no newer revision in time; with ``soft_fail=True`` either
    skips the task. Connection problems and unreadable responses mean "not yet", until the time-out. A refused key
    or personal access token fails the task at once.

    The connection needs a personal access token. Without one, the sensor polls the Team Server API, which Mendix
    has retired, and fails if Mendix does not serve it.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/app-repository-api/

    :param app_id: subdomain of the app.
    :param branch: ``x``, ``branches/x``, or ``main`` or ``trunk``, which both mean the main line.
    :param newer_than: the known revision, such as the one that was built last: an SVN revision number (an ``int``
        is accepted) or a Git commit hash, which may be shortened. Left out, any revision ends the wait.
    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two polls, at least 5.
    :param timeout: seconds after which the wait gives up.
    :raises AirflowFailException: if the app or the branch does not exist, the key or the token is refused, or a
        value is wrong. A retry cannot fix these; ``__context__`` is the reason.
    :raises AirflowSensorTimeout: if there is no newer revision in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "branch", "newer_than")

    def __init__(
        self,
        *,
        app_id: Text,
        branch: Text = "main",
        newer_than: Text | int | None = None,
        **kwargs: Unpack[SensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.branch: Any = branch
        self.newer_than: Any = newer_than

    def make_wait(self, hook: MendixHook, began_at: float) -> RevisionWait:
        """Return a wait for a revision; the branch is located with the first poll."""
        from airflow_provider_mendix.waits.revision import RevisionWait

        return RevisionWait(
            inputs.app_id(self.app_id),
            inputs.branch(self.branch),
            newer_than=None if self.newer_than is None else inputs.revision(self.newer_than, "newer_than"),
            has_token=hook.has_token,
        )
