"""Where a package goes: a URL with fields that are filled in from the package."""

from __future__ import annotations

import re
import string

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.archive.provenance import branch_of, revision_of, version_of
from airflow_provider_mendix.exceptions import InvalidInputError

FIELDS = ("app_id", "package_id", "version", "revision", "branch", "name")


def check(destination: str) -> None:
    """Check a destination before anything is known of the package.

    :raises InvalidInputError: if it names no object, or asks for something that cannot be filled in.
    """
    if not destination or destination.endswith("/") or "{{" in destination or "{%" in destination:
        raise InvalidInputError(
            f"destination {destination!r} does not name an object. Give a URL that ends in a file name, such as"
            " s3://releases/shop/2.5.4.mda."
        )
    try:
        fields = [(field, form, how) for _, field, form, how in string.Formatter().parse(destination)]
    except ValueError:
        raise _unknown(destination, "a brace without its other half") from None
    for field, form, conversion in fields:
        if field is not None and (field not in FIELDS or form or conversion):
            raise _unknown(
                destination, f"{{{field}{'!' + conversion if conversion else ''}{':' + form if form else ''}}}"
            )


def fill(destination: str, app_id: str, package: Package) -> str:
    """Return the destination with its fields filled in from a package.

    :raises InvalidInputError: if Mendix gives no value for a field.
    """
    check(destination)
    values = {
        "app_id": app_id,
        "package_id": package.package_id,
        "version": version_of(package),
        "revision": revision_of(package),
        "branch": branch_of(package),
        "name": package.name,
    }
    filled = ""
    for literal, field, _, _ in string.Formatter().parse(destination):
        filled += literal
        if field is not None:
            value = safe(values[field] or "")
            if not value:
                raise InvalidInputError(
                    f"destination {destination!r} cannot be filled in: Mendix gives no {field} for package"
                    f" {package.package_id}."
                )
            filled += value
    return filled


def safe(value: str) -> str:
    """Return a value as one part of a path.

    Letters and digits of any script, and ``. _ - + = @ , ( )`` and the space stay; each run of other characters
    becomes one ``-``, and each run of dots one dot. Dots and spaces at the start, and spaces at the end, go.
    """
    return re.sub(r"\.{2,}", ".", re.sub(r"[^\w.+=@,() -]+", "-", value)).lstrip(". ").rstrip(" ")


def _unknown(destination: str, what: str) -> InvalidInputError:
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    return InvalidInputError(
        f"destination {destination!r} holds {what}, which cannot be filled in. These can, just so: {known}."
    )
