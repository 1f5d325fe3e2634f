"""Mendix Build API: deployment packages of an app, and starting builds.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/
"""

from __future__ import annotations

import contextlib
import enum
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Self, cast

import msgspec
import pendulum

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host, decode
from airflow_provider_mendix.exceptions import PackageNotReadyError

BUILD_API = Api(
    name="Build API",
    host=Host.DEPLOY,
    prefix="/api/1",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/",
)


class PackageStatus(enum.StrEnum):
    """The documented states of a package. Others may come, and then mean "not yet"."""

    QUEUED = "Queued"
    BUILDING = "Building"
    UPLOADING = "Uploading"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class DownloadUrl(msgspec.Struct, frozen=True):
    """A signed link to the file of a package: whoever holds it may download, so it is never shown.

    :param location: the link itself.
    :param ttl: seconds that the link is valid.
    """

    location: str = msgspec.field(name="Location")
    ttl: float | None = msgspec.field(name="TTL", default=None)

    def __repr__(self) -> str:
        return f"DownloadUrl(location='***', ttl={self.ttl})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show as little to rich, for which msgspec has a view of its own."""
        return [("ttl", self.ttl)]


class PackageStub(msgspec.Struct, frozen=True, rename="pascal"):
    """As much of a package as tells which one it is, and whether it is done."""

    package_id: str
    status: str

    @property
    def is_unfinished(self) -> bool:
        """Whether it is still being built, or in a state that nobody knows yet."""
        return self.status not in (PackageStatus.SUCCEEDED, PackageStatus.FAILED)


class Package(PackageStub, frozen=True, rename="pascal"):
    """A deployment package, or a build on its way to become one.

    :param status: one of :class:`PackageStatus`, or a word that Mendix adds one day.
    :param version: four parts, ``major.minor.patch.revision``; may be empty.
    :param creation_date: when the build was created or the file uploaded.
    :param size: bytes where it is an ``int``; Mendix has also been seen to send a fraction.
    :param url: present only when asked for, and only when there is a file.
    """

    name: str | None = None
    description: str | None = None
    version: str | None = None
    creator: str | None = None
    creation_date: pendulum.DateTime | None = None
    size: int | float | None = None
    url: DownloadUrl | None = None

    @property
    def line(self) -> str | None:
        """Branch that it was built from, as its name tells it; ``Main line`` for an SVN trunk."""
        ending = f"-{self.version}.mda"
        name = self.name or ""
        return name.removesuffix(ending) if self.version and name.endswith(ending) else None

    def summary(self) -> dict[str, Any]:
        """Give what a task may hand on: small, JSON-plain, and without the link."""
        return {
            "package_id": self.package_id,
            "name": self.name,
            "version": self.version,
            "status": self.status,
            "size": self.size,
            "creation_date": self.creation_date.isoformat() if self.creation_date else None,
        }


class LazyPackageList:
    """A list of packages that has not been read yet, but for the ids.

    To read 2000 packages in full, with their dates, holds up an event loop for 20 ms; this takes one.

    :ivar size: bytes of the answer.
    :ivar unreadable: packages of which not even id and state can be read.
    """

    def __init__(self, size: int, found: Mapping[str, tuple[PackageStub, msgspec.Raw]], unreadable: int) -> None:
        self.size = size
        self.unreadable = unreadable
        self._found = found

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read the ids and the states."""
        found, raws = {}, _list.decode(body)
        for raw in raws:
            with contextlib.suppress(*_UNREADABLE):
                glimpse = _glimpse.decode(raw)
                found[glimpse.package_id] = glimpse, raw
        return cls(len(body), found, unreadable=len(raws) - len(found))

    def __iter__(self) -> Iterator[PackageStub]:
        return (glimpse for glimpse, _ in self._found.values())

    def get(self, package_id: str) -> Package | None:
        """Give one package, as far as its state is of interest; ``None`` if it is not there or cannot be read."""
        glimpse, raw = self._found.get(package_id, (None, b""))
        if glimpse is None:
            return None
        if glimpse.is_unfinished:
            return Package(glimpse.package_id, glimpse.status)
        try:
            return cast(Package, decode(raw, Package))
        except _UNREADABLE:
            return None


class _PackageInProgress:
    @staticmethod
    def from_json(body: bytes) -> Package:
        glimpse = _glimpse.decode(body)
        if glimpse.is_unfinished:
            return Package(glimpse.package_id, glimpse.status)
        return cast(Package, decode(body, Package))


# Waits ask the same again and again, and to make a call anew takes a twelfth of what it takes to send it.
_CALLS_KEPT = 10_000
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_glimpse = msgspec.json.Decoder(PackageStub)


class StartedBuild(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to a start call."""

    package_id: str


