"""Operators for deployment packages: start a build, delete a package, delete the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import pendulum
from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, ObjectStoragePath

from airflow_provider_mendix.api import deploy, inputs
from airflow_provider_mendix.api.build import PackageStatus
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    InvalidInputError,
    MendixError,
    PackageInUseError,
    PackageNotFoundError,
)
from airflow_provider_mendix.failures import fail_without_retry
from airflow_provider_mendix.hooks.mendix import MendixHook
from airflow_provider_mendix.links.portal import PROJECT_ID_KEY, MendixEnvironmentsLink
from airflow_provider_mendix.operators.base import MendixWaitingOperator
from airflow_provider_mendix.settings import VISIBILITY_TIMEOUT

# What only a task that runs needs is imported where it is used: a DAG file that is parsed needs none of it.
if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_mendix import retention
    from airflow_provider_mendix.builds.find_or_start import Build
    from airflow_provider_mendix.builds.intent import Intent
    from airflow_provider_mendix.builds.marker import OnClear
    from airflow_provider_mendix.builds.resolve import Bump, IfExists

BUILD_KEY = "mendix_build"
EXTRA_PACKAGES_KEY = "mendix_extra_packages"
PHASES_KEY = "mendix_phases"
PLAN_KEY = "plan"
_CHOICES = {
    "on_clear": ("rebuild", "reattach"),
    "if_exists": ("rebuild", "reuse", "skip", "fail"),
    "bump": (None, "patch", "minor", "major"),
}


class MendixStartBuildOperator(MendixWaitingOperator):
    """Start a build; with ``wait_for_completion=True`` (the default) wait until its package is ``Succeeded``.

    The task returns the ``PackageId``, whether it waits on the worker, waits deferred, or does not wait. What was
    chosen is in XCom under ``mendix_build``: ``package_id``, ``version``, ``revision``, ``branch``, ``is_reused``;
    and, after a wait, under ``mendix_phases`` the seconds that the build was seen ``queued``, ``building`` and
    ``uploading``. They also go to Airflow's metrics as timers, ``mendix.package.queued`` and so on.

    One task run starts one build, whatever crashes: the description of the package ends with a marker, and a retry
    that finds it waits for that package. A retry after a build that ended as ``Failed`` starts a new one, and so
    does clearing the task. The order of what counts is fixed: first a package that carries the task's own marker,
    then ``if_exists``, then ``max_parallel_builds``, then ``bump``.

    Building a Free App also deploys it: that is what Mendix does, and nothing in its answers tells a Free App.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app, as in ``https://<app_id>.mendixcloud.com``.
    :param revision: SVN revision number (an ``int`` will do) or Git commit hash; a short hash is sent in full
        length where the repository can be asked. ``None``: the newest of the branch when the build is started.
    :param version: ``major.minor.patch``; Mendix tags the revision with it and adds the revision as fourth part.
    :param bump: instead of a version, the part to raise of the highest version that the app's packages have:
        ``"patch"``, ``"minor"`` or ``"major"``. Two tasks that bump at the same time may take the same version.
    :param branch: ``main`` (Git), ``trunk`` (SVN), or another branch with or without ``branches/``. Left out with
        a revision, it is not sent, and Mendix does not document what it builds then; left out without a revision,
        it is the main line.
    :param check_revision: refuse a revision that is not on the branch: with SVN, Mendix would build it in silence.
    :param if_exists: what to do if a package of the revision (and of the version, if one is given) is there that
        is not ``Failed``: ``"rebuild"``; ``"reuse"`` it, and wait for it if it is still being built; ``"skip"``
        the task; or ``"fail"``.
    :param max_parallel_builds: wait to start the build while so many builds of the app are under way, whoever has
        started them. Mendix keeps no lock: tasks that look at the same moment may all start.
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
    :raises AirflowSkipException: if the revision is built already, and ``if_exists="skip"``.
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
        revision: str | int | None = None,
        version: str | None = None,
        bump: Bump | None = None,
        branch: str | None = None,
        check_revision: bool = True,
        description: str | None = None,
        on_clear: OnClear = "rebuild",
        if_exists: IfExists = "rebuild",
        max_parallel_builds: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("on_clear", on_clear), ("if_exists", if_exists), ("bump", bump)):
            if value not in _CHOICES[name]:
                raise ValueError(f"{name} must be one of {_CHOICES[name]}, not {value!r}.")
        if (version is None) == (bump is None):
            raise ValueError("Give either version, such as '2.5.4', or bump, such as 'patch'.")
        if max_parallel_builds is not None and max_parallel_builds < 1:
            raise ValueError(f"max_parallel_builds must be at least 1, not {max_parallel_builds}.")
        self.app_id = app_id
        self.revision = revision
        self.version = version
        self.bump = bump
        self.branch = branch
        self.check_revision = check_revision
        self.description = description
        self.on_clear = on_clear
        self.if_exists = if_exists
        self.max_parallel_builds = max_parallel_builds
        self._as_written = repr([str(value) for value in (app_id, revision, version or bump, branch)])

    def execute(self, context: Context) -> str:
        """Find or start the build, and wait for it if asked to."""

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            build = self._find_or_start(hook, context)
            self._package_id = build.package_id
            self._hand_on(build, context)
            self._keep_project_id(hook, context)
            if build.is_reused and self.if_exists == "skip":
                raise AirflowSkipException(
                    f"Revision {build.target.revision} of app {self.app_id} is built already: package"
                    f" {build.package_id}."
                )
            if not self.wait_for_completion:
                return build.package_id
            from airflow_provider_mendix.waits.package import PackageWait

            visible_by = current_clock().now() + VISIBILITY_TIMEOUT
            result = self.wait_for(hook, PackageWait(self.app_id, build.package_id, visible_by=visible_by))
            self._keep_phases(result, context)
            return self.finish(result)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the triggerer has waited for the package."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            result = result_of(event)
            self._keep_phases(result, context)
            return self.finish(result)

    def resume_after_capacity(self, context: Context, event: dict[str, Any] | None = None) -> str:
        """Go on after the triggerer has waited for room for the build."""
        from airflow_provider_mendix.waits.event import result_of

        with fail_without_retry(self):
            result_of(event)
        return self.execute(context)

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

    def _find_or_start(self, hook: MendixHook, context: Context) -> Build:
        from airflow_provider_mendix.builds.find_or_start import find_or_start
        from airflow_provider_mendix.builds.resolve import BuildPolicy
        from airflow_provider_mendix.waits.package import BuildCapacityWait

        intent = self._intent(context)
        policy = BuildPolicy(
            bump=self.bump,
            if_exists=self.if_exists,
            check_revision=self.check_revision,
            max_parallel_builds=self.max_parallel_builds,
        )
        while isinstance(found := find_or_start(hook, intent, policy), BuildCapacityWait):
            self.wait_for(hook, found, method_name="resume_after_capacity")
        return found

    def _hand_on(self, build: Build, context: Context) -> None:
        target = msgspec.structs.asdict(build.target)
        values = {"package_id": build.package_id, **target, "is_reused": build.is_reused}
        context["ti"].xcom_push(key=BUILD_KEY, value=values)
        if build.extra:
            context["ti"].xcom_push(key=EXTRA_PACKAGES_KEY, value=list(build.extra))

    def _intent(self, context: Context) -> Intent:
        from airflow_provider_mendix.builds.intent import Intent
        from airflow_provider_mendix.builds.marker import owner_of

        return Intent(
            app_id=inputs.app_id(self.app_id),
            revision=None if self.revision is None else inputs.revision(self.revision),
            version=None if self.version is None else inputs.version(self.version),
            branch=None if self.branch is None else inputs.branch(self.branch),
            description=self.description or "",
            owner=owner_of(context, self._as_written, retries=self.retries, on_clear=self.on_clear),
        )

    def _keep_phases(self, result: dict[str, Any], context: Context) -> None:
        from airflow_provider_mendix.polling.worker import report_phases

        report_phases(self.app_id, result)
        if result.get("phases"):
            context["ti"].xcom_push(key=PHASES_KEY, value=result["phases"])

    def _keep_project_id(self, hook: MendixHook, context: Context) -> None:
        """The link to the portal needs the app's UUID; a release must not fail, nor wait, for want of a link."""
        try:
            project_id = hook.send_once(deploy.get_app(self.app_id)).project_id
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
        with fail_without_retry(self):
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


