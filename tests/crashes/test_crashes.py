from __future__ import annotations

import pytest

from .cases import CASES


@pytest.mark.parametrize("name", CASES)
def test_no_crash_starts_a_build_too_many_or_too_few(airflow, results, name):
    case, scene, error = results[name].case, results[name].scene, results[name].error
    if error is not None:
        raise error
    assert scene.run_state == "success"
    assert len(scene.packages) == case.packages
    assert scene.tries == case.tries
    assert scene.return_value() == scene.packages[-1].package_id
    assert case.says in scene.log()
    assert not scene.platform.journal.requests("DELETE")


def test_all_processes_listen_on_loopback_only(airflow):
    assert airflow.listening() == {f"127.0.0.1:{airflow.port}"}
