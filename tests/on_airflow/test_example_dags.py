from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace

import pendulum
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk.exceptions import ParamValidationError

from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state.environments import DeploymentTimeline
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.transfers.mendix_to_object_storage import MendixToObjectStorageOperator

from ..airflow_stack.commands import ROOT
from ..conftest import KEY, TaskInstance, run_task, set_connection

DAY = 24 * 3600.0

SYSTEM_TESTED = {"example_mendix_release", "example_mendix_on_push"}
"""`tests/system` runs them: `airflow dags test` answers no approvals and makes no events."""

APPROVALS = """
import json, runpy, sys
from airflow.providers.common.compat.sdk import AirflowFailException

file, has_approvals = sys.argv[1], sys.argv[2] == "with"
if not has_approvals:
    sys.modules["airflow.providers.standard.operators.hitl"] = None
dag = runpy.run_path(file)["build"].dag
groups = ("acceptance", "production")
first = [sorted(dag.get_task(f"{name}.remember_package").upstream_task_ids) for name in groups]
allowed = []
for told in (None, {}, *({"production_approved": said} for said in (False, "no", True))):
    try:
        if not has_approvals:
            dag.get_task("approve_production").python_callable(params={**dag.params, **told} if told else told)
            allowed.append(told)
    except AirflowFailException:
        pass
print(json.dumps([*first, "production_approved" in dag.params, allowed]))
"""


def run_dag(airflow, dag_id, live, **conf):
    """Run a DAG with the newest revision."""
    revision = live.repositories.commits("shop")[0].id
    return airflow.run("dags", "test", dag_id, "--conf", json.dumps({"revision": revision, **conf}))


def archived(folder, platform, package_id):
    """Return the content of the archived file."""
    return (folder / "shop" / platform.packages[package_id].name).read_bytes()


def calls(platform):
    """Return the requests to Mendix; equal ones in a row count once."""
    lines = [f"{entry.host} {entry.method} {entry.path.rsplit('/', 1)[-1][:8]}" for entry in platform.journal]
    return [line for index, line in enumerate(lines) if index == 0 or line != lines[index - 1]]


def test_every_example_dag_has_a_test():
    tested = {"build", "archive", "nightly", "rollback"}
    stems = {path.stem for path in (ROOT / "example_dags").glob("*.py")}
    assert stems == {f"example_mendix_{name}" for name in tested} | SYSTEM_TESTED


def test_airflow_can_import_all_of_them(airflow):
    ran = airflow.run("dags", "list", "--local", "-o", "json")
    listed = json.loads(ran.stdout[ran.stdout.index("[{") :])
    stems = {path.stem for path in (ROOT / "example_dags").glob("*.py")}
    assert {row["dag_id"] for row in listed} == stems | {"example_mendix_on_package"}
    errors = airflow.run("dags", "list-import-errors", "--local")
    assert "No data found" in errors.stdout, errors.stdout


def test_each_of_them_says_what_it_does():
    found = DagBag(ROOT / "example_dags")
    assert len(found.dags) == 7
    assert [dag_id for dag_id, dag in found.dags.items() if not (dag.description and dag.doc_md)] == []


def test_the_build_dag_builds_waits_deferred_and_archives_as_often_as_it_runs(airflow, mendix, live, tmp_path):
    newest = live.repositories.push("shop")
    for version in ("0.0.1", "0.0.2"):
        # The package of the first run is known from the archive only.
        live.packages.clear()
        conf = json.dumps({"archive": tmp_path.as_uri()})
        ran = airflow.run("dags", "test", "example_mendix_build", "--conf", conf)
        assert ran.returncode == 0, ran.stdout
        assert "DEFERRED" in ran.stdout
        (package_id,) = live.packages
        assert live.journal.requests("POST")[-1].body["Version"] == version
        assert live.journal.requests("POST")[-1].body["Revision"] == newest
        assert archived(tmp_path, live, package_id) == live.packages.content(package_id)
        assert KEY not in ran.stdout
        assert "signature=" not in ran.stdout