class MendixPrunePackagesOperator(BaseOperator):
    """Delete the old packages of an app: retention.

    The newest ``keep_last`` packages that are ``Succeeded`` stay, and so does everything newer than the oldest of
    them. The rest goes, ``Failed`` ones too. Where there are fewer than ``keep_last``, nothing goes; and what is
    still being built or has no date stays in any case.

    Before anything is deleted the plan is logged and put into XCom under ``plan``: ``delete`` (the oldest first)
    and ``keep`` (each with its ``reason``), with ``package_id``, ``version``, ``status`` and ``creation_date``.

    With ``only_if_archived``, a package stays unless an archive has it: below that folder there must be an object
    with a complete manifest that names this app and this package. The object is read back, so that its size and
    its sha256 are known to be those of the manifest. All of that is done for each package that would be deleted,
    in a dry run too, before the first one is. ``Failed`` packages have no file, and need no archive.

    A package that an environment uses is never deleted: Mendix refuses that (``PACKAGE_IN_USE``). It is no error
    here; the task returns which ones they were.

    The task returns ``{"deleted": [ids], "in_use": [ids], "missing": [ids], "kept": n, "dry_run": …}``: what was
    deleted, what Mendix refused to delete, what was gone already, and how many the plan kept.

    Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/

    :param app_id: subdomain of the app.
    :param keep_last: how many packages that are ``Succeeded`` to keep, at least 1.
    :param per_branch: keep as many for each branch. A package tells its branch by its name; those that tell none
        are a group of their own.
    :param older_than: delete only what is older than this.
    :param dry_run: make the plan, and delete nothing.
    :param only_if_archived: URL of the folder of an archive, such as ``s3://releases/shop``: delete only what is
        archived there or below, and undamaged.
    :param archive_conn_id: id of the connection for that storage; none for local files.
    :param mendix_conn_id: id of the Airflow connection.
    :raises AirflowFailException: if a value cannot be right (before any request), the key is refused, or there is
        no such app: another try would only meet that again. The reason is its ``__cause__``.
    :raises OSError: if the archive cannot be read, or what else its library raises then. Nothing is deleted then.
    :raises MendixError: if some packages could not be deleted; it names what is done and what is left. Another
        try goes on with those.
    """

    template_fields: Sequence[str] = ("mendix_conn_id", "app_id", "only_if_archived", "archive_conn_id")

    def __init__(
        self,
        *,
        app_id: str,
        keep_last: int,
        per_branch: bool = False,
        older_than: timedelta | None = None,
        dry_run: bool = False,
        only_if_archived: str | None = None,
        archive_conn_id: str | None = None,
        mendix_conn_id: str = MendixHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if keep_last < 1:
            raise ValueError(f"keep_last must be at least 1, not {keep_last}.")
        if older_than is not None and older_than < timedelta():
            raise ValueError(f"older_than cannot be negative: {older_than}.")
        self.app_id = app_id
        self.keep_last = keep_last
        self.per_branch = per_branch
        self.older_than = older_than
        # `dry_run` itself is a method of every operator.
        self.is_dry_run = dry_run
        self.only_if_archived = only_if_archived
        self.archive_conn_id = archive_conn_id
        self.mendix_conn_id = mendix_conn_id
        # What renders to nothing must not switch the safety catch off.
        self._is_guarded = only_if_archived is not None

    def execute(self, context: Context) -> dict[str, Any]:
        """List the packages, decide, tell, and delete."""
        from airflow_provider_mendix import retention

        hook = MendixHook(self.mendix_conn_id)
        with fail_without_retry(self):
            archive = self._archive()
            packages = hook.list_packages(self.app_id)
            now = pendulum.from_timestamp(current_clock().now(), tz="UTC")
            plan = retention.plan(
                packages,
                keep_last=self.keep_last,
                per_branch=self.per_branch,
                older_than=self.older_than,
                now=now,
            )
            plan = self._spare_what_is_not_archived(plan, archive)
            retention.announce(plan, self.app_id, now)
            context["ti"].xcom_push(key=PLAN_KEY, value=plan.to_json())
            done = retention.Done() if self.is_dry_run else retention.carry_out(plan, hook, self.app_id)
        return {**msgspec.structs.asdict(done), "kept": len(plan.keep), "dry_run": self.is_dry_run}

    def _archive(self) -> ObjectStoragePath | None:
        if not self._is_guarded:
            return None
        folder = str(self.only_if_archived or "").strip()
        if folder.lower() in ("", "none") or "{{" in folder or "{%" in folder:
            raise InvalidInputError(
                f"only_if_archived {self.only_if_archived!r} names no folder. Give the URL of the archive, such as"
                " s3://releases/shop, or leave it out."
            )
        return ObjectStoragePath(folder, conn_id=self.archive_conn_id)

    def _spare_what_is_not_archived(
        self, plan: retention.Plan, archive: ObjectStoragePath | None
    ) -> retention.Plan:
        if archive is None:
            return plan
        from airflow_provider_mendix import retention
        from airflow_provider_mendix.archive.catalog import not_archived

        with_file = [package.package_id for package in plan.delete if package.status != PackageStatus.FAILED]
        return retention.spare(plan, not_archived(archive, self.app_id, with_file))
