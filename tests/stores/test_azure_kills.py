"""Killed in the middle of an upload to Azure."""

from __future__ import annotations

import pytest

from ..archive.test_kills import children, package_id, start, test_killed_in_the_middle_of_the_upload  # noqa: F401


@pytest.fixture(params=["azure"])
def places(request):
    """Make places there."""
    return request.getfixturevalue(request.param)
