"""Operators for deployment packages: start a build, delete a package, delete the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator

from airflow_provider_mendix.api import deploy, inputs
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    BuildFailedError,
    MendixError,
    PackageFailedError,
    PackageInUseError,
    PackageNotFoundError,
)
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.links.portal import PROJECT_ID_KEY, MendixEnvironmentsLink
from airflow_provider_mendix.operators._prune import MendixPrunePackagesOperator
from airflow_provider_mendix.operators.arguments import (
    InvalidArgumentError,
    RenderedArguments,
    as_written,
    checked,
)
from airflow_provider_mendix.operators.base import MendixWaitingOperator
from airflow_provider_mendix.operators.lineage import Lineage, WithLineage
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT

# Modules that only a running task needs are imported in functions, so that parsing a DAG file stays cheap.
if TYPE_CHECKING:
    from typing import Unpack

    from airflow.sdk import Context

    from airflow_provider_mendix.builds.find_or_start import Build
    from airflow_provider_mendix.builds.intent import Intent
    from airflow_provider_mendix.builds.marker import OnClear
    from airflow_provider_mendix.builds.resolve import Bump, IfExists
    from airflow_provider_mendix.operators.signatures import OperatorArguments, Text, WaitingArguments

__all__ = ["MendixDeletePackageOperator", "MendixPrunePackagesOperator", "MendixStartBuildOperator"]

BUILD_KEY = "mendix_build"
EXTRA_PACKAGES_KEY = "mendix_extra_packages"
PHASES_KEY = "mendix_phases"
EXPIRY_KEY = "mendix_expiry_date"


class MendixStartBuildOperator(WithLineage, MendixWaitingOperator):
    """Start a build; with ``wait_for_completion=True`` (the default) wait until its package is ``Succeeded``.

    The task returns the ``PackageId``, whether it waits on the worker, waits deferred, or does not wait. XCom has
    under ``mendix_build`` what was chosen: ``package_id``, ``version``, ``revision``, ``branch``, ``is_reused``.
    After a wait it has under ``mendix_phases`` how many seconds the build was seen ``queued``, ``building`` and
    ``uploading``. These also go to Airflow's metrics as the timers ``mendix.package.queued`` and so on. Under
    ``mendix_expiry_date`` it has when Mendix deletes the package unless it is deployed, once Mendix tells it.

    One task run starts one build, whatever crashes: the description of the package ends with a marker, and a retry
    that finds it waits for that package. If Mendix does not confirm the start, the task searches for the build,
    and starts it again if there is none, within ``outage_tolerance``. A Clear starts a new build. The order is
    fixed: first a package with the task's own marker, then ``if_exists``, then ``max_parallel_builds``, then
    ``bump``.

    Building a Free App also deploys it: Mendix does that, and no response shows that an app is a Free App.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app, as in ``https://<app_id>.mendixcloud.com``.
    :param revision: SVN revision number (``int`` or text) or Git commit hash; a short hash is sent in full length
        where the repository can be asked. ``None``: the newest of the branch when the build is started.
    :param version: ``major.minor.patch``; Mendix tags the revision with it and adds the revision as fourth part.
    :param bump: instead of a version, the part to raise of the highest version that the app's packages have:
        ``"patch"``, ``"minor"`` or ``"major"``. Two tasks that bump at the same time may use the same version.
    :param branch: ``main`` (Git), ``trunk`` (SVN), or another branch with or without ``branches/``. Left out with
        a revision, it is not sent, and Mendix does not document what it builds then. Left out without a revision,
        it is the main line.
    :param check_revision: refuse a revision that is not on the branch; with SVN, Mendix would build it anyway.
    :param if_exists: what to do if there is a package of the revision (and of the version, if one is given) that
        is not ``Failed``: ``"rebuild"``; ``"reuse"`` it, and wait for it if it is still being built; ``"skip"``
        the task; or ``"fail"`` it.
    :param max_parallel_builds: do not start the build while this many builds of the app are in progress, by
        anyone. Mendix has no lock: tasks that poll at the same moment may all start.
    :param archive: URL of the folder of an archive, such as ``s3://releases/shop``: for ``if_exists`` and
        ``bump``, the packages that are archived there or below count beside those in Mendix, which deletes a
        package that is not deployed within 15 days. With ``if_exists="reuse"``, a revision whose package is only
        archived is built again.
    :param archive_conn_id: id of the connection for that storage; none for local files.
    :param description: free text that Mendix keeps with the package; cut to leave room for the marker.
    :param on_clear: what to do when the task is cleared: ``"rebuild"``, or ``"reattach"`` to a package that it has
        started before, unless that is ``Failed``.
    :param retry_failed_build: let the task's retries start a new build after one that Mendix reports as failed. By
        default such a build fails the task for good: the same revision would most likely fail again.
    :param mendix_conn_id: id of the Airflow connection.
    :param wait_for_completion: wait until the package is ``Succeeded``.
    :param deferrable: wait in the triggerer, without a worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between two polls of the package, at least 5.
    :param timeout: how long to wait for the package, in seconds. No call cancels a build: after a timeout it goes
        on in Mendix.
    :param outage_tolerance: how long starting or polling may keep failing before the task gives up, in seconds.
    :raises AirflowFailException: if a value is invalid (before any request), the key is refused, the app does not
        exist, or the build ends as ``Failed``: a retry cannot fix that. The reason is its ``__context__``.
    :raises AirflowSkipException: if the revision is built already, and ``if_exists="skip"``.
    :raises PackageFailedError: if the build ends as ``Failed``, with ``retry_failed_build=True``.
    :raises BuildFailedError: if Mendix answers the start with ``BUILD_FAILED``, with ``retry_failed_build=True``.
    :raises OutageError: if the start or the polls keep failing.
    :raises WaitTimeoutError: if the package is not done in time.
    """

    template_fields: Sequence[str] = (
        "mendix_conn_id",
        "app_id",
        "revision",
        "version",
        "branch",
        "description",
        "archive",
        "archive_conn_id",
    )
    operator_extra_links = (MendixEnvironmentsLink(),)
    _package_id: str | None = None

    def __init__(
        self,
        *,
        app_id: Text,
        revision: Text | int | None = None,
        version: Text | None = None,
        bump: Bump | None = None,
        branch: Text | None = None,
        check_revision: bool = True,
        description: Text | None = None,
        on_clear: OnClear = "rebuild",
        retry_failed_build: bool = False,
        if_exists: IfExists = "rebuild",
        max_parallel_builds: int | None = None,
        archive: Text | None = None,
        archive_conn_id: Text | None = None,
        **kwargs: Unpack[WaitingArguments],
    ) -> None:
        super().__init__(**kwargs)
        if (version is None) == (bump is None):
            raise InvalidArgumentError("Give either version, such as '2.5.4', or bump, such as 'patch'.")
        self.app_id: Any = app_id
        self.revision: Any = revision
        self.version: Any = version
        self.bump: Bump | None = checked("bump", bump)
        self.branch: Any = branch
        self.check_revision: bool = checked("check_revision", check_revision)
        self.description: Any = description
        self.on_clear: OnClear = checked("on_clear", on_clear)
        self.retry_failed_build: bool = checked("retry_failed_build", retry_failed_build)
        if retry_failed_build:
            self.retried_errors = (PackageFailedError, BuildFailedError)
        self.if_exists: IfExists = checked("if_exists", if_exists)
        self.max_parallel_builds: int | None = checked("max_parallel_builds", max_parallel_builds)
        self.archive: Any = archive
        self.archive_conn_id: Any = archive_conn_id
        self._as_written = as_written(app_id=app_id, revision=revision, version=version, bump=bump, branch=branch)

    def execute(self, context: Context) -> str:
        """Find or start the build, and wait for it if asked to."""
        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            self.check_rendered(context)
            build = self._find_or_start(hook, context)
            self._package_id = build.package_id
            self._push_build(build, context)
            self._push_project_id(hook, context)
            if build.is_reused and self.if_exists == "skip":
                raise AirflowSkipException(
                    f"Revision {build.target.revision} of app {self.app_id} is built already: package"
                    f" {build.package_id}."
                )
            if not self.wait_for_completion:
                if build.expiry_date:
                    self.log.warning(
                        "Mendix deletes package %s on %s UTC unless it is deployed before.",
                        build.package_id,
                        f"{build.expiry_date:%Y-%m-%d %H:%M:%S}",
                    )
                self._describe(context)
                return build.package_id
            from airflow_provider_mendix.waits.package import PackageWait

            visible_by = current_clock().now() + VISIBILITY_TIMEOUT
            result = self.wait_for(hook, PackageWait(self.app_id, build.package_id, visible_by=visible_by))
            return self._push_phases(result, context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the triggerer has waited for the package."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            return self._push_phases(result_of(event), context)

    def resume_after_capacity(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the triggerer has waited for capacity for the build."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            result_of(event)
        return self.execute(context)

    def on_kill(self) -> None:
        """Change nothing: Mendix has no call that cancels a build, and Airflow may kill a task by mistake."""
        if self._package_id:
            self.log.warning(
                "Killed. Package %s of app %s is still being built. A retry of this task finds it, a Clear builds"
                " again.",
                self._package_id,
                self.app_id,
            )

    def _find_or_start(self, hook: MendixHook, context: Context) -> Build:
        from airflow_provider_mendix.archive.destination import folder_of
        from airflow_provider_mendix.builds.find_or_start import find_or_start
        from airflow_provider_mendix.builds.resolve import BuildPolicy
        from airflow_provider_mendix.waits.package import BuildCapacityWait

        intent = self._intent(context)
        policy = BuildPolicy(
            bump=self.bump,
            if_exists=self.if_exists,
            check_revision=self.check_revision,
            max_parallel_builds=self.max_parallel_builds,
            archive=folder_of("archive", self.archive, self.archive_conn_id) if "archive" in self.given else None,
        )
        while True:
            found = find_or_start(
                hook,
                intent,
                policy,
                outage_tolerance=self.outage_tolerance,
                poll_interval=self.poll_interval,
            )
            if not isinstance(found, BuildCapacityWait):
                return found
            self.wait_for(hook, found, method_name="resume_after_capacity")

    def _intent(self, context: Context) -> Intent:
        from airflow_provider_mendix.builds.intent import Intent
        from airflow_provider_mendix.builds.marker import owner_of

        return Intent(
            app_id=inputs.app_id(self.app_id),
            revision=None if self.revision is None else inputs.revision(self.revision),
            version=None if self.version is None else inputs.version(self.version),
            branch=None if self.branch is None else inputs.branch(self.branch),
            description=inputs.free_text("description", self.description),
            owner=owner_of(context, self._as_written, retries=self.retries, on_clear=self.on_clear),
            retry_failed_build=self.retry_failed_build,
        )

    def _push_build(self, build: Build, context: Context) -> None:
        values = {
            "package_id": build.package_id,
            "revision": build.target.revision,
            "version": build.target.version,
            "branch": build.target.branch,
            "is_reused": build.is_reused,
        }
        if build.expiry_date:
            context["ti"].xcom_push(key=EXPIRY_KEY, value=build.expiry_date.isoformat())
        context["ti"].xcom_push(key=BUILD_KEY, value=values)
        if build.extra:
            context["ti"].xcom_push(key=EXTRA_PACKAGES_KEY, value=list(build.extra))

    def _push_phases(self, result: dict[str, Any], context: Context) -> str:
        from airflow_provider_mendix.polling.worker import report_phases

        report_phases(self.app_id, result)
        if result.get("phases"):
            context["ti"].xcom_push(key=PHASES_KEY, value=result["phases"])
        if result.get("expiry_date"):
            context["ti"].xcom_push(key=EXPIRY_KEY, value=result["expiry_date"])
        self._describe(context, version=result.get("version"))
        return str(result["package_id"])

    def _describe(self, context: Context, version: str | None = None) -> None:
        """Say what was built.

        :param version: of the package, if the task has waited for it: Mendix adds the revision.
        """
        from airflow_provider_mendix.operators.outlets import describe, is_description_wanted, own_xcom

        if not is_description_wanted(self):
            return
        facts = {"app_id": self.app_id, **own_xcom(context, BUILD_KEY)}
        facts["version"] = version or facts.get("version")
        branch = facts.get("branch") or "main"
        lineage = Lineage(
            source=("revisions", self.app_id, branch),
            target=("packages", self.app_id, branch),
            facts=facts,
            project_id=own_xcom(context, PROJECT_ID_KEY) or None,
        )
        describe(self, context, lineage)

    def _push_project_id(self, hook: MendixHook, context: Context) -> None:
        """Push the app's UUID for the link to the portal; a release must neither fail nor wait for a link."""
        try:
            project_id = hook.send_once(deploy.get_app(self.app_id)).project_id
        except MendixError as error:
            self.log.info("No link to the portal: %s", error)
            return
        if project_id:
            context["ti"].xcom_push(key=PROJECT_ID_KEY, value=project_id)


