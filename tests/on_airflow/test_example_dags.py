from __future__ import annotations

import json

from airflow_provider_mendix.simulator.packages import Ending

from ..conftest import KEY
from .conftest import ROOT


def run_dag(airflow, dag_id, live, **conf):
    """Run a DAG with the newest revision."""
    revision = live.commits("shop")[0].id
    return airflow.run("dags", "test", dag_id, "--conf", json.dumps({"revision": revision, **conf}))


def archived(folder, platform, package_id):
    """Give what was archived."""
    return (folder / "shop" / platform.packages[package_id].name).read_bytes()


def calls(platform):
    """What was asked of Mendix, repeated looks counted once."""
    lines = [f"{entry.host} {entry.method} {entry.path.rsplit('/', 1)[-1][:8]}" for entry in platform.journal]
    return [line for index, line in enumerate(lines) if index == 0 or line != lines[index - 1]]


def test_every_example_dag_has_a_test():
    tested = {"example_mendix_build", "example_mendix_release", "example_mendix_nightly"}
    assert {path.stem for path in (ROOT / "example_dags").glob("*.py")} == tested


def test_the_build_dag_builds_waits_deferred_and_archives(airflow, mendix, live, tmp_path):
    ran = run_dag(airflow, "example_mendix_build", live, archive=tmp_path.as_uri())
    assert ran.returncode == 0, ran.stdout
    assert "DEFERRED" in ran.stdout
    (package_id,) = live.packages
    assert archived(tmp_path, live, package_id) == live.content(package_id)
    assert KEY not in ran.stdout
    assert "signature=" not in ran.stdout


def test_the_release_dag_also_deletes_the_given_old_package(airflow, mendix, live, tmp_path):
    old = live.add_package("shop", version="2.5.3", revision="0badc0de")
    ran = run_dag(airflow, "example_mendix_release", live, archive=tmp_path.as_uri(), old_package_id=old)
    assert ran.returncode == 0, ran.stdout
    (package_id,) = live.packages
    assert package_id != old
    assert archived(tmp_path, live, package_id) == live.content(package_id)
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


def test_the_release_dag_deletes_nothing_unless_told_what(airflow, mendix, live, tmp_path):
    old = live.add_package("shop", version="2.5.3", revision="0badc0de")
    ran = run_dag(airflow, "example_mendix_release", live, archive=tmp_path.as_uri())
    assert ran.returncode == 0, ran.stdout
    assert old in live.packages
    assert not live.journal.requests("DELETE")


def test_the_nightly_dag_builds_each_app_and_skips_what_is_built(airflow, mendix, live):
    """`tests/system` runs it night after night, for twenty apps."""
    live.add_app("depot", repository="svn")
    live.add_package("shop", version="1.4.0", revision=live.push("shop"))
    ran = airflow.run("dags", "test", "example_mendix_nightly", "--conf", json.dumps({"apps": ["shop", "depot"]}))
    assert ran.returncode == 0, ran.stdout
    assert "Marking task as SKIPPED" in ran.stdout or "skipped" in ran.stdout
    (post,) = live.journal.requests("POST")
    assert post.path == "/api/1/apps/depot/packages"
    assert (post.body["Revision"], post.body["Branch"], post.body["Version"]) == ("1", "trunk", "0.0.1")


def test_a_build_that_fails_fails_the_run_and_archives_nothing(airflow, mendix, live, tmp_path):
    live.ending = Ending.FAILS_WHILE_BUILDING
    ran = run_dag(airflow, "example_mendix_release", live, archive=tmp_path.as_uri())
    (package_id,) = live.packages
    assert ran.returncode != 0
    version = live.packages[package_id].version
    assert f"Package {package_id} of app shop (version {version}) ended as Failed" in ran.stdout
    assert list(tmp_path.iterdir()) == []
    assert not live.journal.requests(host="files")


def test_a_bad_value_fails_the_run_before_any_request(airflow, mendix, live):
    ran = run_dag(airflow, "example_mendix_build", live, version="2.5.4.63")
    assert ran.returncode != 0
    assert "InvalidInputError: version '2.5.4.63' has four parts" in ran.stdout
    assert not live.journal
