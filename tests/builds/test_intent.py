"""Which packages are those of an intent."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api.build import Package
from airflow_provider_mendix.builds.intent import Intent
from airflow_provider_mendix.builds.marker import Marker, Owner

REVISION = "9f3ab2c1d4e5f60718293a4b5c6d7e8f90a1b2c3"


def intent(marker=None, **changes):
    marker = marker or Marker("0123456789abcdef", 1, 4)
    values = {
        "app_id": "shop",
        "revision": REVISION,
        "version": "2.5.4",
        "branch": None,
        "description": "",
        "owner": Owner(marker=marker, began_at=0.0, is_retry=False),
    }
    return Intent(**{**values, **changes})


@pytest.mark.parametrize(
    ("asked", "version", "same"),
    [
        ("63", "2.5.4.63", True),
        ("6", "2.5.4.63", False),
        ("1234", "2.5.4.12345", False),
        (REVISION, "2.5.4.9f3ab2c1", True),
        ("9f3ab", "2.5.4.9f3ab2c1", True),
        (REVISION, "2.5.4.9f3ab2c2", False),
        (REVISION, "2.5.5.9f3ab2c1", False),
        (REVISION, "2.5.4", False),
        (REVISION, "", False),
    ],
)
def test_a_package_without_a_marker_is_recognised_by_version_and_revision(asked, version, same):
    package = Package(package_id="p", status="Queued", version=version)
    assert intent(revision=asked).resembles(package) is same
