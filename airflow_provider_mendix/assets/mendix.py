"""Assets that are updated when a branch has a new revision or a new package.

One DAG defines such an asset and is scheduled on it::

    with DAG("build", schedule=revision_asset("shop", "main")): ...

Every other DAG names it with ``revision_asset.ref("shop", "main")``: a second definition with other arguments, or
one without a watcher, makes Airflow stop and start the watcher each time it parses one of the files.
"""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetWatcher

from airflow_provider_mendix.api import inputs
from airflow_provider_mendix.assets.uris import Kind, uri_of
from airflow_provider_mendix.operators.arguments import checked
from airflow_provider_mendix.settings import DEFAULT_WATCH_INTERVAL
from airflow_provider_mendix.triggers.event import MendixNewPackageTrigger, MendixNewRevisionTrigger

__all__ = ["package_asset", "revision_asset"]

_defined: dict[str, dict[str, Any]] = {}


class _Revisions:
    """The asset of the revisions of a branch; its events are described at :class:`.MendixNewRevisionTrigger`.

    :param app_id: subdomain of the app.
    :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``.
    :param mendix_conn_id: id of the Airflow connection.
    :param poll_interval: seconds between two polls, at least 5.
    :raises InvalidInputError: if the app or the branch is not one.
    """

    def __call__(
        self,
        app_id: str,
        branch: str = "main",
        *,
        mendix_conn_id: str = "mendix_default",
        poll_interval: float | timedelta = DEFAULT_WATCH_INTERVAL,
    ) -> Asset:
        arguments = _arguments("revisions", app_id, branch, mendix_conn_id, poll_interval)
        return _watched(arguments, MendixNewRevisionTrigger(**arguments))

    def ref(self, app_id: str, branch: str = "main") -> Any:
        """Return a reference to the asset, for all DAGs but the one that defines it."""
        return Asset.ref(name=uri_of("revisions", app_id, branch))


class _Packages:
    """The asset of the packages of a branch; its events are described at :class:`.MendixNewPackageTrigger`.

    :param app_id: subdomain of the app.
    :param branch: ``main``, ``trunk``, ``x`` or ``branches/x``, by which Mendix begins the names of packages.
    :param mendix_conn_id: id of the Airflow connection.
    :param poll_interval: seconds between two polls, at least 5.
    :param include_failed: make events of builds that ended as ``Failed`` too.
    :raises InvalidInputError: if the app or the branch is not one.
    """

    def __call__(
        self,
        app_id: str,
        branch: str = "main",
        *,
        mendix_conn_id: str = "mendix_default",
        poll_interval: float | timedelta = DEFAULT_WATCH_INTERVAL,
        include_failed: bool = False,
    ) -> Asset:
        arguments = _arguments("packages", app_id, branch, mendix_conn_id, poll_interval)
        arguments["include_failed"] = checked("include_failed", include_failed)
        return _watched(arguments, MendixNewPackageTrigger(**arguments))

    def ref(self, app_id: str, branch: str = "main") -> Any:
        """Return a reference to the asset, for all DAGs but the one that defines it."""
        return Asset.ref(name=uri_of("packages", app_id, branch))


revision_asset = _Revisions()
package_asset = _Packages()


def _arguments(
    kind: Kind, app_id: str, branch: str, mendix_conn_id: str, poll_interval: float | timedelta
) -> dict[str, Any]:
    """Return what the trigger gets: flat values, because Airflow identifies a trigger by them."""
    return {
        "asset_name": uri_of(kind, app_id, branch),
        "app_id": inputs.app_id(app_id),
        "branch": inputs.branch(branch),
        "mendix_conn_id": mendix_conn_id,
        "poll_interval": checked("poll_interval", poll_interval),
    }


def _watched(arguments: dict[str, Any], trigger: Any) -> Asset:
    name = arguments["asset_name"]
    if _defined.setdefault(name, arguments) != arguments:
        changed = ", ".join(sorted(key for key in arguments if arguments[key] != _defined[name].get(key)))
        warnings.warn(
            f"Asset {name} is defined twice with different watchers ({changed}): Airflow stops one when it parses"
            " the other. Define it once, and use .ref() in all other DAGs.",
            stacklevel=3,
        )
    return Asset(name=name, uri=name, watchers=[AssetWatcher(name=name, trigger=trigger)])
