"""A Mendix Cloud without sockets: requests go in, replies come out, and the clock is handed in."""

from __future__ import annotations

import collections
import hashlib
import secrets
import uuid
from collections.abc import Iterable

from airflow_provider_mendix.clock import Clock, SystemClock

# The modules of the API families are imported for the routes that they add.
from airflow_provider_mendix.simulator.apis import app_repository as app_repository_api
from airflow_provider_mendix.simulator.apis import backups as backups_api
from airflow_provider_mendix.simulator.apis import build as build_api
from airflow_provider_mendix.simulator.apis import deploy as deploy_api
from airflow_provider_mendix.simulator.apis import deploy_v2 as deploy_v2_api
from airflow_provider_mendix.simulator.apis import environments as environments_api
from airflow_provider_mendix.simulator.apis import files, routes
from airflow_provider_mendix.simulator.apis import health as sites
from airflow_provider_mendix.simulator.apis import settings as settings_api
from airflow_provider_mendix.simulator.apis import team_server as team_server_api
from airflow_provider_mendix.simulator.apis.routes import RefusedError, Reply, Request, json_reply
from airflow_provider_mendix.simulator.faults.registry import Faults
from airflow_provider_mendix.simulator.journal import Journal, entry
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state import repositories
from airflow_provider_mendix.simulator.state.deployments import Deployments
from airflow_provider_mendix.simulator.state.environments import USUAL_ENVIRONMENTS
from airflow_provider_mendix.simulator.state.packages import (
    SUCCEEDED,
    App,
    Ending,
    StoredJob,
    StoredPackage,
    Timeline,
)
from airflow_provider_mendix.simulator.state.repositories import Commit, Repository, RepositoryType

__all__ = ["Ending", "Options", "Platform", "Reply", "Request", "Timeline"]
__all__ += ["app_repository_api", "backups_api", "build_api", "deploy_api", "deploy_v2_api", "environments_api"]
__all__ += ["settings_api", "team_server_api"]

_YEAR = 365 * 24 * 3600.0


