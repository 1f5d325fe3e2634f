"""The repositories of apps, as values: branches and their commits. Pushing to one gives a new one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Literal

import msgspec

RepositoryType = Literal["git", "svn"]

MAIN_LINES: Mapping[RepositoryType, str] = {"git": "main", "svn": "trunk"}
PREFIX = "branches/"


class InvalidBranchError(ValueError):
    """Nothing can be pushed to a branch of this name."""


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
    mendix_version: str | None = "10.24.0.1"
    stories: tuple[str, ...] = ()


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository.

    :param seed: goes into the hashes, so that no two repositories have the same.
    :param branches: commits, oldest first, by the branch's name without ``branches/``; the main line comes first.
    :param made: how many commits there are on all branches together.
    """

    type: RepositoryType
    seed: str
    branches: Mapping[str, tuple[Commit, ...]]
    made: int = 0

    @property
    def main_line(self) -> str:
        """Name of the main line."""
        return MAIN_LINES[self.type]

    def commits(self, branch: str | None = None) -> tuple[Commit, ...]:
        """Give the commits of a branch, newest first.

        :raises KeyError: if there is no such branch.
        """
        return self.branches[(branch or self.main_line).removeprefix(PREFIX)][::-1]


def create(kind: RepositoryType, seed: str, at: float) -> Repository:
    """Make a repository with one commit on its main line."""
    first = Commit(date=at, message="Create the app")
    return _with(Repository(type=kind, seed=seed, branches={}), MAIN_LINES[kind], (), first)


def push(repository: Repository, branch: str | None, change: Commit) -> Repository:
    """Add a commit; it is then the last one of its branch.

    A new branch starts with the commits that the main line has. Git shares them and adds nothing; with SVN a
    commit of its own comes next, which stands for the copy.

    :param branch: its name with or without ``branches/``; ``None`` for the main line.
    :param change: the commit, without an id.
    :raises InvalidBranchError: if the name is impossible.
    """
    name = branch_name(repository, branch)
    if name not in repository.branches:
        history = repository.branches[repository.main_line]
        repository = msgspec.structs.replace(repository, branches={**repository.branches, name: history})
        if repository.type == "svn":
            copy = msgspec.structs.replace(
                change, message=f"Create branch {name}", mendix_version=history[-1].mendix_version, stories=()
            )
            repository = _with(repository, name, history, copy)
    return _with(repository, name, repository.branches[name], change)


def branch_name(repository: Repository, branch: str | None) -> str:
    """Give the name by which a repository keeps a branch.

    :raises InvalidBranchError: if the name is impossible, or would be mistaken for a main line.
    """
    if branch in (None, repository.main_line):
        return repository.main_line
    name = str(branch).removeprefix(PREFIX)
    if name in MAIN_LINES.values():
        raise InvalidBranchError(
            f"The main line of this app is {repository.main_line!r}; no other branch can be called {branch!r}."
        )
    if is_impossible(name):
        raise InvalidBranchError(f"No branch can be called {branch!r}.")
    return name


def is_impossible(branch: str) -> bool:
    """Tell whether no branch can have a name, by the rules of Git."""
    forbidden = re.search(r"[\x00-\x1f\x7f~^:?*\[\\]|\.\.|@\{", branch)
    parts = branch.split("/")
    return bool(forbidden) or any(not part.strip() or part.startswith(".") for part in parts)


def _with(repository: Repository, name: str, history: tuple[Commit, ...], change: Commit) -> Repository:
    number = repository.made + 1
    if repository.type == "svn":
        commit = msgspec.structs.replace(change, id=str(number), author_name=change.author)
    else:
        # Not of the date: the same pushes make the same hashes, whenever a test runs.
        told = [repository.seed, number, history[-1].id if history else "", change.author, change.message]
        digest = hashlib.blake2b(msgspec.json.encode(told), digest_size=20).hexdigest()
        commit = msgspec.structs.replace(change, id=digest)
    branches = {**repository.branches, name: (*history, commit)}
    return msgspec.structs.replace(repository, branches=branches, made=number)
