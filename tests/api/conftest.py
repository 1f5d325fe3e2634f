"""The wire: a real web server on the loopback interface, and both senders to face it."""

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
