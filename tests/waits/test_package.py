"""Waits for packages."""

from __future__ import annotations

import json

import msgspec
import pytest

from airflow_provider_mendix.api.build import DownloadUrl, LazyPackageList, Package, PackageStatus
from airflow_provider_mendix.exceptions import PackageFailedError
from airflow_provider_mendix.waits.base import Outcome
from airflow_provider_mendix.waits.package import BuildCapacityWait, PackageWait

PACKAGE_ID = "b3d14e53-2654-4534-b374-9179a69ef3cf"
WAIT = PackageWait("calc", PACKAGE_ID)
CAPACITY = BuildCapacityWait("calc", 2)


def package(status, **fields):
    return Package(package_id=PACKAGE_ID, status=status, **fields)


def listed(*packages):
    return LazyPackageList.from_json(msgspec.json.encode(packages))


class TestPackageWait:
    def test_it_polls_the_package(self):
        call = WAIT.call()
        assert (call.endpoint.method, call.target) == ("GET", f"/api/1/apps/calc/packages/{PACKAGE_ID}")

    def test_waits_of_one_app_share_its_list(self):
        assert WAIT.batch_key == PackageWait("calc", "another").batch_key == CAPACITY.batch_key
        assert WAIT.batch_key != PackageWait("shop", PACKAGE_ID).batch_key
        assert WAIT.shared_call() == CAPACITY.call()

    def test_it_finds_its_package_in_the_list(self):
        found = listed({"PackageId": "a", "Status": "Queued"}, {"PackageId": PACKAGE_ID, "Status": "Building"})
        assert WAIT.extract(found).status == "Building"
        assert WAIT.extract(listed()) is None

    @pytest.mark.parametrize("status", ["Queued", "Building", "Uploading"])
    def test_not_yet(self, status):
        assert WAIT.judge(package(status)) == Outcome(status)

    @pytest.mark.parametrize("status", ["Available", "", "succeeded", "FAILED", "Succeeded "])
    def test_an_unknown_status_means_not_yet(self, status):
        assert WAIT.judge(package(status)).done is False

    def test_succeeded(self):
        link = DownloadUrl(location="https://canary", ttl=900)
        outcome = WAIT.judge(package("Succeeded", version="2.5.4.63", size=1999059, url=link))
        assert outcome.done is True
        assert (outcome.result["package_id"], outcome.result["version"]) == (PACKAGE_ID, "2.5.4.63")
        assert "canary" not in json.dumps(outcome.result)

    @pytest.mark.parametrize(("version", "shown"), [("2.5.4.63", "2.5.4.63"), (None, "unknown")])
    def test_failed(self, version, shown):
        with pytest.raises(PackageFailedError) as raised:
            WAIT.judge(package("Failed", version=version))
        assert str(raised.value).startswith(f"Package {PACKAGE_ID} of app calc (version {shown}) ended as Failed.")
        assert "Environments page" in str(raised.value)

    def test_every_documented_status_is_known(self):
        assert list(PackageStatus) == ["Queued", "Building", "Uploading", "Succeeded", "Failed"]


class TestBuildCapacityWait:
    BUILDING, DONE, UNREADABLE = {"Status": "Building"}, {"Status": "Succeeded"}, {"PackageId": None}

    @pytest.mark.parametrize(
        ("packages", "running"),
        [([], 0), ([BUILDING, DONE], 1), ([BUILDING, BUILDING], 2), ([BUILDING, UNREADABLE, DONE], 2)],
    )
    def test_it_counts_the_builds_in_progress(self, packages, running):
        given = [{"PackageId": f"p-{number}", **fields} for number, fields in enumerate(packages)]
        outcome = CAPACITY.judge(CAPACITY.extract(listed(*given)))
        assert outcome == Outcome(f"{running} builds in progress (limit: 2)", done=running < 2)
