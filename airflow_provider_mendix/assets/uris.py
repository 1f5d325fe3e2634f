"""URIs of assets: ``mendix://<app>/revisions/<branch>``, ``…/packages/<branch>``, ``…/environments/<name>``.

Airflow calls the functions that take its arguments; provider info names them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.exceptions import InvalidInputError

if TYPE_CHECKING:
    from airflow.sdk import Asset

__all__ = ["create_asset", "sanitize_uri", "to_openlineage", "uri_of"]

Kind = Literal["revisions", "packages", "environments"]
_KINDS = ("revisions", "packages", "environments")


def uri_of(kind: Kind, app_id: str, name: str) -> str:
    """Return the URI of an asset, which is its name too.

    :param name: of the branch or the environment.
    :raises InvalidInputError: if a value is wrong.
    """
    name = inputs.environment(name) if kind == "environments" else inputs.branch(name).removeprefix("branches/")
    # Airflow stores names of assets in a column that holds ASCII only on MySQL.
    return f"mendix://{inputs.app_id(app_id).lower()}/{kind}/{quote(name, safe='/')}"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return a URI in its one form: Airflow compares URIs as text.

    :raises ValueError: if it is not the URI of an asset of this provider.
    """
    _, _, rest = uri.path.partition("/")
    kind, _, name = rest.partition("/")
    try:
        if kind not in _KINDS or uri.query:
            raise InvalidInputError("it has another form.")
        return urlsplit(uri_of(kind, uri.netloc, unquote(name)))  # type: ignore[arg-type]
    except InvalidInputError as error:
        raise ValueError(
            f"{uri.geturl()!r} is not the URI of a Mendix asset: {error} Write mendix://<app>/revisions/<branch>,"
            " mendix://<app>/packages/<branch> or mendix://<app>/environments/<environment>."
        ) from error


def create_asset(*, kind: Kind, app_id: str, name: str, extra: dict[str, Any] | None = None) -> Asset:
    """Return an asset without a watcher, for hooks that report what they read and wrote.

    :param name: of the branch or the environment.
    """
    from airflow.sdk import Asset

    uri = uri_of(kind, app_id, name)
    return Asset(name=uri, uri=uri, extra=extra or {})


def to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """Return the dataset of OpenLineage that an asset is."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"mendix://{uri.netloc}", name=unquote(uri.path).lstrip("/"))
