"""Sensor for revisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.exceptions import NotFoundError
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.sensors.base import MendixSensor
from airflow_provider_mendix.waits.base import RevisionWait


class MendixRevisionSensor(MendixSensor):
    """Wait until a branch has a newer revision; in ``poke`` and ``reschedule`` mode and deferred alike.

    The task returns the newest revision of the branch: ``app_id``, ``branch`` (as the start operator wants it),
    ``revision`` (in full), ``author``, ``date``, ``message``, ``mendix_version``.

    What is newer differs by the kind of repository. The revisions of SVN are numbers, and a greater one is newer.
    Git hashes have no order: the branch has a newer revision as soon as its newest one is not the known one, and
    so also after somebody has reset the branch to an older one.

    It ends without success when the branch is not there, or has no newer revision in time; with ``soft_fail=True``
    either skips the task. Troubles on the way to Mendix and answers that cannot be read mean "not yet", until the
    time-out. A refused key or personal access token is a failure at once.

    The App Repository API is asked if the connection has a personal access token, which a Git app needs;
    otherwise the Team Server API, which Mendix has deprecated.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/app-repository-api/

    :param app_id: subdomain of the app.
    :param branch: ``x``, ``branches/x``, or ``main`` or ``trunk``, which both mean the main line.
    :param newer_than: the revision that is known already, such as the one that was built last: an SVN revision
        number (an ``int`` will do) or a Git commit hash, which may be shortened. Left out, any revision will do.
    :param mendix_conn_id: id of the Airflow connection.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poke_interval: seconds between two looks, at least 5.
    :param timeout: seconds to wait at most.
    :raises AirflowFailException: if there is no such app or branch, the key or the token is refused, or a value
        cannot be right: another try would only meet that again. The reason is its ``__cause__``.
    :raises AirflowSensorTimeout: if there is no newer revision in time.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "branch", "newer_than")
    # The App Repository API does not say whether the branch or the whole repository is gone.
    endings = (NotFoundError,)

    def __init__(
        self,
        *,
        app_id: str,
        branch: str = "main",
        newer_than: str | int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
        self.branch = branch
        self.newer_than = newer_than

    def make_wait(self, hook: MendixHook) -> RevisionWait:
        """Find the branch, to wait for a revision on it."""
        known = None if self.newer_than is None else inputs.revision(self.newer_than)
        return RevisionWait(hook.locate_branch(self.app_id, self.branch), known)