class MendixDeletePackageOperator(RenderedArguments, BaseOperator):
    """Delete one deployment package.

    The task returns ``{"package_id": …, "deleted": …}``.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app.
    :param package_id: id of the package.
    :param missing_ok: accept a package that does not exist, instead of failing.
    :param in_use: what to do if an environment still uses the package: ``"fail"`` the task, or ``"skip"`` it.
    :param mendix_conn_id: id of the Airflow connection.
    :raises AirflowFailException: if a value is invalid (before any request), the key is refused, or there is no
        such package, unless ``missing_ok``.
    :raises PackageInUseError: if it is in use, unless ``in_use="skip"``.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "package_id")

    def __init__(
        self,
        *,
        app_id: Text,
        package_id: Text,
        missing_ok: bool = False,
        in_use: Literal["fail", "skip"] = "fail",
        mendix_conn_id: Text = MendixHook.default_conn_name,
        **kwargs: Unpack[OperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.app_id: Any = app_id
        self.package_id: Any = package_id
        self.missing_ok: bool = checked("missing_ok", missing_ok)
        self.in_use: str = checked("in_use", in_use)
        self.mendix_conn_id: Any = mendix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the package."""
        with fail_without_retry(self):
            self.check_rendered(context)
            return self._delete(inputs.package_id(self.package_id))

    def _delete(self, package_id: str) -> dict[str, Any]:
        try:
            MendixHook(self.mendix_conn_id).delete_package(self.app_id, package_id)
        except PackageNotFoundError:
            if not self.missing_ok:
                raise
            self.log.info("Package %s of app %s does not exist; nothing to delete.", package_id, self.app_id)
            return {"package_id": package_id, "deleted": False}
        except PackageInUseError as error:
            if self.in_use == "fail":
                raise
            raise AirflowSkipException(f"Package {package_id} of app {self.app_id} is still in use.") from error
        self.log.info("Deleted package %s of app %s.", package_id, self.app_id)
        return {"package_id": package_id, "deleted": True}