@pytest.mark.parametrize(
    "bad",
    [
        {"app_id": "My Shop!"},
        {"app_id": "-shop"},
        {"branch": "main "},
        {"branch": "a:b"},
        {"archive": "tmp/archive"},
    ],
)
def test_the_form_of_the_build_dag_refuses_what_its_tasks_would_refuse(bad):
    dag = runpy.run_path(str(ROOT / "example_dags" / "example_mendix_build.py"))["build"].dag
    dag.params.validate()
    (name,) = bad
    with pytest.raises(ParamValidationError):
        dag.params[name] = bad[name]


def test_the_archive_dag_also_deletes_the_given_old_package(airflow, mendix, live, tmp_path):
    old = live.packages.add("shop", version="2.5.3", revision="0badc0de")
    ran = run_dag(airflow, "example_mendix_archive", live, archive=tmp_path.as_uri(), old_package_id=old)
    assert ran.returncode == 0, ran.stdout
    (package_id,) = live.packages
    assert package_id != old
    assert archived(tmp_path, live, package_id) == live.packages.content(package_id)
    new, gone = package_id[:8], old[:8]
    assert calls(live) == [
        "api GET packages",
        "api GET shop",
        "repository GET main",
        "api POST packages",
        "api GET packages",
        "api GET shop",
        f"api GET {new}",
        "api GET shop",
        "repository GET main",
        "repository GET commits",
        f"api GET {new}",
        f"files GET {new}",
        f"api DELETE {gone}",
    ]


def test_the_archive_dag_deletes_nothing_unless_told_what(airflow, mendix, live, tmp_path):
    old = live.packages.add("shop", version="2.5.3", revision="0badc0de")
    ran = run_dag(airflow, "example_mendix_archive", live, archive=tmp_path.as_uri())
    assert ran.returncode == 0, ran.stdout
    assert old in live.packages
    assert not live.journal.requests("DELETE")


def test_the_nightly_dag_builds_each_app_and_skips_what_is_built(airflow, mendix, live, tmp_path):
    """`tests/system` runs it night after night, for twenty apps."""
    live.add_app("depot", repository="svn")
    live.packages.add("shop", version="1.4.0", revision=live.repositories.push("shop"))
    conf = {"apps": ["shop", "depot"], "archive": tmp_path.as_uri()}
    ran = airflow.run("dags", "test", "example_mendix_nightly", "--conf", json.dumps(conf))
    assert ran.returncode == 0, ran.stdout
    assert "Marking task as SKIPPED" in ran.stdout or "skipped" in ran.stdout
    (post,) = live.journal.requests("POST")
    assert post.path == "/api/1/apps/depot/packages"
    assert (post.body["Revision"], post.body["Branch"], post.body["Version"]) == ("1", "trunk", "0.0.1")
    (built,) = (package for package in live.packages.values() if package.app_id == "depot")
    assert (tmp_path / "depot" / built.name).read_bytes() == live.packages.content(built.package_id)


@pytest.mark.parametrize("counts_archive", [True, False])
def test_the_nightly_dag_builds_each_revision_once_although_packages_expire(
    counts_archive, platform, token, clock, tmp_path
):
    platform.cloud.options = Options(package_lifetime=15 * DAY)
    platform.permissions.add_personal_access_token(token)
    dag = runpy.run_path(str(ROOT / "example_dags" / "example_mendix_nightly.py"))["dag"]

    def run(task_id, context, **values):
        """Run one task of the mapped group, for one app."""
        task = dag.get_task(f"nightly.{task_id}").prepare_for_execution()
        for name, value in {"app_id": "shop", **values}.items():
            setattr(task, name, value)
        task.render_template_fields(context)
        return run_task(task, context)

    pushed = [platform.repositories.commits("shop")[0].id]
    for night in range(60):
        if night in (5, 40):
            pushed.append(platform.repositories.push("shop"))
        ti = TaskInstance(run_id=f"night-{night}")
        started = SimpleNamespace(start_date=pendulum.from_timestamp(clock.now()))
        context = {"ti": ti, "dag_run": started, "params": {**dag.params, "archive": tmp_path.as_uri()}}
        with suppress(AirflowSkipException):
            if counts_archive:
                run("archive", context, package_id=run("build", context))
            else:
                run("build", context, archive=None, given=frozenset())
        run("prune", context)
        clock.sleep(DAY)
    builds = [(post.body["Revision"], post.body["Version"]) for post in platform.journal.requests("POST")]
    if counts_archive:
        assert builds == list(zip(pushed, ["0.0.1", "0.0.2", "0.0.3"], strict=True))
        assert len(list(tmp_path.rglob("*.mda"))) == 3
    else:
        assert max(Counter(builds).values()) > 1, "Without the archive, a revision is built under a version twice."


