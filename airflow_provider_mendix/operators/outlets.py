"""What a task did: in the events of its ``outlets``, and as lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_mendix.operators.lineage import Lineage, WithLineage, is_lineage_wanted

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk import Context


def is_description_wanted(operator: BaseOperator) -> bool:
    """Return whether anything reads what :func:`describe` says."""
    return bool(operator.outlets) or is_lineage_wanted()


def describe(operator: WithLineage, context: Context, lineage: Lineage) -> None:
    """Put what a task did into the extra of the events of all its outlets, and keep it as lineage.

    Call it when the task ends: what was set before a deferral is lost. An alias stands for what the task made.
    Values that are not known are left out.
    """
    from airflow.sdk import Asset, AssetAlias

    from airflow_provider_mendix.assets.uris import uri_of

    operator.lineage = lineage
    known = {name: value for name, value in lineage.facts.items() if value is not None}
    for outlet in operator.outlets:  # type: ignore[attr-defined]
        event: Any = context["outlet_events"][outlet]
        if isinstance(outlet, AssetAlias):
            uri = lineage.target if isinstance(lineage.target, str) else uri_of(*lineage.target)
            event.add(Asset(name=uri, uri=uri), extra=known)
        else:
            event.extra.update(known)


def own_xcom(context: Context, key: str) -> Any:
    """Return what this task has pushed, perhaps before a deferral; an empty object if nothing."""
    ti: Any = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index) or {}


def branch_of(result: dict[str, Any]) -> str:
    """Return the branch of a package, by its name; ``main`` if that does not tell.

    :param result: of a wait for a package.
    """
    from airflow_provider_mendix.api.build import Package

    package = Package(result["package_id"], "", name=result.get("name"), version=result.get("version"))
    return package.branch or "main"


def package_facts(result: dict[str, Any]) -> dict[str, Any]:
    """Return id, version and revision of a package.

    :param result: of a wait for a package.
    """
    from airflow_provider_mendix.api.build import split_version

    version = result.get("version")
    return {"package_id": result["package_id"], "version": version, "revision": split_version(version)[1] or None}
