"""Operator for revisions: look up the newest one of a branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.operators.arguments import RenderedArguments, checked

if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.api.revisions import BranchRevision
    from airflow_provider_mendix.operators.signatures import OperatorArguments, Text

__all__ = ["MendixLatestRevisionOperator"]

_LONGEST_MESSAGE = 100


class MendixLatestRevisionOperator(RenderedArguments, BaseOperator):
    """Look up the newest revision of a branch, of a Git or an SVN app.

    The task returns ``app_id``, ``branch`` (as the start operator expects it), ``revision`` (in full length),
    ``author``, ``date``, ``message``, ``mendix_version``.

    The connection needs a personal access token. Without one, the operator asks the Team Server API, which Mendix
    has retired, and fails if Mendix does not serve it.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/app-repository-api/

    :param app_id: subdomain of the app.
    :param branch: ``x``, ``branches/x``, or ``main`` or ``trunk``, which both mean the main line.
    :param skip_if_built: skip the task, and so the tasks after it, if there is a package of that revision that is
        not ``Failed``, finished or not. A package shows its revision by its version, and for SVN also its branch
        by its name; a renamed package does not count there.
    :param archive: URL of the folder of an archive, such as ``s3://releases/shop``: for ``skip_if_built``, the
        packages that are archived there or below count beside those in Mendix.
    :param archive_conn_id: id of the connection for that storage; none for local files.
    :param mendix_conn_id: id of the Airflow connection.
    :raises AirflowSkipException: if it was built already, with ``skip_if_built=True``.
    :raises AirflowFailException: if the app or the branch does not exist, the branch has no revision, the key or
        the token is refused, or a value is invalid: a retry cannot fix that. The reason is its ``__context__``.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "branch", "archive", "archive_conn_id")

    def __init__(
        self,
        *,
        app_id: Text,
        branch: Text = "main",
        skip_if_built: bool = False,
        archive: Text | None = None,
        archive_conn_id: Text | None = None,
        mendix_conn_id: Text = MendixHook.default_conn_name,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.branch: Any = branch
        self.skip_if_built: bool = checked("skip_if_built", skip_if_built)
        self.archive: Any = archive
        self.archive_conn_id: Any = archive_conn_id
        self.mendix_conn_id: Any = mendix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Look up the revision, and whether it was built."""
        with fail_without_retry(self):
            self.check_rendered(context)
            hook = MendixHook(self.mendix_conn_id)
            newest = hook.latest_revision(self.app_id, self.branch)
            self.log.info(
                "Revision %s of app %s: the newest of branch %s, by %s: %s",
                newest.revision,
                newest.app_id,
                newest.branch,
                newest.author or "unknown author",
                _first_line(newest.message),
            )
            if self.skip_if_built:
                self._skip_if_built(hook, newest)
            return newest.summary()

    def _skip_if_built(self, hook: MendixHook, newest: BranchRevision) -> None:
        from airflow_provider_mendix.archive.catalog import list_archived_packages
        from airflow_provider_mendix.archive.destination import folder_of
        from airflow_provider_mendix.builds.resolve import packages_of

        packages = hook.list_packages(newest.app_id)
        if "archive" in self.given:
            folder = folder_of("archive", self.archive, self.archive_conn_id)
            packages += list_archived_packages(folder, newest.app_id)
        built = packages_of(packages, newest.revision, newest.branch)
        if built:
            raise AirflowSkipException(
                f"Package {built[0].package_id} (version {built[0].version}, {built[0].status}) of app"
                f" {newest.app_id} was built from revision {newest.revision} of branch {newest.branch} already."
            )


def _first_line(message: str | None) -> str:
    first = (message or "").strip().partition("\n")[0].strip()
    return f"{first[:_LONGEST_MESSAGE]}…" if len(first) > _LONGEST_MESSAGE else first
