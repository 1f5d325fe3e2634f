"""Operators for deployment packages: start a build, delete a package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_mendix.api import deploy, inputs
from airflow_provider_mendix.api.errors import MendixError, PackageInUseError, PackageNotFoundError
from airflow_provider_mendix.api.waits import PackageWait
from airflow_provider_mendix.builds import VISIBLE_WITHIN, Intent, OnClear, find_or_start, marker_of
from airflow_provider_mendix.failing import failing
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.links.portal import PROJECT_ID_KEY, MendixEnvironmentsLink
from airflow_provider_mendix.waiting import MendixWaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

EXTRA_PACKAGES_KEY = "mendix_extra_packages"


class MendixStartBuildOperator(MendixWaitingOperator):
    """Start a build; with ``wait_for_completion=True`` (the default) wait until its package is ``Succeeded``.

    The task returns the ``PackageId``, whether it waits on the worker, waits deferred, or does not wait.

    One task run starts one build, whatever crashes: the description of the package ends with a marker, and a retry
    that finds it waits for that package. A retry after a build that ended as ``Failed`` starts a new one, and so
    does clearing the task.

    Building a Free App also deploys it: that is what Mendix does, and nothing in its answers tells a Free App.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app, as in ``https://<app_id>.mendixcloud.com``.
    :param revision: SVN revision number (an ``int`` will do) or Git commit hash, best in full length: Mendix warns
        that a short hash may time out on a large repository.
    :param version: ``major.minor.patch``; Mendix tags the revision with it and adds the revision as fourth part.
    :param branch: ``main`` (Git), ``trunk`` (SVN), or another branch with or without ``branches/``. Left out, it
        is not sent, and Mendix does not document what it builds then. With SVN, Mendix builds the revision even if
        it is not on the branch.
    :param description: free text that Mendix keeps with the package; cut to leave room for the marker.
    :param on_clear: what to do when somebody clears the task: ``"rebuild"``, or ``"reattach"`` to a package that
        it has started before, unless that is ``Failed``.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until the package is ``Succeeded``.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks at the package, at least 5.
    :param timeout: seconds to wait for the package at most. There is no call that cancels a build: after a
        time-out it goes on in Mendix.
    :param outage_tolerance: seconds without one good answer from Mendix that the wait puts up with.
    :raises AirflowFailException: if a value cannot be right (before any request), the key is refused, or there is
        no such app: another try would only meet that again. The reason is its ``__cause__``.
    :raises BuildFailedError: if Mendix refuses to build.
    :raises PackageFailedError: if the build ends as ``Failed``.
    :raises WaitTimeoutError: if it is not done in time.
    """

    template_fields: Sequence[str] = (
        "mendix_conn_id",
        "app_id",
        "revision",
        "version",
        "branch",
        "description",
    )
    operator_extra_links = (MendixEnvironmentsLink(),)
    _package_id: str | None = None

    def __init__(
        self,
        *,
        app_id: str,
        revision: str | int,
        version: str,
        branch: str | None = None,
        description: str | None = None,
        on_clear: OnClear = "rebuild",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_clear not in ("rebuild", "reattach"):
            raise ValueError(f"on_clear must be 'rebuild' or 'reattach', not {on_clear!r}.")
        self.app_id = app_id
        self.revision = revision
        self.version = version
        self.branch = branch
        self.description = description
        self.on_clear = on_clear
        self._as_written = repr([str(value) for value in (app_id, revision, version, branch)])

    def execute(self, context: Context) -> str:
        """Find or start the build, and wait for it if asked to."""
        hook = MendixHook(self.mendix_conn_id)
        with failing(self):
            build = find_or_start(hook, self._intent(context), self.clock)
            self._package_id = build.package_id
            if build.extra:
                context["ti"].xcom_push(key=EXTRA_PACKAGES_KEY, value=list(build.extra))
            self._keep_project_id(hook, context)
            if not self.wait_for_completion:
                return build.package_id
            appears_by = self.clock.now() + VISIBLE_WITHIN
            return self.finish(self.wait_for(hook, PackageWait(self.app_id, build.package_id, appears_by)))

    def on_kill(self) -> None:
        """Touch nothing: Mendix has no call that cancels a build, and Airflow may kill a task by mistake."""
        if self._package_id:
            self.log.warning(
                "Killed. Package %s of app %s is still being built: a retry of this task will find it,"
                " a Clear builds again.",
                self._package_id,
                self.app_id,
            )

    def finish(self, result: dict[str, Any]) -> str:
        """Give the ``PackageId``."""
        return str(result["package_id"])

    def _intent(self, context: Context) -> Intent:
        ti: Any = context["ti"]
        marker = marker_of(context, self._as_written)
        first_try = ti.max_tries - self.retries + 1
        began = context["dag_run"].start_date
        return Intent(
            app_id=inputs.app_id(self.app_id),
            revision=inputs.revision(self.revision),
            version=inputs.version(self.version),
            branch=None if self.branch is None else inputs.branch(self.branch),
            description=self.description or "",
            marker=marker,
            began_at=began.timestamp() if began else 0.0,
            is_retry=ti.try_number > 1 and (ti.try_number != first_try or self.on_clear == "reattach"),
            on_clear=self.on_clear,
        )

    def _keep_project_id(self, hook: MendixHook, context: Context) -> None:
        """The link to the portal needs the app's UUID; a release must not fail, nor wait, for want of a link."""
        try:
            project_id = hook.get_conn().send(deploy.get_app(self.app_id)).project_id
        except MendixError as error:
            self.log.info("No link to the portal: %s", error)
            return
        if project_id:
            context["ti"].xcom_push(key=PROJECT_ID_KEY, value=project_id)


class MendixDeletePackageOperator(BaseOperator):
    """Delete one deployment package.

    The task returns ``{"package_id": …, "deleted": …}``.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app.
    :param package_id: id of the package.
    :param missing_ok: count a package that is not there as deleted, instead of failing.
    :param in_use: what to do about a package that some environment still uses: ``"fail"`` the task, or ``"skip"``
        it.
    :param mendix_conn_id: id of the Airflow connection.
    :raises AirflowFailException: if a value cannot be right (before any request) or the key is refused.
    :raises PackageNotFoundError: if there is no such package, unless ``missing_ok``.
    :raises PackageInUseError: if it is in use, unless ``in_use="skip"``.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "package_id")

    def __init__(
        self,
        *,
        app_id: str,
        package_id: str,
        missing_ok: bool = False,
        in_use: Literal["fail", "skip"] = "fail",
        mendix_conn_id: str = MendixHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if in_use not in ("fail", "skip"):
            raise ValueError(f"in_use must be 'fail' or 'skip', not {in_use!r}.")
        self.app_id = app_id
        self.package_id = package_id
        self.missing_ok = missing_ok
        self.in_use = in_use
        self.mendix_conn_id = mendix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the package."""
        with failing(self):
            return self._delete(inputs.package_id(self.package_id))

    def _delete(self, package_id: str) -> dict[str, Any]:
        try:
            MendixHook(self.mendix_conn_id).delete_package(self.app_id, package_id)
        except PackageNotFoundError:
            if not self.missing_ok:
                raise
            self.log.info("Package %s of app %s is not there; nothing to delete.", package_id, self.app_id)
            return {"package_id": package_id, "deleted": False}
        except PackageInUseError as error:
            if self.in_use == "fail":
                raise
            raise AirflowSkipException(f"Package {package_id} of app {self.app_id} is still in use.") from error
        self.log.info("Deleted package %s of app %s.", package_id, self.app_id)
        return {"package_id": package_id, "deleted": True}
