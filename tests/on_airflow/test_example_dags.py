from __future__ import annotations

import json

from airflow_provider_mendix.simulator.packages import Ending

from ..conftest import KEY
from .conftest import ROOT

REVISION = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"


def run_dag(airflow, dag_id, **conf):
    return airflow.run("dags", "test", dag_id, "--conf", json.dumps({"revision": REVISION, **conf}))


def calls(platform):
    """What was asked of Mendix, repeated looks counted once."""
    lines = [f"{entry.host} {entry.method} {entry.path.rsplit('/', 1)[-1][:8]}" for entry in platform.journal]
    return [line for index, line in enumerate(lines) if index == 0 or line != lines[index - 1]]


def test_every_example_dag_has_a_test():
    tested = {"example_mendix_build", "example_mendix_release"}
    assert {path.stem for path in (ROOT / "example_dags").glob("*.py")} == tested


def test_the_build_dag_builds_waits_deferred_and_archives(airflow, mendix, live, tmp_path):
    ran = run_dag(airflow, "example_mendix_build", archive=tmp_path.as_uri())
    assert ran.returncode == 0, ran.stdout
    assert "DEFERRED" in ran.stdout
    (package_id,) = live.packages
    assert (tmp_path / "shop-2.5.4.mda").read_bytes() == live.content(package_id)
    assert KEY not in ran.stdout
    assert "signature=" not in ran.stdout


def test_the_release_dag_also_deletes_the_given_old_package(airflow, mendix, live, tmp_path):
    old = live.add_package("shop", version="2.5.3", revision="0badc0de")
    ran = run_dag(airflow, "example_mendix_release", archive=tmp_path.as_uri(), old_package_id=old)
    assert ran.returncode == 0, ran.stdout
    (package_id,) = live.packages
    assert package_id != old
    assert (tmp_path / "shop" / "2.5.4.mda").read_bytes() == live.content(package_id)
    new, gone = package_id[:8], old[:8]
    assert calls(live) == [
        "api GET packages",
        "api POST packages",
        "api GET packages",
        "api GET shop",
        f"api GET {new}",
        f"files GET {new}",
        f"api DELETE {gone}",
    ]


def test_the_release_dag_deletes_nothing_unless_told_what(airflow, mendix, live, tmp_path):
    old = live.add_package("shop", version="2.5.3", revision="0badc0de")
    ran = run_dag(airflow, "example_mendix_release", archive=tmp_path.as_uri())
    assert ran.returncode == 0, ran.stdout
    assert old in live.packages
    assert not live.journal.requests("DELETE")


def test_a_build_that_fails_fails_the_run_and_archives_nothing(airflow, mendix, live, tmp_path):
    live.ending = Ending.FAILS_WHILE_BUILDING
    ran = run_dag(airflow, "example_mendix_release", archive=tmp_path.as_uri())
    (package_id,) = live.packages
    assert ran.returncode != 0
    assert f"Package {package_id} of app shop (version 2.5.4.9f3ab2c1) ended as Failed" in ran.stdout
    assert list(tmp_path.iterdir()) == []
    assert not live.journal.requests(host="files")


def test_a_bad_value_fails_the_run_before_any_request(airflow, mendix, live):
    ran = run_dag(airflow, "example_mendix_build", version="2.5.4.63")
    assert ran.returncode != 0
    assert "InvalidInputError: version '2.5.4.63' has four parts" in ran.stdout
    assert not live.journal
