from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_mendix.simulator import Options

from .talking import Talk


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def talk_with() -> Callable[..., Talk]:
    return lambda **options: Talk(Options(**options))
