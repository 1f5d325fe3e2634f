"""Mendix Build API: deployment packages of an app, and starting builds.

Source: https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/
"""

from __future__ import annotations

import contextlib
import enum
import functools
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import msgspec
import pendulum

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.api.call import Api, Call, Endpoint, Host, decode, decode_date
from airflow_provider_mendix.exceptions import PackageNotReadyError

BUILD_API = Api(
    name="Build API",
    host=Host.DEPLOY,
    prefix="/api/1",
    docs="https://docs.mendix.com/apidocs-mxsdk/apidocs/build-api/",
)

TRANSPORT_RIGHTS = "Transport Rights"
"""The permission with which a user may start builds and change environments."""

_SVN_MAIN_LINE = ("Main line", "MainLine")
"""How the names of packages show ``trunk``: in version 1 of the API, and in samples of version 4."""

_FIRST_SECOND = 10**9
_FIRST_MILLISECOND = 10**11
"""From these numbers on, a number can be a date: in seconds from 2001, in milliseconds from 1973."""


class PackageStatus(enum.StrEnum):
    """The documented states of a package. Any other state means "not finished"."""

    QUEUED = "Queued"
    BUILDING = "Building"
    UPLOADING = "Uploading"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


if TYPE_CHECKING:
    Number: TypeAlias = int | float | None
    Date: TypeAlias = pendulum.DateTime | None
else:
    # Decoded as Mendix sends them, and made a number by `_number` and a date by `_date`.
    Number = Date = Any


class DownloadUrl(msgspec.Struct, frozen=True):
    """A signed link to the file of a package. It is a secret: everyone who has it can download the file.

    :param location: the link itself.
    :param ttl: how long the link is valid, in seconds; ``None`` if Mendix sends no number above 0.
    """

    location: str = msgspec.field(name="Location")
    ttl: Number = msgspec.field(name="TTL", default=None)

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "ttl", _number(self.ttl))

    def __repr__(self) -> str:
        return f"DownloadUrl(location='***', ttl={self.ttl})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Hide the link from rich too, which does not use the repr of a msgspec struct."""
        return [("ttl", self.ttl)]


class PackageStub(msgspec.Struct, frozen=True, rename="pascal"):
    """The id and the status of a package."""

    package_id: str
    status: str

    @property
    def is_unfinished(self) -> bool:
        """Whether the status is neither ``Succeeded`` nor ``Failed``."""
        return self.status not in (PackageStatus.SUCCEEDED, PackageStatus.FAILED)


class Package(PackageStub, frozen=True, rename="pascal"):
    """A deployment package, or a build in progress.

    :param status: one of :class:`PackageStatus`, or an undocumented one.
    :param version: four parts, ``major.minor.patch.revision``; may be empty.
    :param creation_date: when the build was created or the file uploaded.
    :param size: bytes if it is an ``int``; Mendix sometimes sends a fraction. ``None`` if it sends no number above
        0: no file is empty.
    :param url: only if requested, and if there is a file.
    :param expiry_date: when Mendix deletes the package unless it is deployed; ``None`` if Mendix sends none, or
        none that can be read: its form is not documented.
    """

    name: str | None = None
    description: str | None = None
    version: str | None = None
    creator: str | None = None
    creation_date: pendulum.DateTime | None = None
    size: Number = None
    url: DownloadUrl | None = None
    expiry_date: Date = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "size", _number(self.size))
        msgspec.structs.force_setattr(self, "expiry_date", _date(self.expiry_date))

    @property
    def branch(self) -> str | None:
        """The branch that it was built from, by its name and without ``branches/``."""
        ending = f"-{self.version}.mda"
        name = self.name or ""
        if not self.version or not name.endswith(ending):
            return None
        shown = name.removesuffix(ending)
        return "trunk" if shown in _SVN_MAIN_LINE else shown

    def summary(self) -> dict[str, Any]:
        """Return JSON values for XCom, without the link."""
        return {
            "package_id": self.package_id,
            "name": self.name,
            "version": self.version,
            "status": self.status,
            "size": self.size,
            "creation_date": self.creation_date.isoformat() if self.creation_date else None,
            "expiry_date": self.expiry_date.isoformat() if self.expiry_date else None,
        }


def _number(value: object) -> int | float | None:
    """Return a number above 0, which may be given as text; ``None`` for everything else.

    No call fails for a number that only describes what it is about.
    """
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value) if re.search(r"[.eE]", value) else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 < value < math.inf else None


def _date(value: object) -> pendulum.DateTime | None:
    """Return a date from text, or from seconds or milliseconds since the epoch; ``None`` for everything else.

    No call fails for a date that only describes what it is about.
    """
    text = value.strip() if isinstance(value, str) else ""
    if re.match(r"\d{4}-", text):
        value = text
    elif not isinstance(value, pendulum.DateTime):
        number = _number(value) or 0
        if number < _FIRST_SECOND:
            return None
        value = number * 1000 if number < _FIRST_MILLISECOND else number
    with contextlib.suppress(ValueError):
        return cast(pendulum.DateTime, decode_date(pendulum.DateTime, value))
    return None


