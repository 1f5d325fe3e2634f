"""Killed at any moment, with such a server at the other end. They have another package than the other tests."""

from __future__ import annotations

import pytest

from ..archive.test_kills import *  # noqa: F403


@pytest.fixture(params=["s3", "s3_fast"])
def places(request):
    """Make places by either path."""
    return request.getfixturevalue(request.param)
