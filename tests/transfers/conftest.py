"""The places and the package of the archive's tests."""

from __future__ import annotations

from ..archive.conftest import (  # noqa: F401
    _no_masking,
    connect,
    host,
    local,
    package_id,
    place,
    places,
    running,
    s3,
    s3_fast,
    s3_login,
    s3_port,
    server,
)
