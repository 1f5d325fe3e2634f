"""The DAGs of the how-to pages and of the cookbook run, against a simulated Mendix."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest

from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline

from ..docs.pages import DOCS, blocks, in_the_repository

pytestmark = in_the_repository

HEAD = """
from airflow.sdk import DAG, chain

from airflow_provider_mendix.operators.package import MendixStartBuildOperator
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

with DAG("{dag_id}", schedule=None, params={{"last_built": "0badc0de"}}) as dag:
    MendixStartBuildOperator(task_id="build", app_id="shop", branch="main", bump="patch")
"""
LOCAL_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
HOWTO = sorted(path.stem for path in (DOCS / "howto").glob("*.md") if path.stem != "index")
COOKBOOK = {
    match[1]: block.text
    for block in blocks("python")
    if block.page == "docs/cookbook.md" and (match := re.search(r'with DAG\(\s*"(\w+)"', block.text))
}


def run(airflow, folder: Path, dag_id: str, code: str):
    """Run a DAG whose object storage is a folder."""
    code = re.sub(r"s3://(\w+)", rf"{folder.as_uri()}/\1", code)
    code = re.sub(r'(\w*conn_id)="aws_default",', r"\1=None,", code)
    dags = folder / "dags"
    dags.mkdir()
    (dags / f"{dag_id}.py").write_text(code)
    bundle = {"name": "docs", "classpath": LOCAL_BUNDLE, "kwargs": {"path": str(dags)}}
    environment = {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        # What the pages take values of settings from.
        "AIRFLOW_VAR_SHOP_API_KEY": "a key",
        "AIRFLOW_CONN_SMTP": json.dumps({"conn_type": "smtp", "password": "a password"}),
    }
    return airflow.run("dags", "test", dag_id, **environment)


@pytest.fixture
def cloud(live, airflow):
    """Two apps, with a package on each environment; deployments take no time."""
    live.environments.timeline = DeploymentTimeline.of(0)
    live.add_app("depot")
    package_id = live.packages.add("shop", version="1.0.0", revision="0badc0de")
    for mode in ("Test", "Acceptance", "Production"):
        added = live.environments.add("shop", mode, package_id=package_id, running=mode != "Acceptance")
        added.constants.update(dict.fromkeys(("Shop.ApiUrl", "Shop.ApiKey", "Shop.MailPassword"), "old"))
        added.scheduled_events["Shop.NightlyImport"] = "Disabled"
    return live


@pytest.mark.parametrize("page", HOWTO)
def test_the_code_of_a_page_runs_as_one_dag(page, airflow, mendix, cloud, tmp_path):
    pieces = [block.text for block in blocks("python") if block.page == f"docs/howto/{page}.md"]
    head = HEAD.format(dag_id=page)
    if 'task_id="build"' in pieces[0]:
        head = head.rpartition("    MendixStart")[0]
    code = head + textwrap.indent("\n".join(pieces), "    ") + "    chain(*dag.tasks)\n"
    ran = run(airflow, tmp_path, page, code)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("dag_id", sorted(COOKBOOK))
def test_a_dag_of_the_cookbook_runs(dag_id, airflow, mendix, cloud, tmp_path):
    connection = airflow.environment["AIRFLOW_CONN_MENDIX_DEFAULT"]
    teams = {f"AIRFLOW_CONN_MENDIX_{team}": connection for team in ("RETAIL", "LOGISTICS")}
    airflow.environment |= teams
    try:
        ran = run(airflow, tmp_path, dag_id, COOKBOOK[dag_id])
    finally:
        for name in teams:
            del airflow.environment[name]
    assert ran.returncode == 0, ran.stdout


def test_the_cookbook_has_a_dag_for_most_of_its_recipes():
    recipes = re.findall(r"(?m)^## ", (DOCS / "cookbook.md").read_text())
    assert len(COOKBOOK) >= len(recipes) - 2
