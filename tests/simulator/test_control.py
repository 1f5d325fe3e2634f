"""The control plane: what can be added, changed and planned over HTTP."""

from __future__ import annotations

import pytest
import requests

from airflow_provider_mendix.api import deploy
from airflow_provider_mendix.exceptions import (
    UnauthorizedError,
)
from airflow_provider_mendix.simulator import (
    BuildOutcome,
    Server,
)

from .talking import AUTH, PROJECT, TOKEN_AUTH, UNKNOWN_ID, USER, client


def test_control_plane(server, talk):
    base = f"{server.api_url}/_simulator"
    assert requests.post(f"{base}/apps", json={"app_id": "plan", "repository": "svn"}).json()["name"] == "Plan"
    added = requests.post(f"{base}/packages", json={"app_id": "plan", "version": "1.0.0", "revision": "63"})
    package_id = added.json()["package_id"]
    assert requests.get(f"{base}/packages").json() == [
        {
            "package_id": package_id,
            "app_id": "plan",
            "name": "Main line-1.0.0.63.mda",
            "version": "1.0.0.63",
            "description": "",
            "status": "Succeeded",
            "size": 262144,
            "sha256": talk.platform.packages.sha256(package_id),
        }
    ]
    response = requests.post(f"{base}/next-build", json={"outcome": "stuck_building"})
    assert response.json() == {"next": ["stuck_building"]}
    assert list(talk.platform.packages.next_outcomes) == [BuildOutcome.STUCK_BUILDING]

    assert requests.get(f"{base}/journal").json() == []
    requests.get(f"{server.api_url}/api/1/apps", headers=AUTH)
    assert [entry["path"] for entry in requests.get(f"{base}/journal").json()] == ["/api/1/apps"]

    assert requests.post(f"{base}/api-key", json={"username": USER, "api_key": "next"}).status_code == 200
    with client(server.api_url) as mendix, pytest.raises(UnauthorizedError):
        mendix.send(deploy.list_apps())
    with client(server.api_url, "next") as mendix:
        assert len(mendix.send(deploy.list_apps())) == 2


def test_a_push_shows_to_clients(server, talk):
    base = f"{server.api_url}/_simulator"
    url = f"{server.repository_url}/v1/repositories/{PROJECT}/branches/branches%2Fhotfix"
    assert requests.get(url, headers=TOKEN_AUTH).status_code == 404
    payload = {"app_id": "shop", "branch": "hotfix", "message": "mend it", "author": "bob@example.com"}
    pushed = requests.post(f"{base}/commits", json={**payload, "mendix_version": None}).json()["revision"]
    latest = requests.get(url, headers=TOKEN_AUTH).json()["latestCommit"]
    assert (latest["id"], latest["message"], latest["author"]["email"]) == (pushed, "mend it", "bob@example.com")
    assert "mendixVersion" not in latest
    second = requests.post(f"{base}/commits", json={"app_id": "shop"}).json()["revision"]
    assert second == talk.platform.repositories.commits("shop")[0].id
    assert talk.platform.repositories.commits("shop")[0].mendix_version
    assert [entry.path for entry in talk.platform.journal if "_simulator" in entry.path] == []


def test_tokens_are_added_and_revoked(server):
    base = f"{server.api_url}/_simulator"
    url = f"{server.repository_url}/v1/repositories/{PROJECT}/info"
    headers = {"Authorization": "MxToken another"}

    def change(action: str, **payload: object) -> tuple[int, int]:
        response = requests.post(f"{base}/{action}", json={"token": "another", **payload})
        assert "another" not in response.text
        return response.status_code, requests.get(url, headers=headers).status_code

    assert change("tokens", scopes=["mx:deployment:read"]) == (200, 403)
    assert change("tokens") == (200, 200)
    assert change("revoked-tokens") == (200, 401)
    assert change("revoked-tokens") == (404, 401)


