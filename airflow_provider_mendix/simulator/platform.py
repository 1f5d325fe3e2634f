"""A Mendix Cloud without sockets: requests go in, replies come out, and the clock is handed in."""

from __future__ import annotations

import collections
import hashlib
import secrets
import threading
import uuid
from collections.abc import Mapping
from typing import Literal

import msgspec

from airflow_provider_mendix.api.clock import Clock, SystemClock
from airflow_provider_mendix.api.core import Host

# The modules of the API families are imported for the routes that they add.
from airflow_provider_mendix.simulator import build_api, deploy_api, files, routes
from airflow_provider_mendix.simulator.injector import Faults
from airflow_provider_mendix.simulator.journal import Journal, entry
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.packages import SUCCEEDED, App, Ending, StoredPackage, Timeline
from airflow_provider_mendix.simulator.routes import RefusedError, Reply, Request, json_reply

__all__ = ["Ending", "Options", "Platform", "Reply", "Request", "Timeline", "build_api", "deploy_api"]


class _User(msgspec.Struct):
    api_key: str
    display_name: str


class Platform:
    """Everything that the simulated Mendix knows, and how it answers.

    Two answers are invented, because Mendix documents neither: 401 ``INVALID_CREDENTIALS`` for a wrong user name
    or API key, and 403 ``NO_ACCESS`` where the API Rights on an app are revoked.

    :param clock: builds go on and links expire by it.
    :ivar timeline: how long builds to come take.
    :ivar ending: how builds to come end.
    :ivar next_endings: how the next ones end; goes first, one for each accepted start call.
    :ivar package_size: bytes of files to come.
    :ivar files_url: base URL of the file host, put in front of links.
    :ivar journal: every request so far.
    :ivar faults: what goes wrong.
    """

    def __init__(self, clock: Clock | None = None, *, options: Options | None = None) -> None:
        self.clock = clock or SystemClock()
        self.options = options or Options()
        self.timeline = Timeline()
        self.ending = Ending.SUCCEEDS
        self.next_endings: collections.deque[Ending] = collections.deque()
        self.package_size = 256 * 1024
        self.files_url = "https://files.simulator.invalid"
        self.apps: dict[str, App] = {}
        self.packages: dict[str, StoredPackage] = {}
        self.journal = Journal()
        self.faults = Faults(self.clock, self.packages)
        self._users: dict[str, _User] = {}
        self._without_rights: set[str] = set()
        self._secret = secrets.token_bytes(32)
        self._lock = threading.RLock()

    def add_account(self, username: str, api_key: str, *, display_name: str = "Demo Engineer") -> None:
        """Add a user; packages show the display name as their creator."""
        with self._lock:
            self._users[username] = _User(api_key, display_name)

    def set_api_key(self, username: str, api_key: str) -> None:
        """Give a user another key; the old one stops working."""
        with self._lock:
            self._users[username].api_key = api_key

    def add_app(
        self,
        app_id: str,
        *,
        name: str | None = None,
        project_id: str | None = None,
        repository: Literal["git", "svn"] = "git",
        free: bool = False,
    ) -> None:
        """Add an app.

        :param free: a Free App: its newest finished package is deployed at once, and so in use.
        """
        with self._lock:
            self.apps[app_id] = App(
                app_id=app_id,
                name=name or app_id.title(),
                project_id=project_id or str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{app_id}.mendixcloud.com")),
                repository=repository,
                free=free,
            )

    def revoke_api_rights(self, app_id: str) -> None:
        """Take everybody's API Rights on an app."""
        with self._lock:
            self._without_rights.add(app_id)

    def grant_api_rights(self, app_id: str) -> None:
        """Give them back."""
        with self._lock:
            self._without_rights.discard(app_id)

    def has_rights(self, app_id: str) -> bool:
        """Tell whether users have API Rights on an app."""
        return app_id not in self._without_rights

    def add_package(
        self,
        app_id: str,
        *,
        version: str,
        revision: str,
        branch: str | None = None,
        description: str = "",
        age: float = 0.0,
        in_use: bool = False,
    ) -> str:
        """Put a finished package there, made ``age`` seconds ago.

        :param version: three parts.
        :param in_use: an environment runs it, so that deleting it is refused.
        """
        package = self.new_package(
            self.apps[app_id],
            version=version,
            revision=revision,
            branch=branch,
            description=description,
            age=age,
            in_use=in_use,
        )
        return package.package_id

    def new_package(
        self,
        app: App,
        *,
        version: str,
        revision: str,
        branch: str | None,
        description: str,
        creator: str = "Demo Engineer",
        age: float = 0.0,
        in_use: bool = False,
    ) -> StoredPackage:
        """Make a package."""
        package_id = str(uuid.uuid4())
        full_version = app.version(version, revision)
        package = StoredPackage(
            package_id=package_id,
            app_id=app.app_id,
            name=f"{app.line(branch)}-{full_version}.mda",
            version=full_version,
            description=description,
            creator=creator,
            created_at=self.clock.now() - age,
            size=files.mda_size(package_id, self.package_size),
            in_use=in_use,
        )
        with self._lock:
            self.packages[package_id] = package
        return package

    def status(self, package_id: str) -> str:
        """Give the state that a package is in now."""
        return self.packages[package_id].status(self.faults.held_at(package_id, self.clock.now()))

    def in_use(self, package_id: str) -> bool:
        """Tell whether an environment runs a package."""
        package = self.packages[package_id]
        if package.in_use or not self.apps[package.app_id].free:
            return package.in_use
        finished = [
            other
            for other in self.packages.values()
            if other.app_id == package.app_id and self.status(other.package_id) == SUCCEEDED
        ]
        return bool(finished) and package is max(finished, key=lambda other: other.created_at)

    def content(self, package_id: str) -> bytes:
        """Give the file of a package."""
        return files.mda(package_id, self.packages[package_id].size)

    def sha256(self, package_id: str) -> str:
        """Give the digest of that file, in hexadecimal."""
        return hashlib.sha256(self.content(package_id)).hexdigest()

    def link(self, package_id: str) -> str:
        """Make a signed link to the file of a package."""
        expires = self.clock.now() + self.options.ttl
        return self.files_url + files.signed_path(self._secret, package_id, expires)

    def creator(self, request: Request) -> str:
        """Give the display name of whoever makes a request."""
        return self._users[request.headers["mendix-username"]].display_name

    def handle(self, request: Request) -> Reply:
        """Answer one request, and write it down."""
        with self._lock:
            answer = self._answer_file if request.host == "files" else self._answer
            reply, faults = self.faults.apply(request, answer)
            self.journal.append(entry(request, reply, self.clock.now(), faults))
        return reply

    def _answer(self, request: Request) -> Reply:
        found = routes.find(request.method, request.path)
        if found is None:
            # Not an error that Mendix would send: whoever meets it uses something that is not simulated.
            message = f"The simulator does not know {request.method} {request.path}. This is not Mendix's answer."
            return json_reply({"errorMessage": message, "errorCode": "SIMULATOR_DOES_NOT_KNOW_THIS_ROUTE"}, 501)
        endpoint, values = found
        try:
            self._admit(endpoint.api.host, request, values)
            return routes.ROUTES[endpoint](self, request, **values)
        except RefusedError as refused:
            return refused.reply

    def _admit(self, host: Host, request: Request, values: Mapping[str, str]) -> None:
        if host is not Host.DEPLOY:
            raise NotImplementedError(f"The simulator does not know the credentials of {host}.")
        user = self._users.get(request.headers.get("mendix-username", ""))
        if user is None or user.api_key != request.headers.get("mendix-apikey"):
            # Invented: Mendix does not document how it refuses credentials.
            raise RefusedError(401, "INVALID_CREDENTIALS", "The user name or the API key is wrong.")
        app_id = values.get("app_id", "")
        if not self.has_rights(app_id):
            # Invented too: 403 is documented for other calls only.
            raise RefusedError(403, "NO_ACCESS", f"The user has no API Rights on app {app_id}.")

    def _answer_file(self, request: Request) -> Reply:
        return files.answer(
            request,
            secret=self._secret,
            now=self.clock.now(),
            content=lambda package_id: self.content(package_id) if package_id in self.packages else None,
            ranges=self.options.ranges,
        )
