"""The repositories of apps: branches and their commits."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from airflow_provider_mendix.clock import Clock

RepositoryType = Literal["git", "svn"]

MAIN_LINES: Mapping[RepositoryType, str] = {"git": "main", "svn": "trunk"}
PREFIX = "branches/"
DEFAULT_MENDIX_VERSION = "10.24.0.1"


class InvalidBranchError(ValueError):
    """A branch cannot have this name."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit.

    :param id: a hash of 40 hexadecimal digits, or the number of an SVN revision.
    :param author: e-mail address.
    :param author_name: with SVN it is the e-mail address too.
    :param date: seconds since the epoch.
    :param stories: ids of user stories.
    """

    id: str = ""
    author: str = "dev@example.com"
    author_name: str = "Demo Engineer"
    date: float
    message: str
    mendix_version: str | None = DEFAULT_MENDIX_VERSION
    stories: tuple[str, ...] = ()


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository, as a value.

    :param seed: goes into the hashes, so that no two repositories have the same.
    :param branches: commits, oldest first, by the branch's name without ``branches/``; the main line comes first.
    :param made: how many commits there are on all branches together.
    """

    type: RepositoryType
    seed: str
    branches: Mapping[str, tuple[Commit, ...]] = {}
    made: int = 0

    @property
    def main_line(self) -> str:
        """Name of the main line."""
        return MAIN_LINES[self.type]

    def commits(self, branch: str | None = None) -> tuple[Commit, ...]:
        """Return the commits of a branch, newest first.

        :raises KeyError: if there is no such branch.
        """
        return self.branches[(branch or self.main_line).removeprefix(PREFIX)][::-1]

    def with_commit(self, branch: str | None, change: Commit) -> Repository:
        """Return the repository with one more commit on a branch.

        A new branch starts with the commits of the main line. Git shares them and adds nothing; with SVN, a commit
        that stands for the copy comes next.

        :param branch: its name with or without ``branches/``; ``None`` for the main line.
        :param change: the commit, without an id.
        :raises InvalidBranchError: if the name is impossible.
        """
        name = self._branch_name(branch)
        if name in self.branches or name == self.main_line:
            return self._appended(name, self.branches.get(name, ()), change)
        history = self.branches[self.main_line]
        if self.type == "git":
            return self._appended(name, history, change)
        copy = msgspec.structs.replace(
            change, message=f"Create branch {name}", mendix_version=history[-1].mendix_version, stories=()
        )
        repository = self._appended(name, history, copy)
        return repository._appended(name, repository.branches[name], change)

    def _branch_name(self, branch: str | None) -> str:
        if branch in (None, self.main_line):
            return self.main_line
        name = str(branch).removeprefix(PREFIX)
        if name in MAIN_LINES.values():
            raise InvalidBranchError(
                f"The main line of this app is {self.main_line!r}; no other branch can be called {branch!r}."
            )
        if is_impossible(name):
            raise InvalidBranchError(f"No branch can be called {branch!r}.")
        return name

    def _appended(self, name: str, history: tuple[Commit, ...], change: Commit) -> Repository:
        number = self.made + 1
        if self.type == "svn":
            commit = msgspec.structs.replace(change, id=str(number), author_name=change.author)
        else:
            # Not of the date: the same pushes make the same hashes, whenever a test runs.
            hashed = [self.seed, number, history[-1].id if history else "", change.author, change.message]
            digest = hashlib.blake2b(msgspec.json.encode(hashed), digest_size=20).hexdigest()
            commit = msgspec.structs.replace(change, id=digest)
        return msgspec.structs.replace(self, branches={**self.branches, name: (*history, commit)}, made=number)


class Repositories(dict[str, Repository]):
    """The repositories of all apps, by subdomain."""

    def __init__(self, clock: Clock, lock: threading.RLock) -> None:
        super().__init__()
        self._clock = clock
        self._lock = lock

    def create(self, app_id: str, kind: RepositoryType, seed: str, *, age: float) -> None:
        """Create the repository of an app, with one commit on its main line that is ``age`` seconds old."""
        first = Commit(date=self._clock.now() - age, message="Create the app")
        self[app_id] = Repository(type=kind, seed=seed).with_commit(None, first)

    def push(
        self,
        app_id: str,
        *,
        branch: str | None = None,
        message: str = "Change something",
        author: str = "dev@example.com",
        author_name: str = "Demo Engineer",
        mendix_version: str | None = DEFAULT_MENDIX_VERSION,
        stories: Iterable[str] = (),
        age: float = 0.0,
    ) -> str:
        """Push one commit to a branch, made ``age`` seconds ago, and return its id.

        :param branch: its name with or without ``branches/``; ``None`` for the main line. A new one is created.
        :param author: e-mail address; with SVN it is the author's name too.
        :raises KeyError: if there is no such app.
        :raises InvalidBranchError: if no branch can have that name.
        """
        commit = Commit(
            author=author,
            author_name=author_name,
            date=self._clock.now() - age,
            message=message,
            mendix_version=mendix_version,
            stories=tuple(stories),
        )
        with self._lock:
            self[app_id] = self[app_id].with_commit(branch, commit)
            return self.commits(app_id, branch)[0].id

    def find(self, app_id: str, revision: str) -> Commit | None:
        """Return the one commit with an id or, with Git, with a hash that begins like this."""
        known = {commit.id: commit for commits in self[app_id].branches.values() for commit in commits}
        short = self[app_id].type == "git" and bool(revision)
        found = [known[id_] for id_ in known if id_ == revision or (short and id_.startswith(revision))]
        return found[0] if len(found) == 1 else None

    def commits(self, app_id: str, branch: str | None = None) -> tuple[Commit, ...]:
        """Return the commits of a branch, newest first.

        :raises KeyError: if there is no such app or branch.
        """
        return self[app_id].commits(branch)


def is_impossible(branch: str) -> bool:
    """Return whether the rules of Git forbid the name of a branch."""
    forbidden = re.search(r"[\x00-\x1f\x7f~^:?*\[\\]|\.\.|@\{", branch)
    parts = branch.split("/")
    return bool(forbidden) or any(not part.strip() or part.startswith(".") for part in parts)