def test_commits_are_listed(server, talk):
    pushed = talk.platform.repositories.push("shop", branch="hotfix", message="mend it")
    shown = requests.get(f"{server.api_url}/_simulator/commits").json()
    assert [(one["app_id"], one["branch"]) for one in shown] == [("shop", "main"), *[("shop", "hotfix")] * 2]
    assert (shown[1]["revision"], shown[1]["message"]) == (pushed, "mend it")
    assert shown[0]["revision"] == shown[2]["revision"]


@pytest.mark.parametrize(
    ("action", "payload", "choices"),
    [
        ("next-build", {"outcome": "explodes"}, "outcome (succeeds, fails_while_queued,"),
        ("next-start", {"outcome": "explodes"}, "There are: succeeds, NO_PACKAGE"),
        ("next-archive", {"outcome": "explodes"}, "There are: succeeds, completed, failed"),
        ("apps", {"app_id": "x", "repository": "cvs"}, "repository (git, svn)"),
        ("apps", {"app_id": "x", "repo": "git"}, "Its parameters: app_id, name, project_id"),
        ("apps", {"app_id": "My Shop"}, "'my-shop'"),
        ("faults", {"kind": "explodes"}, "bad_gateway"),
    ],
)
def test_wrong_words_get_a_list_of_the_right_ones(server, action, payload, choices):
    response = requests.post(f"{server.api_url}/_simulator/{action}", json=payload)
    assert response.status_code == 400
    assert choices in response.json()["error"]


def test_wrong_payloads_are_refused_with_a_reason(server):
    base = f"{server.api_url}/_simulator"
    lost = requests.get(f"{base}/jornal")
    assert lost.status_code == 404
    assert "GET /_simulator/journal" in lost.json()["routes"]
    assert requests.post(f"{base}/next-build", json={"outcome": "explodes"}).status_code == 400
    assert requests.post(f"{base}/next-build", data="{").status_code == 400
    assert requests.post(f"{base}/next-build", data=b'{"outcome": "\xff"}').status_code == 400
    assert requests.post(f"{base}/apps", json={"app_id": "x", "fre": True}).status_code == 400
    unknown = requests.post(f"{base}/packages", json={"app_id": "nope", "version": "1.0.0", "revision": "1"})
    assert unknown.status_code == 404
    assert requests.post(f"{base}/api-key", json={"username": "bob", "api_key": "x"}).status_code == 404
    assert requests.post(f"{base}/commits", json={"app_id": "nope"}).status_code == 404
    assert requests.post(f"{base}/commits", json={"app_id": "shop", "brunch": "x"}).status_code == 400
    impossible = requests.post(f"{base}/commits", json={"app_id": "shop", "branch": "a..b"})
    assert (impossible.status_code, "a..b" in impossible.text) == (400, True)


