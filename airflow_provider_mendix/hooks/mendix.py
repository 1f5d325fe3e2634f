"""The hook: the account of an Airflow connection, and every endpoint as a typed method."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_mendix.api import (
    app_repository,
    build,
    conversations,
    deploy,
    deploy_v2,
    inputs,
    team_server,
)
from airflow_provider_mendix.api.call import Call, Conversation, drive
from airflow_provider_mendix.api.revisions import BranchRevision, BranchSource
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    AppNotFoundError,
    InvalidRequestError,
    MendixError,
    PackageNotReadyError,
)
from airflow_provider_mendix.hooks._backups import BackupMethods

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_mendix.archive.manifest import Manifest
    from airflow_provider_mendix.client.account import Account
    from airflow_provider_mendix.client.download import Download
    from airflow_provider_mendix.client.ranges import Part
    from airflow_provider_mendix.client.requests_client import MendixClient
    from airflow_provider_mendix.hooks.webhooks import MendixWebhooks

__all__ = ["MendixHook"]

T = TypeVar("T")


class MendixHook(BackupMethods, BaseHook):
    """Talk to Mendix with the credentials of an Airflow connection of type ``mendix``.

    The connection: login is the Mendix user name, password its API key; host and port override the base URL
    ``https://deploy.mendix.com``. Extra: ``personal_access_token``, ``repository_url``, ``webhooks_url``,
    ``timeout`` (seconds for one whole response, default 60), ``verify`` (``true``, ``false`` or the path of a CA
    bundle), ``proxy`` (URL).

    Methods raise a :class:`~airflow_provider_mendix.exceptions.MendixError`; for a wrong value, it is an
    ``InvalidInputError`` before any request. A call that changes something is sent once; a call that only reads is
    sent again after a transient error.

    ``app_id`` is always the app's subdomain, ``project_id`` the UUID of its project, ``environment`` the name
    (Mode) of an environment exactly as Mendix spells it.

    :param mendix_conn_id: id of the Airflow connection.
    """

    conn_name_attr = "mendix_conn_id"
    default_conn_name = "mendix_default"
    conn_type = "mendix"
    hook_name = "Mendix"

    def __init__(self, mendix_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.mendix_conn_id = mendix_conn_id
        self._client: MendixClient | None = None
        self._environment_ids = {}

    def get_conn(self) -> MendixClient:
        """Return the client that this hook sends with; it opens no connection before the first call."""
        if self._client is None:
            # Loaded when something is sent: a DAG file that is parsed needs none of it.
            from airflow_provider_mendix.client.requests_client import MendixClient
            from airflow_provider_mendix.hooks.connection import read_account
            from airflow_provider_mendix.hooks.link_secrets import hide_queries

            hide_queries()
            self._client = MendixClient(read_account(self, self.mendix_conn_id))
        return self._client

    async def aget_account(self) -> Account:
        """Return the account of the connection without blocking an event loop."""
        from airflow_provider_mendix.hooks.connection import read_account_async

        return await read_account_async(self, self.mendix_conn_id)

    @property
    def has_token(self) -> bool:
        """Whether the connection has a personal access token."""
        return self.get_conn().account.has_token

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the API key and the personal access token work, and a sentence about each."""
        from airflow_provider_mendix.hooks.credentials import report

        try:
            account = self.get_conn().account
        except MendixError as error:
            return False, str(error)
        return report(account, self.send)

    def send(self, call: Call[T]) -> T:
        """Send one call; send it again after a transient error if repeating it is harmless."""
        from airflow_provider_mendix.client.retry import send_with_retry

        return send_with_retry(self.send_once, call, current_clock())

    def send_once(self, call: Call[T]) -> T:
        """Send one call, without another attempt."""
        try:
            return self.get_conn().send(call)
        except (AppNotFoundError, InvalidRequestError) as error:
            if error.code not in ("APP_NOT_FOUND", "INVALID_APPID"):
                raise
            try:
                apps = self.get_conn().send(deploy.list_apps())
            except MendixError:
                raise error from None
            raise error.with_hint(conversations.describe_apps(apps)) from None

    def run(self, conversation: Conversation[T]) -> T:
        """Return the result of a conversation, whose calls are sent with :meth:`send`."""
        return drive(conversation, self.send)

    @property
    def webhooks(self) -> MendixWebhooks:
        """The webhooks of apps: ``list``, ``get``, ``create``, ``update`` and ``delete`` them."""
        from airflow_provider_mendix.hooks.webhooks import MendixWebhooks

        return MendixWebhooks(self.send)

    def list_packages(self, app_id: str) -> list[build.Package]:
        """Return all packages of an app, in no particular order."""
        return self.send(build.list_packages(app_id))

    def get_package(self, app_id: str, package_id: str, *, url: bool = False) -> build.Package:
        """Return one package; with ``url`` also the signed link to its file, which is a secret."""
        package = self.send(build.get_package(app_id, package_id, url=url))
        if package.url:
            from airflow_provider_mendix.hooks.link_secrets import mask_link

            mask_link(package.url.location)
        return package

    def start_build(
        self,
        app_id: str,
        *,
        revision: str | int,
        version: str,
        branch: str | None = None,
        description: str | None = None,
    ) -> str:
        """Start a build and return its ``PackageId``. A second call starts a second build.

        :param revision: SVN revision number or Git commit hash.
        :param version: ``major.minor.patch``; Mendix tags the revision with it.
        :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``. Mendix does not document what it builds when
            the branch is left out.
        """
        call = build.start_build(
            app_id, revision=revision, version=version, branch=branch, description=description
        )
        return self.send(call).package_id

    def delete_package(self, app_id: str, package_id: str) -> None:
        """Delete one package."""
        self.send(build.delete_package(app_id, package_id))

    def get_link(self, app_id: str, package_id: str) -> tuple[build.Package, build.DownloadUrl]:
        """Return a package and the signed link to its file, which is a secret that expires.

        :raises PackageNotReadyError: if the package is not ``Succeeded``, or Mendix returns no link.
        """
        package = self.get_package(app_id, package_id, url=True)
        build.require_succeeded(app_id, package)
        if package.url is None:
            raise PackageNotReadyError(
                f"Package {package_id} of app {app_id} is Succeeded, but Mendix returned no link to its file. Try"
                " again later; if this persists, the file may be gone."
            )
        return package, package.url

    @contextmanager
    def open_link(self, link: build.DownloadUrl, part: Part | None = None) -> Iterator[Download]:
        """Open the file behind a signed link.

        :param part: request the rest of a file; the host may send the whole file instead.
        :raises DownloadError: if the file host refuses.
        """
        with self.get_conn().download(link.location, part) as download:
            yield download

    @contextmanager
    def open_package(self, app_id: str, package_id: str) -> Iterator[tuple[build.Package, Download]]:
        """Open the file of a package through a new signed link; it raises what the two calls raise."""
        package, link = self.get_link(app_id, package_id)
        with self.open_link(link) as download:
            yield package, download

    @contextmanager
    def download_package(self, app_id: str, package_id: str) -> Iterator[Download]:
        """Open the file of a package with the call that Mendix has deprecated; prefer :meth:`open_package`."""
        with self.get_conn().download(build.download_package(app_id, package_id)) as download:
            yield download

    def upload_package(
        self, app_id: str, *, name: str, size: int, chunks: Iterable[bytes]
    ) -> deploy_v2.StartedUpload:
        """Upload the file of a package. A second call makes a second package.

        :param name: the name that Mendix gives the package, such as ``main-2.5.4.63.mda``.
        :param size: bytes of the file, 1 GB at most.
        :param chunks: those bytes; they are read while they are sent.
        """
        from airflow_provider_mendix.client.multipart import FileForm

        return self.get_conn().upload(deploy_v2.upload_package(app_id, name), FileForm(name, size, chunks))

    def get_job(self, app_id: str, job_id: str) -> deploy_v2.Job:
        """Return the job that makes a package of an uploaded file."""
        return self.send(deploy_v2.get_job(app_id, job_id))

    def list_archived(self, location: ObjectStoragePath, app_id: str) -> list[Manifest]:
        """Return the manifests of an app's packages in an archive, the one stored last first.

        A package counts if its manifest is complete and its object has the size that the manifest says.

        :param location: the folder; everything below it is searched.
        """
        from airflow_provider_mendix.archive.catalog import list_manifests

        return list_manifests(location, inputs.app_id(app_id))

    def list_apps(self) -> list[deploy.App]:
        """Return the apps that the user has access to."""
        return self.send(deploy.list_apps())

    def get_app(self, app_id: str) -> deploy.App:
        """Return one app."""
        return self.send(deploy.get_app(app_id))

    def project_id(self, app_id: str) -> str:
        """Return the UUID of an app's project.

        :raises AppNotFoundError: if Mendix names no UUID for the app.
        """
        return self.run(conversations.project_id(app_id))

    def app_id(self, project_id: str) -> str:
        """Return the subdomain of a project's app, if the user has access to it."""
        return self.run(conversations.app_id(project_id))

    def list_branches(self, app_id: str) -> list[team_server.Branch]:
        """Return the branches of an app from the Team Server API, which Mendix has retired.

        :raises RetiredApiError: if Mendix does not serve it.
        """
        return self.send(team_server.list_branches(app_id))

    def get_branch(self, app_id: str, branch: str) -> team_server.Branch:
        """Return one branch from the Team Server API.

        :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``.
        """
        return self.run(conversations.first_spelling(team_server.get_branch, app_id, branch))

    def list_revisions(self, app_id: str, branch: str) -> list[team_server.Revision]:
        """Return the last 20 revisions of a branch from the Team Server API, in no particular order."""
        return self.run(conversations.first_spelling(team_server.list_revisions, app_id, branch))

    def get_repository(self, project_id: str) -> app_repository.Repository:
        """Return the type and the URL of a project's repository from the App Repository API."""
        return self.send(app_repository.get_repository(project_id))

    def list_repository_branches(self, project_id: str) -> Iterator[app_repository.Branch]:
        """Yield the branches of a repository; each further page is requested when it is needed."""
        return app_repository.pages(
            self.send, lambda cursor: app_repository.list_branches(project_id, cursor=cursor)
        )

    def get_repository_branch(self, project_id: str, branch: str) -> app_repository.Branch:
        """Return one branch, spelled as the repository spells it, from the App Repository API."""
        return self.send(app_repository.get_branch(project_id, branch))

    def list_commits(self, project_id: str, branch: str) -> Iterator[app_repository.Commit]:
        """Yield the commits of a branch, newest first; each further page is requested when it is needed.

        :param branch: as the repository spells it.
        """
        return app_repository.pages(
            self.send, lambda cursor: app_repository.list_commits(project_id, branch, cursor=cursor)
        )

    def locate_branch(self, app_id: str, branch: str = "main") -> BranchSource:
        """Return the API that knows a branch, and the spelling that it knows.

        :raises BranchNotFoundError: if there is no such branch.
        """
        return self.run(conversations.locate_branch(app_id, branch, has_token=self.has_token)).source

    def latest_revision(self, app_id: str, branch: str = "main") -> BranchRevision:
        """Return the newest revision of a branch, of a Git or an SVN app.

        The App Repository API is asked if the connection has a personal access token, else the Team Server API,
        which Mendix has retired.

        :param branch: ``x``, ``branches/x``, or ``main`` or ``trunk``, which both mean the main line.
        :raises RetiredApiError: if the connection has no token, and Mendix does not serve the Team Server API.
        :raises BranchNotFoundError: if there is no such branch.
        :raises RevisionNotFoundError: if nothing has been committed to it.
        """
        return self.run(conversations.latest_revision(app_id, branch, has_token=self.has_token))

    def find_revision(self, app_id: str, branch: str, revision: str | int) -> BranchRevision:
        """Return a revision that is on a branch; a short Git hash is returned in full length.

        :raises RevisionNotFoundError: if it is not among the revisions that can be read.
        :raises InvalidInputError: if a short hash fits more than one commit.
        """
        return self.run(conversations.find_revision(app_id, branch, revision, has_token=self.has_token))

    def pending_revisions(
        self, app_id: str, branch: str = "main", *, since: str | int | None = None
    ) -> list[BranchRevision]:
        """Return the revisions that came to a branch since a known one, oldest first.

        An event of an asset says that there is something to do, and Airflow may merge events. This says what.

        :param branch: ``x``, ``branches/x``, or ``main`` or ``trunk``, which both mean the main line.
        :param since: the revision that was processed last; ``None`` makes only the newest one pending. If it is
            not among the newest 1000 of the branch, because its history was rewritten for example, only the newest
            one is returned, with a warning.
        :raises BranchNotFoundError: if there is no such branch.
        """
        from airflow_provider_mendix.api import pending

        known = None if since is None else inputs.revision(since, "since")
        found = self.run(pending.pending_revisions(app_id, branch, known, has_token=self.has_token))
        if not found.is_complete:
            self.log.warning(
                "Revision %s is not among the newest of branch %s of app %s: only the newest one is pending.",
                since,
                branch,
                app_id,
            )
        return list(found.revisions)

    def pending_packages(
        self, app_id: str, branch: str = "main", *, done: Collection[str] = (), include_failed: bool = False
    ) -> list[build.Package]:
        """Return the finished packages of a branch that have not been processed yet, oldest first.

        :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``, by which Mendix begins the names of packages.
        :param done: ids of the packages that have been processed. The order in which builds end is not that in
            which they were started, so the newest one does not tell.
        :param include_failed: also those that ended as ``Failed``.
        """
        from airflow_provider_mendix.api import pending

        return pending.pending_packages(
            self.list_packages(app_id), branch, done=done, include_failed=include_failed
        )

    def list_environments(self, app_id: str) -> list[deploy.Environment]:
        """Return the environments of an app."""
        return self.send(deploy.list_environments(app_id))

    def find_environment(self, app_id: str, environment: str) -> deploy.Environment:
        """Return one environment from the list of the app's environments.

        :raises EnvironmentNotFoundError: with the names of the existing environments.
        """
        return self.run(conversations.environment(app_id, environment))

    def get_environment(self, app_id: str, environment: str) -> deploy.Environment:
        """Return one environment."""
        return self.send(deploy.get_environment(app_id, environment))

    def get_environment_package(self, app_id: str, environment: str) -> build.Package | None:
        """Return the package on an environment; ``None`` if there is none."""
        return self.run(conversations.environment_package(app_id, environment))

    def transport_package(self, app_id: str, environment: str, package_id: str) -> None:
        """Transport a package to an environment; it runs there from the next start."""
        self.send(deploy.transport_package(app_id, environment, package_id))

    def stop_environment(self, app_id: str, environment: str) -> None:
        """Stop the app on an environment; it keeps running for a while."""
        self.send(deploy.stop_environment(app_id, environment))

    def start_environment(self, app_id: str, environment: str, *, auto_sync_db: bool = True) -> str | None:
        """Start the app on an environment and return the ``JobId``; ``None`` if Mendix names no job.

        Without a job, the status of the environment tells whether the app runs.

        :param auto_sync_db: change the database to what the model needs.
        :raises AlreadyStartedError: if the app already runs, also where Mendix calls that a success.
        """
        return self.run(conversations.start_environment(app_id, environment, auto_sync_db=auto_sync_db))

    def get_start_job(self, app_id: str, environment: str, job_id: str) -> deploy.StartJob:
        """Return a start job.

        :raises StartFailedError: if the start has failed, which Mendix answers with an error.
        """
        return self.send(deploy.get_start_job(app_id, environment, job_id))

    def get_settings(self, app_id: str, environment: str) -> deploy.Settings:
        """Return constants, custom settings and scheduled events of an environment; values may be secrets."""
        return self.send(deploy.get_settings(app_id, environment))

    def set_settings(self, app_id: str, environment: str, settings: deploy.Settings) -> deploy.Settings:
        """Change the settings of an environment; the next start uses them.

        :param settings: as :meth:`get_settings` returned them, with other values.
        """
        return self.send(deploy.set_settings(app_id, environment, settings))
