"""Real Airflow processes write no secret anywhere, not even while a task is deferred."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from cryptography.fernet import Fernet

from ..airflow_stack.scenario import Scenario
from ..secrets_search import Search

TRIGGER = "airflow_provider_mendix.triggers.wait.MendixWaitTrigger"


@pytest.fixture(scope="module")
def deferred(airflow, scenarios):
    """A run that stays deferred until a test lets it go on."""
    with Scenario(airflow, "secrets", "system_wait", "wait").connected() as scenario:
        scenarios[scenario.name] = scenario
        scenario.start(connection=scenario.conn_id, package_id=scenario.add_unfinished_package())
        scenarios.wait_for(scenario.name, "deferred")
        # If its wait ended at once, a busy scheduler could see that before the deferral, and fail it.
        scenarios.wait_until(lambda: scenario.count("GET", 200) >= 2, "the triggerer to poll")
        yield scenario


def test_the_row_of_a_trigger_holds_no_secret(airflow, scenarios, deferred, tmp_path):
    database, copy = airflow.home / "airflow.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    package_id = deferred.package.package_id

    with closing(sqlite3.connect(copy)) as rows:
        stored = dict(rows.execute("SELECT id, kwargs FROM trigger WHERE classpath = ?", (TRIGGER,)))
    readable = {row: json.loads(_decrypted(kwargs, airflow.fernet_key)) for row, kwargs in stored.items()}
    (row,) = (row for row, kwargs in readable.items() if kwargs["wait"]["package_id"] == package_id)
    assert readable[row]["mendix_conn_id"] == deferred.conn_id

    search = Search(deferred.secrets, airflow.fernet_key)
    search.add_database(copy)
    assert search.seen["trigger.kwargs"] == len(readable)
    assert search.findings() == []

    # The same search finds a leak.
    leak = json.dumps({**readable[row], "key": deferred.keys[0]})
    for written in (leak, Fernet(airflow.fernet_key).encrypt(leak.encode()).decode()):
        with closing(sqlite3.connect(copy)) as rows, rows:
            rows.execute("UPDATE trigger SET kwargs = ? WHERE id = ?", (written, row))
        search = Search(deferred.secrets, airflow.fernet_key)
        search.add_database(copy)
        assert {(found.secret, found.place) for found in search.findings()} == {
            (f"key of {deferred.name}", "trigger.kwargs")
        }


def test_no_secret_is_written_anywhere(airflow, scenarios, deferred, earlier_secrets):
    for name in ("build", "cleared", "new_key", deferred.name):
        scenarios.wait_for(name, "deferred").finish_build()
    for name in scenarios:
        scenarios.wait_for_end(name)
    assert deferred.run_state == "success"
    release = scenarios["release"]
    assert release.platform.signatures
    assert release.platform.journal.requests("GET", ".mda", host="files")

    known = [secret for scenario in scenarios.values() for secret in scenario.secrets]
    search = Search([*known, *earlier_secrets], airflow.fernet_key)
    search.add_folder(airflow.home)
    search.add_database(airflow.home / "airflow.db")
    assert search.findings() == []
    assert release.package.package_id in release.log()
    for place in ("airflow.db", "process-logs/triggerer.log", "xcom.value", "serialized_dag.data"):
        assert search.seen[place], place
    assert [place for place in search.seen if place.startswith("task-logs/") and ".log.trigger." in place]


def _decrypted(kwargs: str, fernet_key: str) -> str:
    """Airflow 3.3 stores the arguments of a task's trigger as they are; others encrypt them."""
    return kwargs if kwargs.startswith("{") else Fernet(fernet_key).decrypt(kwargs).decode()
