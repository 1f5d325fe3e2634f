"""What a task did, in the events of the assets that the author of the DAG gave as its ``outlets``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk import Context

    from airflow_provider_mendix.assets.uris import Kind


def describe_in_outlets(
    operator: BaseOperator, context: Context, asset: str | tuple[Kind, str, str], facts: dict[str, Any]
) -> None:
    """Put facts into the extra of the events of all outlets; values that are not known are left out.

    Call it when the task ends: what was set before a deferral is lost.

    :param asset: what an alias stands for: a URL, or what :func:`.uri_of` takes.
    :param facts: JSON values by name.
    """
    from airflow.sdk import Asset, AssetAlias

    from airflow_provider_mendix.assets.uris import uri_of

    known = {name: value for name, value in facts.items() if value is not None}
    for outlet in operator.outlets:
        event: Any = context["outlet_events"][outlet]
        if isinstance(outlet, AssetAlias):
            uri = asset if isinstance(asset, str) else uri_of(*asset)
            event.add(Asset(name=uri, uri=uri), extra=known)
        else:
            event.extra.update(known)


def own_xcom(context: Context, key: str) -> dict[str, Any]:
    """Return what this task has pushed, perhaps before a deferral; empty if nothing."""
    ti: Any = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index) or {}


def package_facts(result: dict[str, Any]) -> dict[str, Any]:
    """Return id, version and revision of a package.

    :param result: of a wait for a package.
    """
    from airflow_provider_mendix.api.build import split_version

    version = result.get("version")
    return {"package_id": result["package_id"], "version": version, "revision": split_version(version)[1] or None}