class LazyPackageList:
    """A list of packages of which only ids and statuses have been decoded.

    Decoding 2000 packages completely, with their dates, blocks an event loop for 20 ms; this takes 1 ms.

    :ivar size: bytes of the response.
    :ivar unreadable: number of packages whose id or status cannot be decoded.
    """

    def __init__(self, size: int, found: Mapping[str, tuple[PackageStub, msgspec.Raw]], unreadable: int) -> None:
        self.size = size
        self.unreadable = unreadable
        self._found = found

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Decode the ids and the statuses."""
        found, raws = {}, _list_decoder.decode(body)
        for raw in raws:
            with contextlib.suppress(*_UNREADABLE):
                stub = _stub_decoder.decode(raw)
                found[stub.package_id] = stub, raw
        return cls(len(body), found, unreadable=len(raws) - len(found))

    def __iter__(self) -> Iterator[PackageStub]:
        return (stub for stub, _ in self._found.values())

    def get(self, package_id: str) -> Package | None:
        """Return one package, without details if unfinished; ``None`` if it is missing or cannot be decoded."""
        stub, raw = self._found.get(package_id, (None, b""))
        if stub is None:
            return None
        try:
            return _decode_finished(stub, raw)
        except _UNREADABLE:
            return None


class _LazyPackage:
    """The type that a single package is decoded as while it is polled."""

    @staticmethod
    def from_json(body: bytes) -> Package:
        return _decode_finished(_stub_decoder.decode(body), body)


def _decode_finished(stub: PackageStub, raw: bytes | msgspec.Raw) -> Package:
    """Return a package, decoded completely only if it is finished."""
    return Package(stub.package_id, stub.status) if stub.is_unfinished else cast(Package, decode(raw, Package))


# Waits send the same calls over and over, and making a call takes a twelfth of the time of sending it.
_CACHED_CALLS = 10_000
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_stub_decoder = msgspec.json.Decoder(PackageStub)


class StartedBuild(msgspec.Struct, frozen=True, rename="pascal"):
    """The response to a start call."""

    package_id: str


def split_version(version: str | None) -> tuple[str, str]:
    """Split a package's version into ``major.minor.patch`` and the revision; either may be empty."""
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
    BUILD_API,
    "POST",
    "/apps/{app_id}/packages",
    returns=StartedBuild,
    repeatable=False,
    permission=TRANSPORT_RIGHTS,
)


def list_packages(app_id: str) -> Call[list[Package]]:
    """Return the call for all packages of an app, in no particular order."""
    return LIST_PACKAGES.call({"app_id": inputs.app_id(app_id)})


def get_package(app_id: str, package_id: str, *, url: bool = False) -> Call[Package]:
    """Return the call for one package; with ``url``, its response has the link to the file."""
    return GET_PACKAGE.call(_package(app_id, package_id), query={"url": "true"} if url else None)


@functools.lru_cache(_CACHED_CALLS)
def list_packages_lazily(app_id: str) -> Call[LazyPackageList]:
    """Return the call for all packages of an app, whose details are decoded only when they are read."""
    endpoint = msgspec.structs.replace(LIST_PACKAGES, returns=LazyPackageList)
    return cast(Call[LazyPackageList], msgspec.structs.replace(list_packages(app_id), endpoint=endpoint))


@functools.lru_cache(_CACHED_CALLS)
def get_package_lazily(app_id: str, package_id: str) -> Call[Package]:
    """Return the call for one package, of which only id and status are decoded while it is unfinished."""
    endpoint = msgspec.structs.replace(GET_PACKAGE, returns=_LazyPackage)
    return msgspec.structs.replace(get_package(app_id, package_id), endpoint=endpoint)


def delete_package(app_id: str, package_id: str) -> Call[None]:
    """Return the call that deletes one package."""
    return DELETE_PACKAGE.call(_package(app_id, package_id))


def download_package(app_id: str, package_id: str) -> Call[bytes]:
    """Return the call for the file of a package, which Mendix has deprecated in favour of :func:`get_package`."""
    return DOWNLOAD_PACKAGE.call(_package(app_id, package_id))


def start_build(
    app_id: str,
    *,
    revision: str | int,
    version: str,
    branch: str | None = None,
    description: str | None = None,
) -> Call[StartedBuild]:
    """Return the call that starts a build. Without an idempotency key, every call that arrives makes a package."""
    body = {"Revision": inputs.revision(revision), "Version": inputs.version(version)}
    if branch is not None:
        body["Branch"] = inputs.branch(branch)
    if description:
        body["Description"] = description.encode("utf-8", "replace").decode()
    return START_BUILD.call({"app_id": inputs.app_id(app_id)}, body=body)


def _package(app_id: str, package_id: str) -> dict[str, str]:
    return {"app_id": inputs.app_id(app_id), "package_id": inputs.package_id(package_id)}
