"""Azure's blobs, by way of adlfs."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.exceptions import DownloadError

from ..archive.conftest import MIB, transfer
from ..archive.hosts import cut
from ..archive.test_download import *  # noqa: F403
from ..archive.test_writer import *  # noqa: F403
from ..archive.test_writer_again import *  # noqa: F403

test_an_upload_that_has_begun_is_given_up = None  # is about S3


@pytest.fixture(params=["azure"])
def places(request):
    """Make places there."""
    return request.getfixturevalue(request.param)


def test_what_was_to_be_replaced_stays_when_the_download_fails(platform, server, place, host, context):
    platform.packages.default_size = 40 * MIB  # more than one block
    package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
    place.put(b"the release of last week", manifest=b"{}")
    host.then(cut(platform.packages.default_size - 10))
    host.always(cut(0))
    with pytest.raises(DownloadError):
        transfer(package_id, place, if_object_exists="replace").execute(context)
    assert place.content() == b"the release of last week"
