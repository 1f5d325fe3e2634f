"""Azure's blobs, by way of adlfs."""

from __future__ import annotations

import pytest

from ..archive.test_again import *  # noqa: F403
from ..archive.test_resume import *  # noqa: F403
from ..archive.test_whole import *  # noqa: F403

test_an_upload_that_has_begun_is_given_up = None  # is about S3


@pytest.fixture(params=["azure"])
def places(request):
    """Make places there."""
    return request.getfixturevalue(request.param)
