from __future__ import annotations

import pytest

from .cases import CASES


@pytest.mark.parametrize("name", CASES)
def test_no_crash_starts_a_build_too_many_or_too_few(airflow, result):
    case, scenario = result.case, result.scenario
    if result.error is not None:
        raise result.error
    assert scenario.run_state == "success"
    assert len(scenario.packages) == case.packages
    assert scenario.tries == case.tries
    assert scenario.return_value() == scenario.packages[-1].package_id
    assert case.log_message in scenario.log()
    assert not scenario.platform.journal.requests("DELETE")


def test_all_processes_listen_on_loopback_only(airflow, triggerers):
    assert airflow.listening() == {f"127.0.0.1:{airflow.port}"}
