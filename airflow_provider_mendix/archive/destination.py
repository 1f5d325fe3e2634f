"""Where a package or a backup goes: a URL with fields that are filled in from it."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.archive.manifest import PENDING_SUFFIX, SUFFIX
from airflow_provider_mendix.archive.provenance import revision_of, version_of
from airflow_provider_mendix.archive.stores.selection import (
    LOCAL_SCHEMES,
    OBJECT_STORE_SCHEMES,
    connection_id_of,
)
from airflow_provider_mendix.exceptions import InvalidInputError

FIELDS = ("app_id", "package_id", "version", "revision", "branch", "name")
"""The fields of packages."""


def url_of(name: str, value: object, conn_id: str | None) -> tuple[Any, str | None]:
    """Return the URL and the connection id of an argument that may be an ``ObjectStoragePath``.

    :raises InvalidInputError: if the argument and the path name two connections.
    """
    if not isinstance(value, ObjectStoragePath):
        return value, conn_id
    own_conn_id = connection_id_of(value)
    if conn_id and own_conn_id and conn_id != own_conn_id:
        raise InvalidInputError(
            f"{name} has the connection {own_conn_id!r}, and {conn_id!r} is given beside it. Leave one out."
        )
    return str(value), conn_id or own_conn_id


def folder_of(name: str, value: object, conn_id: str | None) -> ObjectStoragePath:
    """Return the folder of an archive.

    :raises InvalidInputError: if the argument names none.
    """
    url, conn_id = url_of(name, value, conn_id)
    folder = str(url or "")
    if folder.strip().lower() in ("", "none") or "{{" in folder or "{%" in folder:
        raise InvalidInputError(
            f"{name} {url!r} names no folder. Give the URL of the archive, such as s3://releases/shop, or leave it"
            " out."
        )
    check_spelling(name, folder)
    return ObjectStoragePath(folder, conn_id=conn_id)


def check_spelling(name: str, url: str) -> None:
    """Check that a URL has only characters that a path can have.

    :raises InvalidInputError: if not.
    """
    if url != url.strip() or any(character < " " or "\ud800" <= character <= "\udfff" for character in url):
        raise InvalidInputError(
            f"{name} {url!r} cannot be used: it has a blank or a line break at an end, or a character that no path"
            " can have. Leave it out."
        )


def check(destination: object, known: Sequence[str] = FIELDS) -> None:
    """Check a destination before the package or the backup is known.

    :param known: the fields that can be filled in.

    :raises InvalidInputError: if it names no object, or asks for something that cannot be filled in.
    """
    if not destination or not isinstance(destination, str) or "{{" in destination or "{%" in destination:
        raise _no_object(destination)
    locate(destination)
    try:
        fields = [(field, form, how) for _, field, form, how in string.Formatter().parse(destination)]
    except ValueError:
        raise _unknown(destination, "a brace without its other half", known) from None
    for field, form, conversion in fields:
        if field is not None and (field not in known or form or conversion):
            raise _unknown(
                destination,
                f"{{{field}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}",
                known,
            )


def locate(url: str, conn_id: str | None = None) -> ObjectStoragePath:
    """Return the path of an object.

    :raises InvalidInputError: if a file system could read another path in the URL than is written there.
    """
    check_spelling("destination", url)
    scheme, _, rest = url.rpartition("://")
    is_local = scheme in LOCAL_SCHEMES
    # The bucket; what stands before an @ is the id of a connection.
    first, *parts = rest.partition("/")[0].rpartition("@")[2], *rest.partition("/")[2].split("/")
    if is_local and not rest.startswith("/"):
        raise InvalidInputError(
            f"destination {url!r} is relative, so it would depend on the worker's directory. Use a URL such as"
            " s3://releases/shop/2.5.4.mda, or an absolute path."
        )
    if not parts[-1]:
        raise _no_object(url)
    if parts[-1].endswith((SUFFIX, PENDING_SUFFIX)):
        raise InvalidInputError(
            f"destination {url!r} has the name of a manifest, which is written beside each object. Use another"
            " name, such as 2.5.4.mda."
        )
    odd = [part for part in parts if part in ("", ".", "..")]
    if odd or (not is_local and (not first or any(mark in url for mark in "?#"))):
        raise InvalidInputError(
            f"destination {url!r} cannot be used: file systems read '?', '#', and parts of a path that are empty,"
            " '.' or '..' in ways of their own. Leave them out."
        )
    try:
        path = ObjectStoragePath(url, conn_id=conn_id)
        read = path.path.strip("/")
    except (ImportError, ValueError) as error:
        raise InvalidInputError(f"destination {url!r} cannot be used: {error}.") from None
    names_host = not is_local and scheme not in OBJECT_STORE_SCHEMES
    if read not in ("/".join([first, *parts]).strip("/"), "/".join(parts) if names_host else None):
        raise InvalidInputError(
            f"destination {url!r} cannot be used: its file system reads {read!r} in it. Use a URL such as"
            " s3://releases/shop/2.5.4.mda."
        )
    return path


def fill(destination: str, app_id: str, package: Package) -> str:
    """Return the destination with its fields filled in from a package.

    :raises InvalidInputError: if Mendix gives no value for a field.
    """
    values = {
        "app_id": app_id,
        "package_id": package.package_id,
        "version": version_of(package),
        "revision": revision_of(package),
        "branch": package.branch,
        "name": package.name,
    }
    return fill_in(destination, values, f"package {package.package_id}")


def fill_in(destination: str, values: Mapping[str, str | None], subject: str) -> str:
    """Return the destination with its fields filled in, made safe for a path.

    :param subject: what the values are of, for messages.
    :raises InvalidInputError: if a field has no value.
    """
    filled = ""
    for literal, field, _, _ in string.Formatter().parse(destination):
        filled += literal
        if field is not None:
            value = safe(values[field] or "")
            if not value:
                raise InvalidInputError(
                    f"destination {destination!r} cannot be filled in: Mendix gives no {field} for {subject}."
                )
            filled += value
    return filled


def safe(value: str) -> str:
    """Return a value as one part of a path.

    Letters and digits of any script, and ``. _ - + = @ , ( )`` and the space stay; each run of other characters
    becomes one ``-``, and each run of dots one dot. Dots and spaces at the start, and spaces at the end, go.
    """
    return re.sub(r"\.{2,}", ".", re.sub(r"[^\w.+=@,() -]+", "-", value)).lstrip(". ").rstrip(" ")


def _no_object(destination: object) -> InvalidInputError:
    return InvalidInputError(
        f"destination {destination!r} does not name an object. Use a URL that ends in a file name, such as"
        " s3://releases/shop/2.5.4.mda."
    )


def _unknown(destination: str, what: str, known: Sequence[str]) -> InvalidInputError:
    fields = ", ".join(f"{{{field}}}" for field in known)
    return InvalidInputError(
        f"destination {destination!r} holds {what}, which cannot be filled in. These can, just so: {fields}."
    )
