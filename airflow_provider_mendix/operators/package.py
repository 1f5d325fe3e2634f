"""Operators for deployment packages: start a build, delete a package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_mendix.api import deploy, inputs
from airflow_provider_mendix.api.errors import MendixError, PackageInUseError, PackageNotFoundError
from airflow_provider_mendix.api.waits import PackageWait
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.links.portal import PROJECT_ID_KEY, MendixEnvironmentsLink
from airflow_provider_mendix.waiting import MendixWaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class MendixStartBuildOperator(MendixWaitingOperator):
    """Start a build; with ``wait_for_completion=True`` (the default) wait until its package is ``Succeeded``.

    The task returns the ``PackageId``, whether it waits on the worker, waits deferred, or does not wait.

    Building a Free App also deploys it: that is what Mendix does, and nothing in its answers tells a Free App.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app, as in ``https://<app_id>.mendixcloud.com``.
    :param revision: SVN revision number (an ``int`` will do) or Git commit hash, best in full length: Mendix warns
        that a short hash may time out on a large repository.
    :param version: ``major.minor.patch``; Mendix tags the revision with it and adds the revision as fourth part.
    :param branch: ``main`` (Git), ``trunk`` (SVN), or another branch with or without ``branches/``. Left out, it
        is not sent, and Mendix does not document what it builds then. With SVN, Mendix builds the revision even if
        it is not on the branch.
    :param description: free text that Mendix keeps with the package.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until the package is ``Succeeded``.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two looks at the package, at least 5.
    :param timeout: seconds to wait for the package at most. There is no call that cancels a build: after a
        time-out it goes on in Mendix.
    :param outage_tolerance: seconds without one good answer from Mendix that the wait puts up with.
    :raises InvalidInputError: before any request, for a value that cannot be right.
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

    def __init__(
        self,
        *,
        app_id: str,
        revision: str | int,
        version: str,
        branch: str | None = None,
        description: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
        self.revision = revision
        self.version = version
        self.branch = branch
        self.description = description

    def execute(self, context: Context) -> str:
        """Start the build, and wait for it if asked to."""
        hook = MendixHook(self.mendix_conn_id)
        package_id = hook.start_build(
            self.app_id,
            revision=self.revision,
            version=self.version,
            branch=self.branch,
            description=self.description,
        )
        self.log.info(
            "Started package %s of app %s: version %s, revision %s, branch %s.",
            package_id,
            self.app_id,
            self.version,
            self.revision,
            self.branch or "not given",
        )
        self._keep_project_id(hook, context)
        if not self.wait_for_completion:
            return package_id
        return self.finish(self.wait_for(hook, PackageWait(self.app_id, package_id)))

    def finish(self, result: dict[str, Any]) -> str:
        """Give the ``PackageId``."""
        return str(result["package_id"])

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
    :raises InvalidInputError: before any request, for a value that cannot be right.
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
        package_id = inputs.package_id(self.package_id)
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
