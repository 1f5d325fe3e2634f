"""Operator for retention; import it from ``operators.package``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pendulum
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import RenderedArguments, checked

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.operators.signatures import OperatorArguments, Text

PLAN_KEY = "plan"


class MendixPrunePackagesOperator(RenderedArguments, BaseOperator):
    """Delete the old packages of an app: retention.

    The newest ``keep_last`` packages that are ``Succeeded`` stay, and so does everything newer than the oldest of
    them. The rest is deleted, ``Failed`` packages too. If there are fewer than ``keep_last``, nothing is deleted.
    A package that is still being built or has no date always stays. One whose ``expiry_date`` has passed counts
    for nothing: Mendix deletes it by itself.

    Before anything is deleted, the plan is logged and pushed to XCom under ``plan``: ``delete`` (oldest first) and
    ``keep`` (each with its ``reason``), with ``package_id``, ``version``, ``status``, ``creation_date`` and
    ``expiry_date``.

    With ``only_if_archived``, a package stays unless it is archived: below that folder there must be an object
    with a complete manifest that names this app and this package. The object is read back, and its size and sha256
    must be those of the manifest. This is checked for each package that would be deleted, in a dry run too, before
    the first one is deleted. ``Failed`` packages have no file, and need no archive.

    A package that an environment uses is never deleted: Mendix refuses that (``PACKAGE_IN_USE``). That is no error
    here; the task returns the ids.

    The task returns ``{"deleted": [ids], "in_use": [ids], "missing": [ids], "kept": n, "dry_run": …}``: what was
    deleted, what Mendix refused to delete, what had been deleted before, and how many packages the plan kept.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app.
    :param keep_last: how many packages that are ``Succeeded`` to keep, at least 1.
    :param per_branch: keep this many for each branch. A package shows its branch by its name; those that show none
        are a group of their own.
    :param older_than: delete only what is older than this.
    :param dry_run: make the plan, and delete nothing.
    :param only_if_archived: URL of the folder of an archive, such as ``s3://releases/shop``: delete only what is
        archived there or below, and undamaged.
    :param archive_conn_id: id of the connection for that storage; none for local files.
    :param mendix_conn_id: id of the Airflow connection.
    :raises AirflowFailException: if a value is invalid (before any request), the key is refused, or the app does
        not exist: a retry cannot fix that. The reason is its ``__context__``.
    :raises OSError: if the archive cannot be read, or another error of its library. Nothing is deleted then.
    :raises MendixError: if some packages could not be deleted; it names what was deleted and what is left. A retry
        goes on with those.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "only_if_archived", "archive_conn_id")

    def __init__(
        self,
        *,
        app_id: Text,
        keep_last: int,
        per_branch: bool = False,
        older_than: timedelta | None = None,
        dry_run: bool = False,
        only_if_archived: Text | None = None,
        archive_conn_id: Text | None = None,
        mendix_conn_id: Text = MendixHook.default_conn_name,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.keep_last: int = checked("keep_last", keep_last)
        self.per_branch: bool = checked("per_branch", per_branch)
        self.older_than: timedelta | None = checked("older_than", older_than)
        # `dry_run` itself is a method of every operator.
        self.is_dry_run: bool = checked("dry_run", dry_run)
        self.only_if_archived: Any = only_if_archived
        self.archive_conn_id: Any = archive_conn_id
        self.mendix_conn_id: Any = mendix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """List the packages, make the plan, log it, and delete."""
        from airflow_provider_mendix import retention
        from airflow_provider_mendix.archive.destination import folder_of

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            archive = None
            if "only_if_archived" in self.given:
                archive = folder_of("only_if_archived", self.only_if_archived, self.archive_conn_id)
            self.check_rendered(context)
            now = pendulum.from_timestamp(current_clock().now(), tz="UTC")
            plan = retention.plan(
                hook.list_packages(self.app_id),
                keep_last=self.keep_last,
                per_branch=self.per_branch,
                older_than=self.older_than,
                now=now,
            )
            if archive is not None:
                plan = retention.exclude_unarchived(plan, archive, self.app_id)
            retention.log_plan(plan, self.app_id, now)
            context["ti"].xcom_push(key=PLAN_KEY, value=plan.to_json())
            result = retention.PruneResult() if self.is_dry_run else retention.apply(plan, hook, self.app_id)
        return {**msgspec.structs.asdict(result), "kept": len(plan.keep), "dry_run": self.is_dry_run}
