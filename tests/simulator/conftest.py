from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_mendix.simulator import Faults, Options, Server

from .deploying import Deployer
from .talking import Talk, svn_with


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def talk_with() -> Callable[..., Talk]:
    return lambda **options: Talk(Options(**options))


@pytest.fixture
def svn() -> Talk:
    return svn_with()


@pytest.fixture
def deployer(talk: Talk) -> Deployer:
    return Deployer(talk)


@pytest.fixture
def faults(talk: Talk) -> Faults:
    return talk.platform.faults


@pytest.fixture
def server(talk: Talk) -> Iterator[Server]:
    with Server(talk.platform) as running:
        yield running