def test_a_build_that_fails_fails_the_run_and_archives_nothing(airflow, mendix, live, tmp_path):
    live.packages.outcome = BuildOutcome.FAILS_WHILE_BUILDING
    ran = run_dag(airflow, "example_mendix_archive", live, archive=tmp_path.as_uri())
    (package_id,) = live.packages
    assert ran.returncode != 0
    version = live.packages[package_id].version
    assert f"Package {package_id} of app shop (version {version}) ended as Failed" in ran.stdout
    assert list(tmp_path.iterdir()) == []
    assert not live.journal.requests(host="files")


def test_a_bad_value_fails_the_run_before_any_request(airflow, mendix, live):
    ran = run_dag(airflow, "example_mendix_archive", live, version="2.5.4.63")
    assert ran.returncode != 0
    assert "InvalidInputError: version '2.5.4.63' has four parts" in ran.stdout
    assert not live.journal


@pytest.mark.parametrize(
    ("approvals", "before_acceptance", "is_param", "allowed"),
    [
        ("with", "approve_acceptance", False, []),
        ("without", "archive", True, [{"production_approved": True}]),
    ],
)
def test_the_release_dag_asks_or_is_told_before_production(
    approvals, before_acceptance, is_param, allowed, airflow
):
    file = ROOT / "example_dags" / "example_mendix_release.py"
    ran = subprocess.run(
        [sys.executable, "-c", APPROVALS, file, approvals],
        env=airflow.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told == [[before_acceptance], ["approve_production"], is_param, allowed]


@pytest.fixture
def archived_before(live, mendix, tmp_path, monkeypatch):
    """An archived package that is no longer in Mendix; Test runs another one."""
    set_connection(monkeypatch, host=mendix.api_url)
    file = tmp_path / "shop" / "old.mda"
    package_id = live.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    MendixToObjectStorageOperator(
        task_id="archive", app_id="shop", package_id=package_id, destination=file.as_uri()
    ).execute({"ti": TaskInstance()})
    live.packages.clear()
    for mode in ("Test", "Production"):
        package_id = live.packages.add("shop", version="2.6.0", revision="0badc0de")
        live.environments.add("shop", mode, package_id=package_id, running=True)
    live.environments.timeline = DeploymentTimeline.of(seconds=2)
    live.journal.clear()
    return file


def test_the_rollback_dag_brings_back_an_archived_package(airflow, live, archived_before):
    known = set(live.packages)
    conf = {"environment": "Test", "archived": archived_before.as_uri()}
    ran = airflow.run("dags", "test", "example_mendix_rollback", "--conf", json.dumps(conf))
    assert ran.returncode == 0, ran.stdout
    (uploaded,) = set(live.packages) - known
    assert live.environments["shop", "Test"].running_package_id == uploaded
    assert live.packages.content(uploaded) == archived_before.read_bytes()
    changes = [entry.path.rpartition("/")[2] for entry in live.journal if entry.method != "GET"]
    assert changes == ["upload", "stop", "transport", "start"]
    assert live.journal[-1].path == live.environments["shop", "Test"].path
    assert live.journal[-1].status == 200


def test_the_rollback_dag_refuses_production(airflow, live, archived_before):
    conf = {"environment": "Production", "archived": archived_before.as_uri()}
    ran = airflow.run("dags", "test", "example_mendix_rollback", "--conf", json.dumps(conf))
    assert ran.returncode != 0
    assert "ProductionRefusedError: Refused to stop environment Production of app shop" in ran.stdout
    changes = [entry.path.rpartition("/")[2] for entry in live.journal if entry.method != "GET"]
    assert changes == ["upload"]
    assert live.environments["shop", "Production"].status == "Running"
