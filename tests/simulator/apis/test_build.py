"""The Build API: packages, builds and every refusal. Paths are written by hand, so that a wrong template shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_mendix.simulator import BuildOutcome

from ..talking import START, refusal

SAMPLES = Path(__file__).parents[2] / "samples"


SAMPLES = Path(__file__).parents[2] / "samples"


def test_refused_start_leaves_no_package(talk):
    talk.platform.packages.outcome = BuildOutcome.REFUSED
    reply = talk.api("POST", "/api/1/apps/shop/packages", {"Revision": "63", "Version": "1.0.0"})
    assert (reply.status, json.loads(reply.body)["errorCode"]) == (500, "BUILD_FAILED")
    assert talk.json("GET", "/api/1/apps/shop/packages") == []


def test_a_start_returns_only_the_id_and_every_start_is_a_build(talk):
    response = talk.json("POST", "/api/1/apps/shop/packages", {"Revision": "9f3ab2c1", "Version": "1.4.2"})
    assert list(response) == ["PackageId"]
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


@pytest.mark.parametrize("length", [4, 7, 8, 12, 40])
def test_a_version_has_eight_characters_of_a_known_hash(talk, length):
    revision = talk.platform.repositories.push("shop")
    package = talk.get(talk.start(Revision=revision[:length], Version="1.0.0"))
    assert package["Version"] == f"1.0.0.{revision[:8]}"


def test_an_svn_revision_is_never_completed(talk):
    talk.platform.add_app("shop", repository="svn")
    for _ in range(11):
        talk.platform.repositories.push("shop")
    assert talk.get(talk.start(Revision="1", Version="1.0.0"))["Version"] == "1.0.0.1"


BODIES = [
    b"{'Branch': 'main', 'Revision': '63', 'Version': '1.0.0', 'Description': 'it\\'s \"it\"'}",
    b"{Branch: main, Revision: 63, Version: 1.0.0, Description: 'it\\'s \"it\"'}",
    b"@{ 'Branch' = 'main'; 'Revision' = 63; 'Version' = \"1.0.0\"; 'Description' = \"it's \\\"it\\\"\"; }",
]


@pytest.mark.parametrize("body", BODIES)
def test_lenient_json(talk_with, body):
    talk = talk_with(request_json="lenient")
    package_id = talk.json("POST", "/api/1/apps/shop/packages", body)["PackageId"]
    package = talk.get(package_id)
    assert (package["Version"], package["Name"]) == ("1.0.0.63", "main-1.0.0.63.mda")
    assert package["Description"] == 'it\'s "it"'


@pytest.mark.parametrize("body", BODIES)
def test_lenient_json_is_an_option(talk, body):
    assert refusal(talk.api("POST", "/api/1/apps/shop/packages", body)) == (400, "INVALID_PARAMETERS")


@pytest.mark.parametrize("body", [b"{'Revision': '63'", b"{'Revision': '63}", b"[", b"\xff", b"{Revision 63}"])
def test_lenient_json_has_limits(talk_with, body):
    talk = talk_with(request_json="lenient")
    assert refusal(talk.api("POST", "/api/1/apps/shop/packages", body)) == (400, "INVALID_PARAMETERS")
    assert talk.start()


def test_size_and_url_only_once_succeeded(talk, talk_with):
    shown = talk.json("GET", f"/api/1/apps/shop/packages/{talk.start()}?url=true")
    assert "Size" not in shown
    assert "Url" not in shown

    other = talk_with(not_ready="null")
    shown = other.json("GET", f"/api/1/apps/shop/packages/{other.start()}?url=true")
    assert shown["Size"] is None
    assert shown["Url"] is None


@pytest.mark.parametrize("status", [200, 204])
def test_delete(talk_with, status):
    talk = talk_with(delete_status=status)
    package_id = talk.start()
    reply = talk.api("DELETE", f"/api/1/apps/shop/packages/{package_id}")
    assert (reply.status, reply.body) == (status, b"")
    assert talk.api("GET", f"/api/1/apps/shop/packages/{package_id}").status == 404


def test_responses_have_the_keys_of_the_documented_samples(talk):
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


UNKNOWN_ID = "/api/1/apps/shop/packages/3d3f0a9e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/api/1/apps/no%20app", None, 400, "INVALID_APPID"),
        ("GET", "/api/1/apps/nope", None, 404, "APP_NOT_FOUND"),
        ("GET", "/api/1/apps/a%2Fb/packages", None, 400, "INVALID_APPID"),
        ("GET", "/api/1/apps//packages", None, 400, "INVALID_APPID"),
        ("GET", "/api/1/apps/nope/packages", None, 400, "INVALID_APPID"),
        ("POST", "/api/1/apps/no_app/packages", START, 400, "INVALID_APPID"),
        ("POST", "/api/1/apps/nope/packages", START, 404, "APP_NOT_FOUND"),
        ("POST", "/api/1/apps/shop/packages", {"Version": "1.0.0"}, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", {"Revision": "63"}, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", {"Revision": "", "Version": ""}, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", ["Revision"], 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b"{'Revision' = '63'}", 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b"", 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b'{"Version": "\xff"}', 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", b"[" * 100_000, 400, "INVALID_PARAMETERS"),
        ("POST", "/api/1/apps/shop/packages", START | {"Version": "1.4"}, 400, "INVALID_VERSION"),
        ("POST", "/api/1/apps/shop/packages", START | {"Version": "1.4.2.63"}, 400, "INVALID_VERSION"),
        ("POST", "/api/1/apps/shop/packages", START | {"Version": "1.4.x"}, 400, "INVALID_VERSION"),
        ("GET", "/api/1/apps//packages/123", None, 400, "INVALID_PARAMETERS"),
        ("GET", "/api/1/apps/shop/packages//", None, 400, "INVALID_PARAMETERS"),
        ("GET", UNKNOWN_ID, None, 404, "PACKAGE_NOT_FOUND"),
        ("GET", UNKNOWN_ID.replace("shop", "nope"), None, 404, "PACKAGE_NOT_FOUND"),
        ("DELETE", "/api/1/apps/shop/packages//", None, 400, "INVALID_PARAMETERS"),
        ("DELETE", UNKNOWN_ID, None, 404, "PACKAGE_NOT_FOUND"),
        ("GET", "/api/1/apps/shop/packages//download", None, 400, "INVALID_PARAMETERS"),
        ("GET", UNKNOWN_ID + "/download", None, 404, "PACKAGE_NOT_FOUND"),
    ],
)
def test_refusals_that_need_no_state(talk, method, target, body, status, code):
    assert refusal(talk.api(method, target, body)) == (status, code)
    assert talk.platform.packages == {}


def test_refusals_that_depend_on_the_package(talk):
    in_use = talk.platform.packages.add("shop", version="1.0.0", revision="63", in_use=True)
    assert refusal(talk.api("DELETE", f"/api/1/apps/shop/packages/{in_use}")) == (409, "PACKAGE_IN_USE")

    running = talk.start()
    reply = talk.api("GET", f"/api/1/apps/shop/packages/{running}/download")
    assert refusal(reply) == (500, "BUILD_NOT_SUCCEEDED")

    talk.platform.packages.outcome = BuildOutcome.REFUSED
    assert refusal(talk.api("POST", "/api/1/apps/shop/packages", START)) == (500, "BUILD_FAILED")


def test_package_of_another_app_is_not_found(talk):
    talk.platform.add_app("plan")
    package_id = talk.start()
    reply = talk.api("GET", f"/api/1/apps/plan/packages/{package_id}")
    assert refusal(reply) == (404, "PACKAGE_NOT_FOUND")


def test_unknown_app_is_an_option_where_the_documentation_is_silent(talk_with):
    talk = talk_with(unknown_app_on_list="APP_NOT_FOUND", unknown_app_on_start="INVALID_APPID")
    assert refusal(talk.api("GET", "/api/1/apps/nope/packages")) == (404, "APP_NOT_FOUND")
    assert refusal(talk.api("POST", "/api/1/apps/nope/packages", START)) == (400, "INVALID_APPID")