class TestControlPlane:
    @pytest.fixture
    def base(self, talk):
        with Server(talk.platform) as server:
            yield f"{server.api_url}/_simulator"

    def test_environments(self, base, deployer):
        package_id = deployer.package()
        payload = {"app_id": "shop", "mode": "Live", "production": True, "package_id": package_id, "running": True}
        environment_id = requests.post(f"{base}/environments", json=payload).json()["environment_id"]
        *_, live = requests.get(f"{base}/environments").json()
        assert live == {
            "app_id": "shop",
            "mode": "Live",
            "environment_id": environment_id,
            "production": True,
            "status": "Running",
            "package_id": package_id,
            "running_package_id": package_id,
            "model_version": "1.0.0.9f3ab2c1",
            "data": "as it was at first",
            "data_version": "1.0.0.9f3ab2c1",
            "url": f"{deployer.platform.cloud.files_url}/apps/shop/Live/",
        }
        for wrong, status in [
            ({"app_id": "nope", "mode": "Test"}, 404),
            ({"app_id": "shop", "mode": "Test", "package_id": UNKNOWN_ID}, 404),
            ({"app_id": "shop", "mode": "Test", "running": True}, 400),
            ({"app_id": "shop"}, 400),
        ]:
            assert requests.post(f"{base}/environments", json=wrong).status_code == status
        payload = {"app_id": "plan", "environments": ["Staging"]}
        assert requests.post(f"{base}/apps", json=payload).status_code == 200
        assert [one.mode for one in deployer.platform.environments.of("plan")] == ["Staging"]

    @pytest.mark.parametrize(
        ("action", "word", "queue"),
        [
            ("next-start", "DB_SYNC_FAILED", lambda platform: platform.environments.next_starts),
            ("next-start", "", lambda platform: platform.environments.next_starts),
            ("next-stop", "STOP_FAILED", lambda platform: platform.environments.next_stops),
            ("next-transport", "SERVICE UNAVAILABLE", lambda platform: platform.environments.next_transports),
            ("next-snapshot", "failed", lambda platform: platform.backups.next_snapshots),
            ("next-snapshot", "INVALID_STATE", lambda platform: platform.backups.next_snapshots),
            ("next-archive", "UNSUPPORTED", lambda platform: platform.backups.next_archives),
            ("next-restore", "completed", lambda platform: platform.backups.next_restores),
        ],
    )
    def test_planned_outcomes(self, base, talk, action, word, queue):
        response = requests.post(f"{base}/{action}", json={"outcome": word})
        assert (response.status_code, response.json()) == (200, {"next": [word]})
        assert list(queue(talk.platform)) == [word]
        refused = requests.post(f"{base}/{action}", json={"outcome": "OUT_OF_LUCK"})
        assert refused.status_code == 400
        assert "There are: " in refused.json()["error"]
        assert list(queue(talk.platform)) == [word]


PACKAGES = "/api/1/apps/shop/packages"


def test_over_http(talk):
    with Server(talk.platform) as server:
        url = f"{server.api_url}/_simulator/faults"
        payload = {"kind": "rate_limited", "on": "list_packages", "times": 2, "retry_after": 3}
        added = {**payload, "after": 0, "form": "seconds", "call_count": 0}
        assert requests.get(url).json() == []
        assert requests.post(url, json=payload).json() == added

        response = requests.get(f"{server.api_url}{PACKAGES}", headers=AUTH)
        assert (response.status_code, response.headers["Retry-After"]) == (429, "3")
        assert requests.get(url).json() == [{**added, "call_count": 1}]
        (entry,) = requests.get(f"{server.api_url}/_simulator/journal").json()
        assert entry["faults"] == ["rate_limited"]

        assert requests.delete(url).json() == []
        assert requests.get(url).json() == []
        assert requests.get(f"{server.api_url}{PACKAGES}", headers=AUTH).status_code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"kind": "explodes"}', "bad_gateway"),
        (b"{}", "There is no fault ''"),
        (b'{"kind": 5}', "There is no fault '5'"),
        (b'{"kind": "latency", "seconds": "x", "fault": 1}', "latency: "),
        (b'{"kind": "stuck_build", "package_id": "nope"}', "no package nope"),
        (b"[]", "Expected"),
        (b"{", "truncated"),
    ],
)
def test_wrong_faults_are_refused_with_a_reason(talk, body, message):
    with Server(talk.platform) as server:
        response = requests.post(f"{server.api_url}/_simulator/faults", data=body)
    assert response.status_code == 400
    assert message in response.json()["error"]


def test_stuck_build_over_http(talk):
    package_id = talk.start()
    with Server(talk.platform) as server:
        url = f"{server.api_url}/_simulator"
        requests.post(f"{url}/faults", json={"kind": "stuck_build", "package_id": package_id})
        talk.clock.sleep(1000)
        assert talk.get(package_id)["Status"] == "Queued"
        assert [package["status"] for package in requests.get(f"{url}/packages").json()] == ["Queued"]
        requests.delete(f"{url}/faults")
        assert talk.get(package_id)["Status"] == "Succeeded"
