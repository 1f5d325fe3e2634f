"""The hook: an Airflow connection made into an account, and every endpoint as a typed method."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_mendix.api import (
    app_repository,
    build,
    conversations,
    deploy,
    deploy_v2,
    inputs,
    team_server,
)
from airflow_provider_mendix.api.call import Call, Conversation, Host
from airflow_provider_mendix.api.revisions import BranchRevision, BranchSource
from airflow_provider_mendix.client.account import DEFAULT_TIMEOUT, Account, base_url, checked_credential
from airflow_provider_mendix.clock import current_clock
from airflow_provider_mendix.exceptions import (
    InvalidConnectionError,
    MendixError,
    PackageNotReadyError,
)
from airflow_provider_mendix.hooks.environments import EnvironmentCalls

if TYPE_CHECKING:
    from airflow.sdk import Connection, ObjectStoragePath

    from airflow_provider_mendix.archive.manifest import Manifest
    from airflow_provider_mendix.client.clients import Download, MendixClient
    from airflow_provider_mendix.client.ranges import Part

T = TypeVar("T")

log = logging.getLogger(__name__)


class MendixHook(EnvironmentCalls, BaseHook):
    """Talk to Mendix with the credentials of an Airflow connection of type ``mendix``.

    The connection: login is the Mendix user name, password its API key; host and port override the base URL
    ``https://deploy.mendix.com``. Extra: ``personal_access_token``, ``repository_url``, ``timeout`` (seconds for
    one whole answer, default 60), ``verify`` (``true``, ``false`` or a CA bundle's path), ``proxy`` (URL).

    Each method makes one call, and repeats it after a passing trouble only where repeating is harmless. All
    raise :class:`~airflow_provider_mendix.exceptions.MendixError` or a subclass, and
    :class:`~airflow_provider_mendix.exceptions.InvalidInputError` before any request for a value that cannot be
    right. ``app_id`` is always the app's subdomain, ``project_id`` the UUID of its project.

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

    def get_conn(self) -> MendixClient:
        """Give the client that this hook sends with; it opens nothing before the first call."""
        if self._client is None:
            # What sends is loaded when something is sent: a DAG file that is parsed needs none of it.
            from airflow_provider_mendix.client.clients import MendixClient

            connection = self.get_connection(self.mendix_conn_id)
            logging.getLogger("urllib3.connectionpool").addFilter(_without_query)
            self._client = MendixClient(account_of(connection, connection.extra_dejson))
        return self._client

    async def aget_account(self) -> Account:
        """Read the connection without blocking an event loop."""
        from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

        connection = await get_async_connection(self.mendix_conn_id, hook=self)
        return account_of(connection, await get_async_extra_dejson(connection))

    def list_packages(self, app_id: str) -> list[build.Package]:
        """List all packages of an app, in no particular order."""
        return self.send(build.list_packages(app_id))

    def get_package(self, app_id: str, package_id: str, *, url: bool = False) -> build.Package:
        """Get one package; with ``url`` also the signed link to its file, which is a secret."""
        package = self.send(build.get_package(app_id, package_id, url=url))
        if package.url:
            _mask_link(package.url.location)
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
        """Start one build and give its ``PackageId``. It is sent once: a second call is a second build.

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

    @contextmanager
    def download_package(self, app_id: str, package_id: str) -> Iterator[Download]:
        """Open the file of a package with the call that Mendix has deprecated.

        :meth:`open_package` is the way that Mendix recommends.
        """
        with self.get_conn().download(build.download_package(app_id, package_id)) as download:
            yield download

    @contextmanager
    def open_package(self, app_id: str, package_id: str) -> Iterator[tuple[build.Package, Download]]:
        """Open the file of a package through a signed link, asked for now and used at once.

        :raises PackageNotReadyError: if the package is not ``Succeeded``, or Mendix gives no link.
        :raises DownloadError: if the file host refuses.
        """
        package, link = self.get_link(app_id, package_id)
        with self.open_link(link) as download:
            yield package, download

    def get_link(self, app_id: str, package_id: str) -> tuple[build.Package, build.DownloadUrl]:
        """Get a package and the signed link to its file, which is a secret that expires.

        :raises PackageNotReadyError: if the package is not ``Succeeded``, or Mendix gives no link.
        """
        package = self.get_package(app_id, package_id, url=True)
        require_succeeded(app_id, package)
        if package.url is None:
            raise PackageNotReadyError(
                f"Package {package_id} of app {app_id} is Succeeded, but Mendix gave no link to its file. Try"
                " again later; if it stays so, the file may be gone."
            )
        return package, package.url

    @contextmanager
    def open_link(self, link: build.DownloadUrl, part: Part | None = None) -> Iterator[Download]:
        """Open the file behind a signed link.

        :param part: ask for the rest of a file; the host may give all of it all the same.
        :raises DownloadError: if the file host refuses.
        """
        with self.get_conn().download(link.location, part) as download:
            yield download

    def upload_package(
        self, app_id: str, *, name: str, size: int, pieces: Iterable[bytes]
    ) -> deploy_v2.StartedUpload:
        """Upload the file of a package, once: a second call makes a second package.

        :param name: what Mendix is to call the package, such as ``main-2.5.4.63.mda``.
        :param size: bytes of the file, 1 GB at most.
        :param pieces: those bytes; they are read while they are sent.
        """
        from airflow_provider_mendix.client.multipart import FileForm

        return self.get_conn().upload(deploy_v2.upload_package(app_id, name), FileForm(name, size, pieces))

    def get_job(self, app_id: str, job_id: str) -> deploy_v2.Job:
        """Get the state of the job that makes a package of an uploaded file."""
        return self.send(deploy_v2.get_job(app_id, job_id))

    def list_archived(self, location: ObjectStoragePath, app_id: str) -> list[Manifest]:
        """List the packages of an app that an archive holds, the one stored last first.

        Those count whose manifest is complete and whose object is there with the size that it says.

        :param location: the folder; all below it counts.
        """
        from airflow_provider_mendix.archive.catalog import archived

        return archived(location, inputs.app_id(app_id))

    def list_apps(self) -> list[deploy.App]:
        """List the apps that the user may see."""
        return self.send(deploy.list_apps())

    def get_app(self, app_id: str) -> deploy.App:
        """Get one app, with the UUID that the portal knows it by."""
        return self.send(deploy.get_app(app_id))

    def project_id(self, app_id: str) -> str:
        """Return the UUID by which the App Repository API knows an app.

        :raises AppNotFoundError: if Mendix names no UUID for the app.
        """
        return self.run(conversations.project_id(app_id))

    def app_id(self, project_id: str) -> str:
        """Return the subdomain of a project's app.

        :raises AppNotFoundError: if the user has access to no app of that project.
        """
        return self.run(conversations.app_id(project_id))

    def list_branches(self, app_id: str) -> list[team_server.Branch]:
        """List the branches of an app by the Team Server API, which Mendix has deprecated."""
        return self.send(team_server.list_branches(app_id))

    def get_branch(self, app_id: str, branch: str) -> team_server.Branch:
        """Get one branch by the Team Server API.

        :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``.
        """
        return self.run(conversations.first_spelling(team_server.get_branch, app_id, branch))

    def list_revisions(self, app_id: str, branch: str) -> list[team_server.Revision]:
        """List the last 20 revisions of a branch by the Team Server API, in no particular order."""
        return self.run(conversations.first_spelling(team_server.list_revisions, app_id, branch))

    def get_repository(self, project_id: str) -> app_repository.Repository:
        """Get the kind and the URL of a project's repository by the App Repository API."""
        return self.send(app_repository.get_repository(project_id))

    def list_repository_branches(self, project_id: str) -> Iterator[app_repository.Branch]:
        """Go through the branches of a repository; each further page is asked for when it is needed."""
        return self._pages(lambda cursor: app_repository.list_branches(project_id, cursor=cursor))

    def get_repository_branch(self, project_id: str, branch: str) -> app_repository.Branch:
        """Get one branch, spelled as the repository spells it, by the App Repository API."""
        return self.send(app_repository.get_branch(project_id, branch))

    def list_commits(self, project_id: str, branch: str) -> Iterator[app_repository.Commit]:
        """Go through the commits of a branch, newest first; each further page is asked for when it is needed.

        :param branch: as the repository spells it.
        """
        return self._pages(lambda cursor: app_repository.list_commits(project_id, branch, cursor=cursor))

    def locate_branch(self, app_id: str, branch: str = "main") -> BranchSource:
        """Find out which API knows a branch, and by which name.

        :raises BranchNotFoundError: if there is no such branch.
        """
        self._log_without_token()
        return self.run(conversations.locate_branch(app_id, branch, has_token=self.has_token)).source

    def latest_revision(self, app_id: str, branch: str = "main") -> BranchRevision:
        """Get the newest revision of a branch, of a Git or an SVN app.

        The App Repository API is asked if the connection has a personal access token, else the Team Server API.

        :param branch: ``x``, ``branches/x``, or ``main`` or ``trunk``, which both mean the main line.
        :raises BranchNotFoundError: if there is no such branch.
        :raises RevisionNotFoundError: if nothing has been committed to it.
        """
        self._log_without_token()
        return self.run(conversations.latest_revision(app_id, branch, has_token=self.has_token))

    def find_revision(self, app_id: str, branch: str, revision: str | int) -> BranchRevision:
        """Get a revision that is on a branch; a short Git hash comes back in full length.

        :raises RevisionNotFoundError: if it is not on the branch, or so old that it cannot be seen.
        :raises InvalidInputError: if a short hash names more than one commit.
        """
        self._log_without_token()
        return self.run(conversations.find_revision(app_id, branch, revision, has_token=self.has_token))

    def test_connection(self) -> tuple[bool, str]:
        """Prove the API key and the personal access token, and report on each."""
        from airflow_provider_mendix.hooks import credentials

        try:
            account = self.get_conn().account
        except MendixError as error:
            return False, str(error)
        return credentials.report(self, account)

    @property
    def has_token(self) -> bool:
        """Whether the connection has a personal access token."""
        return self.get_conn().account.has_token

    def send(self, call: Call[T]) -> T:
        """Send one call; send it again after a transient error if repeating it is harmless.

        :raises MendixError: if no attempt brought a good response.
        """
        from airflow_provider_mendix.client.retry import send_patiently

        return send_patiently(self.get_conn().send, call, current_clock())

    def send_once(self, call: Call[T]) -> T:
        """Send one call, and leave what to do about an error to the caller.

        :raises MendixError: if there was no good response.
        """
        return self.get_conn().send(call)

    def run(self, conversation: Conversation[T]) -> T:
        """Drive a conversation with :meth:`send` and return its result.

        :raises MendixError: the error of a call that the conversation does not handle, or one of its own.
        """
        try:
            call = next(conversation)
            while True:
                try:
                    result = self.send(call)
                except MendixError as error:
                    call = conversation.throw(error)
                else:
                    call = conversation.send(result)
        except StopIteration as end:
            return cast("T", end.value)

    def _pages(self, call_for: Callable[[str | None], Call[app_repository.Page[T]]]) -> Iterator[T]:
        cursor: str | None = None
        while True:
            page = self.send(call_for(cursor))
            yield from page.items
            cursor = conversations.next_cursor(page, cursor)
            if cursor is None:
                return

    def _log_without_token(self) -> None:
        if not self.has_token:
            _log_deprecated_api(self.mendix_conn_id)


def require_succeeded(app_id: str, package: build.Package) -> None:
    """Check that there can be a file of a package.

    :raises PackageNotReadyError: if the package is not ``Succeeded``.
    """
    if package.status != build.PackageStatus.SUCCEEDED:
        raise PackageNotReadyError(
            f"Package {package.package_id} of app {app_id} is {package.status}, not Succeeded, so it has no file."
            " Wait for it first, with MendixPackageSensor or wait_for_completion=True."
        )


def account_of(connection: Connection, extra: Mapping[str, Any]) -> Account:
    """Make an account of an Airflow connection.

    :raises InvalidConnectionError: if something is missing, malformed or unsafe; no secret is shown.
    """
    urls = {Host.DEPLOY: base_url(connection.host, connection.port)} if connection.host else {}
    if extra.get("repository_url"):
        urls[Host.REPOSITORY] = base_url(extra["repository_url"])
    token = extra.get("personal_access_token")
    return Account(
        username=checked_credential("Mendix user name", connection.login, "login"),
        api_key=checked_credential("API key", connection.password, "password"),
        personal_access_token=checked_credential("personal access token", token, "extra") if token else None,
        base_urls=urls,
        timeout=_seconds(extra.get("timeout")),
        verify=_verify(extra.get("verify")),
        proxy=extra.get("proxy") or None,
    )


def _seconds(value: object) -> float:
    if value in (None, ""):
        return DEFAULT_TIMEOUT
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise InvalidConnectionError(
            f"The connection's timeout {value!r} is not a number of seconds from 1 to 3600."
        )
    return seconds


def _verify(value: object) -> bool | str:
    """The form and the URI of a connection carry text; its JSON may carry a boolean."""
    text = "" if value is None else str(value).strip()
    if text.lower() in ("", "true", "false"):
        return text.lower() != "false"
    return text


@functools.cache
def _log_deprecated_api(mendix_conn_id: str) -> None:
    log.info(
        "Connection %s has no personal access token: asking the Team Server API, which Mendix has deprecated. It"
        " serves SVN apps only, and the newest %s revisions of a branch.",
        mendix_conn_id,
        team_server.MAX_REVISIONS,
    )


def _mask_link(location: str) -> None:
    """A signed link is a bearer secret; libraries log its path and query apart from its host."""
    parts = urlsplit(location)
    for secret in (location, parts.query, f"{parts.path}?{parts.query}"):
        if len(secret) > 4:
            mask_secret(secret)


class _WithoutQuery(logging.Filter):
    """Takes queries out of what `urllib3` logs at the level DEBUG: the signature of a link is in its query.

    Masking would not do: a redirect leads to a link that nobody has masked, `urllib3` spells links anew, and
    ``airflow dags test`` masks nothing.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                f"{value.partition('?')[0]}?***" if isinstance(value, str) and "?" in value else value
                for value in record.args
            )
        return True


_without_query = _WithoutQuery()
