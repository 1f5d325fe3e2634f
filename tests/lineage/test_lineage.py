"""What Airflow's OpenLineage provider writes about a release: `make lineage`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_mendix.simulator.platform import Platform
from airflow_provider_mendix.simulator.server import Server
from airflow_provider_mendix.simulator.state.packages import BuildOutcome, Timeline

from ..conftest import KEY, TOKEN, USER

pytest.importorskip("airflow.providers.openlineage")


@pytest.fixture(scope="module")
def platform() -> Platform:
    platform = Platform()
    platform.permissions.add_account(USER, KEY)
    platform.permissions.add_personal_access_token(TOKEN)
    platform.add_app("shop")
    platform.packages.timeline = Timeline.of(seconds=0.2)
    return platform


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("lineage") / "events.jsonl"


@pytest.fixture(scope="module")
def airflow(platform, written, tmp_path_factory) -> Iterator[Callable[..., str]]:
    """The `airflow` command, whose lineage goes to a file."""
    with Server(platform) as server:
        connection = {
            "conn_type": "mendix",
            "login": USER,
            "password": KEY,
            "host": server.api_url,
            "extra": {"personal_access_token": TOKEN, "repository_url": server.repository_url},
        }
        transport = {"type": "file", "log_file_path": str(written), "append": True}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        environment = {
            **inherited,
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("home")),
            "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "airflow",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW_CONN_MENDIX_DEFAULT": json.dumps(connection),
        }

        def run(*arguments: str) -> str:
            ran = subprocess.run(
                [Path(sys.executable).with_name("airflow"), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
            )
            return ran.stdout

        run("db", "migrate")
        yield run


def events(written: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.read_text().splitlines()]


def last_of(written: Path, task_id: str, kind: str) -> dict[str, Any]:
    """Return the last event of a task."""
    return [
        event
        for event in events(written)
        if event["job"]["name"].endswith(f".{task_id}") and event["eventType"] == kind
    ][-1]


def datasets(event: dict[str, Any], side: str) -> list[tuple[str, str]]:
    return [(dataset["namespace"], dataset["name"]) for dataset in event[side]]


@pytest.fixture(scope="module")
def release(airflow, platform, written, tmp_path_factory) -> dict[str, Any]:
    """A release; its archive and the newest revision."""
    archive, revision = tmp_path_factory.mktemp("archive"), platform.repositories.push("shop")
    said = airflow("dags", "test", "lineage_release", "--conf", json.dumps({"archive": archive.as_uri()}))
    assert written.exists(), said
    assert KEY not in written.read_text()
    assert TOKEN not in written.read_text()
    return {"archive": archive, "revision": revision}


@pytest.mark.parametrize("name", ["deferred", "plain"])
class TestRelease:
    def test_a_build_makes_a_package_of_a_revision(self, release, platform, written, name):
        event = last_of(written, f"build_{name}", "COMPLETE")
        assert datasets(event, "inputs") == [("mendix://shop", "revisions/main")]
        assert datasets(event, "outputs") == [("mendix://shop", "packages/main")]
        facets = event["outputs"][0]["facets"]
        assert facets["version"]["datasetVersion"].split(".")[3] in release["revision"]
        assert facets["storage"] | {"storageLayer": "mendix", "fileFormat": "mda"} == facets["storage"]
        location = event["job"]["facets"]["sourceCodeLocation"]
        assert (location["type"], location["branch"], location["version"]) == ("git", "main", release["revision"])

    def test_a_transfer_makes_an_object_of_a_package(self, release, written, name):
        event = last_of(written, f"archive_{name}", "COMPLETE")
        assert datasets(event, "inputs") == [("mendix://shop", "packages/main")]
        assert datasets(event, "outputs") == [("file", f"{release['archive']}/{name}.mda")]
        tags = {tag["key"]: tag["value"] for tag in event["outputs"][0]["facets"]["tags"]["tags"]}
        manifest = json.loads(Path(f"{release['archive']}/{name}.mda.manifest.json").read_text())
        assert (tags["sha256"], tags["package_id"]) == (manifest["sha256"], manifest["package_id"])

    def test_an_upload_makes_a_package_of_an_object(self, release, written, name):
        event = last_of(written, f"upload_{name}", "COMPLETE")
        assert datasets(event, "inputs") == [("file", f"{release['archive']}/{name}.mda")]
        assert datasets(event, "outputs") == [("mendix://shop", "packages/main")]

    def test_a_transport_changes_an_environment(self, release, written, name):
        event = last_of(written, f"transport_{name}", "COMPLETE")
        assert datasets(event, "inputs") == [("mendix://shop", "packages/main")]
        assert datasets(event, "outputs") == [("mendix://shop", "environments/Test")]


def test_a_failed_build_makes_nothing(airflow, platform, written, release):
    platform.packages.outcome = BuildOutcome.FAILS_WHILE_BUILDING
    airflow("dags", "test", "lineage_failure")
    event = last_of(written, "build", "FAIL")
    assert event["outputs"] == []