def split_version(version: str | None) -> tuple[str, str]:
    """Part a package's version into ``major.minor.patch`` and the revision; either may be empty."""
    three, _, revision = (version or "").rpartition(".")
    return three, revision


def require_succeeded(app_id: str, package: Package) -> None:
    """Check that a package can have a file.

    :raises PackageNotReadyError: if the package is not ``Succeeded``.
    """
    if package.status != PackageStatus.SUCCEEDED:
        raise PackageNotReadyError(
            f"Package {package.package_id} of app {app_id} is {package.status}, not Succeeded, so it has no file."
            " Wait for it first, with MendixPackageSensor or wait_for_completion=True."
        )


LIST_PACKAGES = Endpoint[list[Package]](
    BUILD_API, "GET", "/apps/{app_id}/packages", returns=list[Package], repeatable=True
)
GET_PACKAGE = Endpoint[Package](
    BUILD_API, "GET", "/apps/{app_id}/packages/{package_id}", returns=Package, repeatable=True
)
DELETE_PACKAGE = Endpoint[None](
    BUILD_API, "DELETE", "/apps/{app_id}/packages/{package_id}", returns=None, repeatable=False
)
DOWNLOAD_PACKAGE = Endpoint[bytes](
    BUILD_API, "GET", "/apps/{app_id}/packages/{package_id}/download", returns=bytes, repeatable=True
)
START_BUILD = Endpoint[StartedBuild](
    BUILD_API, "POST", "/apps/{app_id}/packages", returns=StartedBuild, repeatable=False
)


def list_packages(app_id: str) -> Call[list[Package]]:
    """All packages of an app, in no particular order."""
    return LIST_PACKAGES.call({"app_id": inputs.app_id(app_id)})


def get_package(app_id: str, package_id: str, *, url: bool = False) -> Call[Package]:
    """One package; with ``url`` also the link to its file."""
    return GET_PACKAGE.call(_package(app_id, package_id), query={"url": "true"} if url else None)


@functools.lru_cache(_CALLS_KEPT)
def list_packages_lazily(app_id: str) -> Call[LazyPackageList]:
    """The list of packages, whose answer is read only as far as somebody looks at it."""
    endpoint = msgspec.structs.replace(LIST_PACKAGES, returns=LazyPackageList)
    return cast(Call[LazyPackageList], msgspec.structs.replace(list_packages(app_id), endpoint=endpoint))


@functools.lru_cache(_CALLS_KEPT)
def get_package_lazily(app_id: str, package_id: str) -> Call[Package]:
    """One package, of which only id and state are read while it is unfinished."""
    endpoint = msgspec.structs.replace(GET_PACKAGE, returns=_PackageInProgress)
    return msgspec.structs.replace(get_package(app_id, package_id), endpoint=endpoint)


def delete_package(app_id: str, package_id: str) -> Call[None]:
    """Delete one package."""
    return DELETE_PACKAGE.call(_package(app_id, package_id))


def download_package(app_id: str, package_id: str) -> Call[bytes]:
    """The file of a package. Deprecated by Mendix in favour of the link of :func:`get_package`."""
    return DOWNLOAD_PACKAGE.call(_package(app_id, package_id))


def start_build(
    app_id: str,
    *,
    revision: str | int,
    version: str,
    branch: str | None = None,
    description: str | None = None,
) -> Call[StartedBuild]:
    """Start one build. There is no idempotency key: every call that arrives makes a package."""
    body = {"Revision": inputs.revision(revision), "Version": inputs.version(version)}
    if branch is not None:
        body["Branch"] = inputs.branch(branch)
    if description:
        body["Description"] = description.encode("utf-8", "replace").decode()
    return START_BUILD.call({"app_id": inputs.app_id(app_id)}, body=body)


def _package(app_id: str, package_id: str) -> dict[str, str]:
    return {"app_id": inputs.app_id(app_id), "package_id": inputs.package_id(package_id)}
