"""OpenLineage: what a task read and what it made, as datasets that are named like the assets.

Airflow's OpenLineage provider calls the method of :class:`WithLineage`; without it, nothing here is used.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

if TYPE_CHECKING:
    from airflow_provider_mendix.assets.uris import Kind

log = logging.getLogger(__name__)

_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
_TAGS = ("app_id", "package_id", "revision", "environment", "snapshot_id", "restore_id", "sha256", "is_reused")


class Lineage(msgspec.Struct, frozen=True):
    """What a task read and made.

    :param target: what it made: an asset of this provider, or an object by its URL.
    :param facts: JSON values about what it made.
    :param source: what it read, in the same form.
    :param project_id: UUID of the app's project, if a build was made and it is known.
    """

    target: str | tuple[Kind, str, str]
    facts: dict[str, Any]
    source: str | tuple[Kind, str, str] | None = None
    project_id: str | None = None


class WithLineage:
    """An operator that says what it read and made. It sets ``lineage`` when it ends."""

    lineage: Lineage | None = None

    def get_openlineage_facets_on_complete(self, ti: Any) -> Any:
        """Return the datasets for Airflow's OpenLineage provider; nothing if the task made nothing."""
        try:
            return _operator_lineage(self.lineage) if self.lineage else None
        except Exception as error:  # noqa: BLE001 - lineage must not fail a release
            log.warning("No lineage for this task: %s. The task itself is not affected.", type(error).__name__)
            return None


def is_lineage_wanted() -> bool:
    """Return whether Airflow's OpenLineage provider is installed."""
    from importlib.util import find_spec

    try:
        return find_spec("airflow.providers.openlineage") is not None
    except ModuleNotFoundError:
        return False


def _operator_lineage(lineage: Lineage) -> Any:
    from airflow.providers.common.compat.openlineage.facet import Dataset, OutputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage  # type: ignore[import-not-found]
    from openlineage.client.facet_v2 import (  # type: ignore[import-not-found]
        dataset_version_dataset,
        source_code_location_job,
        storage_dataset,
        tags_dataset,
    )

    facts = lineage.facts
    tags = [
        tags_dataset.TagsDatasetFacetFields(key=name, value=str(facts[name]), source="mendix")
        for name in _TAGS
        if facts.get(name) is not None
    ]
    facets: dict[str, Any] = {"tags": tags_dataset.TagsDatasetFacet(tags=tags)}
    if version := facts.get("version"):
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version)
    if not isinstance(lineage.target, tuple) or lineage.target[0] == "packages":
        layer = "mendix" if isinstance(lineage.target, tuple) else urlsplit(lineage.target).scheme or "file"
        facets["storage"] = storage_dataset.StorageDatasetFacet(storageLayer=layer, fileFormat="mda")
    of_job: dict[str, Any] = {}
    if lineage.project_id and (revision := facts.get("revision")):
        kind, url = _repository(lineage.project_id, revision)
        of_job["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type=kind, url=url, branch=facts.get("branch"), version=revision
        )
    namespace, name = _dataset(lineage.target)
    sources = [_dataset(lineage.source)] if lineage.source else []
    return OperatorLineage(
        inputs=[Dataset(namespace=where, name=what) for where, what in sources],
        outputs=[OutputDataset(namespace=namespace, name=name, facets=facets)],
        job_facets=of_job,
    )


def _dataset(named: str | tuple[Kind, str, str]) -> tuple[str, str]:
    """Return the namespace and the name of a dataset; an object has those of its store."""
    from airflow_provider_mendix.assets.uris import uri_of

    if not isinstance(named, str):
        parts = urlsplit(uri_of(*named))
        return f"mendix://{parts.netloc}", unquote(parts.path).lstrip("/")
    scheme, _, rest = named.rpartition("://")
    if scheme in ("", "file", "local"):
        return "file", rest
    bucket, _, key = rest.partition("/")
    # What stands before an @ is the id of a connection.
    return f"{_SCHEMES.get(scheme, scheme)}://{bucket.rpartition('@')[2]}", key


def _repository(project_id: str, revision: str) -> tuple[str, str]:
    """Return the kind and the URL of an app's repository."""
    from airflow_provider_mendix.api.revisions import is_number

    if is_number(revision):
        return "svn", f"https://svn.home.mendix.com/{project_id}/"
    return "git", f"https://git.api.mendix.com/{project_id}.git"
