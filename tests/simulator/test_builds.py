"""Builds go through their states by the clock, and end as asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_mendix.simulator import Ending, Timeline

SAMPLES = Path(__file__).parent.parent / "samples"


def states(talk, package_id: str, moments: list[float]) -> list[str]:
    began = talk.clock.now()
    seen = []
    for moment in moments:
        talk.clock.time = began + moment
        seen.append(talk.get(package_id)["Status"])
    return seen


# By default 10 s Queued, 30 s Building, 5 s Uploading.
MOMENTS = [0, 9.9, 10, 39.9, 40, 44.9, 45, 86400]
Q, B, U, S, F = "Queued", "Building", "Uploading", "Succeeded", "Failed"


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (Ending.SUCCEEDS, [Q, Q, B, B, U, U, S, S]),
        (Ending.FAILS_WHILE_QUEUED, [Q, Q, F, F, F, F, F, F]),
        (Ending.FAILS_WHILE_BUILDING, [Q, Q, B, B, F, F, F, F]),
        (Ending.FAILS_WHILE_UPLOADING, [Q, Q, B, B, U, U, F, F]),
        (Ending.STUCK_QUEUED, [Q, Q, Q, Q, Q, Q, Q, Q]),
        (Ending.STUCK_BUILDING, [Q, Q, B, B, B, B, B, B]),
        (Ending.UNKNOWN_STATUS, [Q, Q, "Optimizing", "Optimizing", "Optimizing", "Optimizing", S, S]),
    ],
)
def test_each_ending(talk, ending, expected):
    talk.platform.ending = ending
    assert states(talk, talk.start(), MOMENTS) == expected


def test_every_ending_is_tried():
    tried = {case[0] for mark in test_each_ending.pytestmark for case in mark.args[1]}
    assert tried | {Ending.REFUSED} == set(Ending)


def test_next_endings_go_first_and_are_used_up_by_accepted_starts_only(talk):
    talk.platform.timeline = Timeline(0, 0, 0)
    talk.platform.next_endings.append(Ending.FAILS_WHILE_BUILDING)
    assert talk.api("POST", "/api/1/apps/shop/packages", {"Version": "1.0.0"}).status == 400
    assert talk.get(talk.start())["Status"] == "Failed"
    assert talk.get(talk.start())["Status"] == "Succeeded"


def test_refused_start_leaves_no_package(talk):
    talk.platform.ending = Ending.REFUSED
    reply = talk.api("POST", "/api/1/apps/shop/packages", {"Revision": "63", "Version": "1.0.0"})
    assert (reply.status, json.loads(reply.body)["errorCode"]) == (500, "BUILD_FAILED")
    assert talk.json("GET", "/api/1/apps/shop/packages") == []


def test_start_answers_with_the_id_only_and_every_start_is_a_build(talk):
    answer = talk.json("POST", "/api/1/apps/shop/packages", {"Revision": "9f3ab2c1", "Version": "1.4.2"})
    assert list(answer) == ["PackageId"]
    assert talk.start() != talk.start()
    assert len(talk.json("GET", "/api/1/apps/shop/packages")) == 3


def test_package_as_it_is_shown(talk):
    package_id = talk.start(Description="release 1.4.2 ✓")
    talk.clock.sleep(45)
    expected = {
        "PackageId": package_id,
        "Name": "main-1.4.2.9f3ab2c1.mda",
        "Description": "release 1.4.2 ✓",
        "Version": "1.4.2.9f3ab2c1",
        "Creator": "Ana Dev",
        "CreationDate": 1_700_000_000_000,
        "Status": "Succeeded",
        "Size": 256 * 1024,
    }
    assert talk.get(package_id) == expected
    assert talk.json("GET", "/api/1/apps/shop/packages") == [expected]
    assert talk.json("GET", "/api/1/apps/shop/packages/") == [expected]
    assert talk.json("GET", f"/api/1/apps/shop/packages/{package_id}?url=false") == expected
    with_url = talk.json("GET", f"/api/1/apps/shop/packages/{package_id}/?url=true")
    assert with_url.pop("Url")["TTL"] == 900
    assert with_url == expected


@pytest.mark.parametrize(
    ("repository", "branch", "revision", "name"),
    [
        ("git", None, "9f3ab2c1d4e5", "main-1.0.0.9f3ab2c1.mda"),
        ("git", "branches/hotfix", "9f3ab2c", "hotfix-1.0.0.9f3ab2c.mda"),
        ("svn", "trunk", "63", "Main line-1.0.0.63.mda"),
        ("svn", None, 1234567890, "Main line-1.0.0.1234567890.mda"),
        ("svn", "branches/rel 1", "63", "rel 1-1.0.0.63.mda"),
    ],
)
def test_names_and_versions(talk, repository, branch, revision, name):
    talk.platform.add_app("shop", repository=repository)
    package = talk.get(talk.start(Branch=branch, Revision=revision, Version="1.0.0"))
    assert package["Name"] == name
    assert name.endswith(f"-{package['Version']}.mda")


def test_size_and_url_only_once_succeeded(talk, talk_with):
    shown = talk.json("GET", f"/api/1/apps/shop/packages/{talk.start()}?url=true")
    assert "Size" not in shown
    assert "Url" not in shown

    other = talk_with(not_ready="null")
    shown = other.json("GET", f"/api/1/apps/shop/packages/{other.start()}?url=true")
    assert shown["Size"] is None
    assert shown["Url"] is None


def test_package_put_there(talk):
    package_id = talk.platform.add_package("shop", version="0.9.0", revision="abcdef0123", age=3600)
    shown = talk.get(package_id)
    assert (shown["Status"], shown["Version"]) == ("Succeeded", "0.9.0.abcdef01")
    assert shown["CreationDate"] == 1_700_000_000_000 - 3_600_000


@pytest.mark.parametrize("status", [200, 204])
def test_delete(talk_with, status):
    talk = talk_with(delete_status=status)
    package_id = talk.start()
    reply = talk.api("DELETE", f"/api/1/apps/shop/packages/{package_id}")
    assert (reply.status, reply.body) == (status, b"")
    assert talk.api("GET", f"/api/1/apps/shop/packages/{package_id}").status == 404


def test_free_app_deploys_its_newest_finished_package(talk):
    talk.platform.add_app("shop", free=True)
    first = talk.start()
    talk.clock.sleep(60)
    second = talk.start()
    in_use = [talk.platform.in_use(first), talk.platform.in_use(second)]
    assert in_use == [True, False]
    talk.clock.sleep(60)
    assert talk.api("DELETE", f"/api/1/apps/shop/packages/{second}").status == 409
    assert talk.api("DELETE", f"/api/1/apps/shop/packages/{first}").status == 204


def test_apps(talk):
    talk.platform.add_app("plan", name="Planning")
    shop = {
        "AppId": "shop",
        "Name": "Shop",
        "ProjectId": "7c1e0d5e-7d1f-4f4c-9f36-0a4c1d2e3f40",
        "Url": "https://shop.mendixcloud.com",
    }
    assert talk.json("GET", "/api/1/apps/shop") == shop
    listed = talk.json("GET", "/api/1/apps")
    assert listed[0] == shop
    assert (listed[1]["AppId"], listed[1]["Name"]) == ("plan", "Planning")


def test_answers_have_the_keys_of_the_documented_samples(talk):
    def keys(name: str) -> set[str]:
        sample = json.loads((SAMPLES / name).read_text())
        return set(sample[0] if isinstance(sample, list) else sample)

    package_id = talk.start()
    talk.clock.sleep(45)
    path = "/api/1/apps/shop/packages"
    assert set(talk.json("POST", path, {"Revision": "63", "Version": "1.0.0"})) == keys("build/started_build.json")
    assert set(talk.get(package_id)) == keys("build/package.json") == keys("build/packages.json")
    assert set(talk.json("GET", f"{path}/{package_id}?url=true")) == keys("build/package_with_url.json")
    assert set(talk.json("GET", "/api/1/apps/shop")) == keys("deploy/app.json")
    assert set(talk.json("GET", "/api/1/apps")[0]) == keys("deploy/apps.json")
