"""Everything that the simulated Mendix Cloud knows; it knows nothing of requests."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterable

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.clock import Clock
from airflow_provider_mendix.exceptions import InvalidInputError
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state.apps import App, Apps, InvalidAppError, default_project_id
from airflow_provider_mendix.simulator.state.backups import Backups
from airflow_provider_mendix.simulator.state.environments import (
    DEFAULT_ENVIRONMENTS,
    Environments,
    StoredEnvironment,
)
from airflow_provider_mendix.simulator.state.packages import SUCCEEDED, Packages, StoredPackage
from airflow_provider_mendix.simulator.state.permissions import Permissions
from airflow_provider_mendix.simulator.state.repositories import Repositories, RepositoryType
from airflow_provider_mendix.simulator.state.webhooks import Webhooks

_YEAR = 365 * 24 * 3600.0
_KEPT_AFTER_DEPLOYMENT = 5


class Cloud:
    """The apps, and what belongs to them.

    :ivar lock: held while a request is handled, and while something is changed by another thread.
    :ivar files_url: base URL of the file host; links lead there, and the URLs of environments.
    :ivar link_secret: key of the signatures of links.
    """

    def __init__(self, clock: Clock, options: Options) -> None:
        self.clock = clock
        self.options = options
        self.lock = threading.RLock()
        self.files_url = "https://files.simulator.invalid"
        self.link_secret = secrets.token_bytes(32)
        self.apps = Apps()
        self.permissions = Permissions()
        self.repositories = Repositories(clock, self.lock)
        self.packages = Packages(clock, self.apps, self.lock)
        self.environments = Environments(clock, self.apps, self.packages, self.lock)
        self.backups = Backups(clock)
        self.webhooks = Webhooks()

    def add_app(
        self,
        app_id: str,
        *,
        name: str | None = None,
        project_id: str | None = None,
        repository: RepositoryType = "git",
        free: bool = False,
        environments: Iterable[str] = DEFAULT_ENVIRONMENTS,
    ) -> None:
        """Add an app. The main line of its repository has one commit, a year old.

        :param free: a Free App: its newest finished package is deployed at once, and so in use.
        :param environments: names of its environments, which have nothing on them; a Free App has none.
        :raises InvalidAppError: if operators refuse the id too, because it is no subdomain.
        """
        try:
            inputs.app_id(app_id)
        except InvalidInputError as error:
            suggestion = re.sub(r"[^a-z0-9]+", "-", app_id.lower()).strip("-")
            suggestion = suggestion if suggestion and suggestion != app_id else "shop"
            raise InvalidAppError(f"There can be no such app: {error} Take {suggestion!r}, for example.") from None
        app = App(
            app_id=app_id,
            name=name or app_id.title(),
            project_id=project_id or default_project_id(app_id),
            repository=repository,
            free=free,
        )
        with self.lock:
            self.apps[app_id] = app
            self.repositories.create(app_id, repository, app.project_id, age=_YEAR)
            self.environments.remove(app_id)
            for mode in () if free else environments:
                self.environments.add(app_id, mode)

    def is_in_use(self, package_id: str) -> bool:
        """Return whether a package cannot be deleted, because an environment has it or is going to have it."""
        package = self.packages[package_id]
        if any(package_id in environment.package_ids for environment in self.environments.of(package.app_id)):
            return True
        if package.in_use or not self.apps[package.app_id].free:
            return package.in_use
        packages = self.packages.of(package.app_id)
        finished = [other for other in packages if self.packages.status(other.package_id) == SUCCEEDED]
        return bool(finished) and package is max(finished, key=lambda other: other.created_at)

    def shown_version(self, environment: StoredEnvironment) -> str | None:
        """Return the version that an environment shows: of the package that runs, else of the next one."""
        if environment.model_version is not None and self.options.model_version == "running":
            return environment.model_version
        package = self.packages.get(environment.package_id or "")
        return package.version if package else None

    def expires_at(self, package: StoredPackage) -> float | None:
        """Return when a package is deleted by Mendix; ``None`` while it stays."""
        if self.options.package_lifetime is None or self.is_in_use(package.package_id):
            return None
        others = [other for other in self.packages.of(package.app_id) if not self.is_in_use(other.package_id)]
        deployed = sorted(
            (other.deployed_at, other.package_id) for other in others if other.deployed_at is not None
        )
        if package.package_id in [package_id for _, package_id in deployed[-_KEPT_AFTER_DEPLOYMENT:]]:
            return None
        return package.created_at + self.options.package_lifetime

    def delete_expired(self) -> None:
        """Delete the packages that have expired."""
        if self.options.package_lifetime is None:
            return
        now = self.clock.now()
        for package in self.packages.values():
            if self.is_in_use(package.package_id):
                package.deployed_at = now
        for package in list(self.packages.values()):
            expires_at = self.expires_at(package)
            if expires_at is not None and expires_at <= now:
                del self.packages[package.package_id]