class Platform(Deployments):
    """Everything that the simulated Mendix knows, and how it answers.

    :param clock: builds go on and links expire by it.
    :ivar timeline: how long builds and uploads to come take.
    :ivar ending: how builds and uploads to come end.
    :ivar next_endings: how the next ones end; goes first, one for each accepted call that starts one.
    :ivar package_size: bytes of files to come.
    :ivar files_url: base URL of the file host, put in front of links; the apps' own sites are there too.
    :ivar repositories: those of the apps, by subdomain.
    :ivar journal: every request so far.
    :ivar faults: what goes wrong.
    """

    def __init__(self, clock: Clock | None = None, *, options: Options | None = None) -> None:
        super().__init__(clock or SystemClock())
        self.options = options or Options()
        self.timeline = Timeline()
        self.ending = Ending.SUCCEEDS
        self.next_endings: collections.deque[Ending] = collections.deque()
        self.package_size = 256 * 1024
        self.files_url = "https://files.simulator.invalid"
        self.repositories: dict[str, Repository] = {}
        self.jobs: dict[str, StoredJob] = {}
        self.journal = Journal()
        self.faults = Faults(self.clock, self.packages)
        self._secret = secrets.token_bytes(32)

    def add_app(
        self,
        app_id: str,
        *,
        name: str | None = None,
        project_id: str | None = None,
        repository: RepositoryType = "git",
        free: bool = False,
        environments: Iterable[str] = USUAL_ENVIRONMENTS,
    ) -> None:
        """Add an app. The main line of its repository has one commit, a year old.

        :param free: a Free App: its newest finished package is deployed at once, and so in use.
        :param environments: names of its environments, which have nothing on them; a Free App has none.
        """
        app = App(
            app_id=app_id,
            name=name or app_id.title(),
            project_id=project_id or str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{app_id}.mendixcloud.com")),
            repository=repository,
            free=free,
        )
        with self._lock:
            self.apps[app_id] = app
            self.repositories[app_id] = repositories.create(repository, app.project_id, self.clock.now() - _YEAR)
            self.remove_environments(app_id)
            for mode in () if free else environments:
                self.add_environment(app_id, mode)

    def push(
        self,
        app_id: str,
        *,
        branch: str | None = None,
        message: str = "Change something",
        author: str = "dev@example.com",
        author_name: str = "Demo Engineer",
        mendix_version: str | None = "10.24.0.1",
        stories: Iterable[str] = (),
        age: float = 0.0,
    ) -> str:
        """Put one more commit on a branch, made ``age`` seconds ago; give its id.

        A new branch starts with the commits of the main line; with SVN, one that stands for the copy comes next.

        :param branch: its name with or without ``branches/``; ``None`` for the main line.
        :param author: e-mail address; with SVN it is the author's name too.
        :raises InvalidBranchError: if no branch can have that name.
        """
        commit = Commit(
            author=author,
            author_name=author_name,
            date=self.clock.now() - age,
            message=message,
            mendix_version=mendix_version,
            stories=tuple(stories),
        )
        with self._lock:
            repository = repositories.push(self.repositories[app_id], branch, commit)
            self.repositories[app_id] = repository
            return repository.commits(branch)[0].id

    def commits(self, app_id: str, branch: str | None = None) -> tuple[Commit, ...]:
        """Give the commits of a branch, newest first."""
        return self.repositories[app_id].commits(branch)

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
            line=app.line(branch),
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

    def take_ending(self) -> Ending:
        """Decide how what is started now ends."""
        return self.next_endings.popleft() if self.next_endings else self.ending

    def status(self, package_id: str) -> str:
        """Give the state that a package is in now."""
        return self.packages[package_id].status(self.faults.held_at(package_id, self.clock.now()))

    def in_use(self, package_id: str) -> bool:
        """Tell whether an environment runs a package, or has it for its next start."""
        package = self.packages[package_id]
        if any(package_id in environment.package_ids for environment in self.environments(package.app_id)):
            return True
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
        package = self.packages[package_id]
        return files.mda(package_id, package.size) if package.file is None else package.file

    def sha256(self, package_id: str) -> str:
        """Give the digest of that file, in hexadecimal."""
        return hashlib.sha256(self.content(package_id)).hexdigest()

    def link(self, package_id: str) -> str:
        """Make a signed link to the file of a package."""
        expires = self.clock.now() + self.options.ttl
        return self.files_url + files.signed_path(self._secret, package_id, expires)

    def handle(self, request: Request) -> Reply:
        """Answer one request, and write it down."""
        with self._lock:
            answer = self._answer_file if request.host == "files" else self._answer
            reply, faults = self.faults.apply(request, answer)
            self.journal.append(entry(request, reply, self.clock.now(), faults))
        return reply

    def _answer(self, request: Request) -> Reply:
        found = routes.find(request)
        if found is None:
            # Not an error that Mendix would send: whoever meets it uses something that is not simulated.
            asked = f"{request.method} {request.path} on its {request.host} host"
            message = f"The simulator does not know {asked}. This is not Mendix's answer."
            return json_reply({"errorMessage": message, "errorCode": "SIMULATOR_DOES_NOT_KNOW_THIS_ROUTE"}, 501)
        route, values = found
        try:
            self.admit(route.endpoint.api.host, request, values)
            return route.handler(self, request, **values)
        except RefusedError as refused:
            return refused.reply

    def _answer_file(self, request: Request) -> Reply:
        if request.path.startswith(sites.PREFIX):
            return sites.answer(request, self.environments())
        return files.answer(
            request,
            secret=self._secret,
            now=self.clock.now(),
            content=lambda package_id: self.content(package_id) if package_id in self.packages else None,
            ranges=self.options.ranges,
        )
