"""The wire: a real web server on the loopback interface, and both senders to face it."""

import pytest

from airflow_provider_mendix.api.call import Host

from ..wire import (  # noqa: F401
    _plain_environment,
    account,
    bundle,
    closed_port,
    file_host,
    new_wire,
    private_ca,
    sample,
    send,
    tls_host,
    wire,
)
from .checks import Mendix


@pytest.fixture
def mendix(send, wire, new_wire) -> Mendix:  # noqa: F811  # noqa: F811
    """All of Mendix's hosts: none may get the credentials of another kind."""
    return Mendix(send, {host: wire if host is Host.DEPLOY else new_wire() for host in Host})
