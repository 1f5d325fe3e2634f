"""The platform behind `requests-mock` and on real sockets."""

from __future__ import annotations

import concurrent.futures
import socket
import zipfile

import pytest
import requests
import requests_mock

from airflow_provider_mendix.api import app_repository, build, deploy, team_server
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import (
    BranchNotFoundError,
    BuildNotSucceededError,
    MendixResponseError,
    PackageInUseError,
    PackageNotFoundError,
    UnauthorizedError,
)
from airflow_provider_mendix.simulator import Ending, Options, Server, install

from .talking import AUTH, KEY, PROJECT, START, TOKEN, TOKEN_AUTH, USER, Talk


@pytest.fixture
def server(talk):
    with Server(talk.platform) as running:
        yield running


def client(base_url: str, api_key: str = KEY, repository_url: str = Host.REPOSITORY.value) -> MendixClient:
    base_urls = {Host.DEPLOY: base_url, Host.REPOSITORY: repository_url}
    return MendixClient(Account(username=USER, api_key=api_key, personal_access_token=TOKEN, base_urls=base_urls))


def test_in_process_with_plain_requests(talk):
    with requests_mock.Mocker() as mocker:
        install(talk.platform, mocker)
        url = "https://deploy.mendix.com/api/1/apps/shop/packages"
        package_id = requests.post(url, json=START, headers=AUTH).json()["PackageId"]
        talk.clock.sleep(45)
        shown = requests.get(f"{url}/{package_id}", params={"url": "true"}, headers=AUTH).json()
        assert shown["Status"] == "Succeeded"
        answer = requests.get(shown["Url"]["Location"])
        assert answer.headers["Content-Length"] == str(shown["Size"])
        assert answer.content == talk.platform.content(package_id)
        assert requests.get(shown["Url"]["Location"], headers=AUTH).status_code == 400
        assert requests.get(url).status_code == 401
        assert requests.delete(f"{url}/{package_id}", headers=AUTH).status_code == 204
        with pytest.raises(requests_mock.NoMockAddress):
            requests.get("https://elsewhere.example/api/1/apps")
    assert len(talk.platform.journal.requests("POST")) == 1


@pytest.mark.parametrize("download", ["stream", "redirect"])
def test_in_process_with_our_client(download):
    talk = Talk(Options(download=download))
    package_id = talk.platform.add_package("shop", version="1.0.0", revision="63")
    with requests_mock.Mocker() as mocker, client("https://deploy.mendix.com") as mendix:
        install(talk.platform, mocker)
        with mendix.download(build.download_package("shop", package_id)) as file:
            assert b"".join(file) == talk.platform.content(package_id)


@pytest.mark.parametrize("options", [Options(), Options(download="redirect", not_ready="null", delete_status=200)])
def test_our_client_over_loopback(options, tmp_path):
    talk = Talk(options)
    with Server(talk.platform) as server, client(server.api_url) as mendix:
        assert [app.app_id for app in mendix.send(deploy.list_apps())] == ["shop"]
        assert mendix.send(deploy.get_app("shop")).name == "Shop"
        assert mendix.send(build.list_packages("shop")) == []
        call = build.start_build("shop", revision="9f3ab2c1", version="1.4.2", branch="x", description="hello")
        package_id = mendix.send(call).package_id

        package = mendix.send(build.get_package("shop", package_id, url=True))
        assert (package.status, package.name, package.size) == ("Queued", "x-1.4.2.9f3ab2c1.mda", None)
        assert package.url is None
        with pytest.raises(BuildNotSucceededError), mendix.download(build.download_package("shop", package_id)):
            pass

        talk.clock.sleep(45)
        package = mendix.send(build.get_package("shop", package_id, url=True))
        assert package.creation_date is not None
        assert package.creation_date.timestamp() == 1_700_000_000
        assert package.url is not None
        assert package.url.location.startswith(server.files_url)
        for source in (package.url.location, build.download_package("shop", package_id)):
            with mendix.download(source) as file:
                target = tmp_path / "package.mda"
                target.write_bytes(b"".join(file))
            assert file.size == package.size == target.stat().st_size
            assert zipfile.ZipFile(target).testzip() is None

        mendix.send(build.delete_package("shop", package_id))
        with pytest.raises(PackageNotFoundError):
            mendix.send(build.get_package("shop", package_id))

        in_use = talk.platform.add_package("shop", version="1.0.0", revision="63", in_use=True)
        with pytest.raises(PackageInUseError):
            mendix.send(build.delete_package("shop", in_use))
    assert all(not set(AUTH) & set(entry.headers) for entry in talk.platform.journal.requests(host="files"))


def read_all(mendix: MendixClient, branch: str) -> list[str]:
    read, cursor, more = [], None, True
    while more:
        page = mendix.send(app_repository.list_commits(PROJECT, branch, cursor=cursor, limit=20))
        read += [commit.id for commit in page.items]
        cursor = page.cursors.next
        more = cursor is not None
    return read


@pytest.mark.parametrize("branch", ["main", "branches/release 1/ünder%2F+"])
def test_repositories_by_our_client_over_both(talk, branch):
    for _ in range(44):
        talk.platform.push("shop", branch=branch)
    expected = [commit.id for commit in talk.platform.commits("shop", branch)]
    assert len(expected) == 45
    with Server(talk.platform) as server, client(server.api_url, repository_url=server.repository_url) as mendix:
        assert read_all(mendix, branch) == expected
        assert mendix.send(app_repository.get_branch(PROJECT, branch)).latest_commit.id == expected[0]
    with requests_mock.Mocker() as mocker, client(Host.DEPLOY.value) as mendix:
        install(talk.platform, mocker)
        assert read_all(mendix, branch) == expected
    with requests_mock.Mocker() as mocker:
        install(talk.platform, mocker, api_url="https://a.example", repository_url="https://b.example")
        with client("https://a.example", repository_url="https://b.example") as mendix:
            assert mendix.send(deploy.get_app("shop")).project_id == PROJECT
            assert read_all(mendix, branch) == expected


def test_team_server_by_our_client(talk):
    talk.platform.add_app("plan", repository="svn")
    talk.platform.push("plan", branch="release 1/ünder%2F+", mendix_version=None)
    with Server(talk.platform) as server, client(server.api_url) as mendix:
        trunk, branch = mendix.send(team_server.list_branches("plan"))
        assert (trunk.name, branch.name, branch.latest_revision_number) == ("trunk", "release 1/ünder%2F+", 3)
        one = mendix.send(team_server.get_branch("plan", f"branches/{branch.name}"))
        assert one == branch
        revisions = mendix.send(team_server.list_revisions("plan", f"branches/{branch.name}"))
        assert [revision.number for revision in revisions] == [1, 2, 3]
        with pytest.raises(BranchNotFoundError, match="nope"):
            mendix.send(team_server.get_branch("plan", "nope"))


def test_no_host_answers_for_another(server):
    info = f"/v1/repositories/{PROJECT}/info"
    headers = {**AUTH, **TOKEN_AUTH}
    for url, path, status in [
        (server.repository_url, info, 200),
        (server.api_url, info, 501),
        (server.api_url, "/api/1/apps", 200),
        (server.repository_url, "/api/1/apps", 501),
        (server.repository_url, "/_simulator/journal", 501),
    ]:
        answer = requests.get(url + path, headers=headers)
        assert answer.status_code == status
    assert "on its repository host" in answer.text


def test_our_client_does_not_retry_an_unknown_route(server):
    with client(server.api_url + "/elsewhere") as mendix, pytest.raises(MendixResponseError) as caught:
        mendix.send(deploy.list_apps())
    assert caught.value.status == 501
    assert not caught.value.transient


def test_kept_alive_connection_serves_many_requests(server):
    with requests.Session() as session:
        session.headers.update(AUTH)
        for _ in range(20):
            assert session.post(f"{server.api_url}/api/1/apps/shop/packages", json=START).status_code == 200
            assert session.head(f"{server.api_url}/api/1/apps").status_code == 501
        package_id = session.post(f"{server.api_url}/api/1/apps/shop/packages", json=START).json()["PackageId"]
        url = f"{server.api_url}/api/1/apps/shop/packages/{package_id}"
        assert session.delete(url).status_code == 204
        assert session.delete(url).status_code == 404
        assert len(session.get(f"{server.api_url}/api/1/apps/shop/packages").json()) == 20


def test_many_at_once_lose_nothing(server, talk):
    def start(_: int) -> str:
        url = f"{server.api_url}/api/1/apps/shop/packages"
        return requests.post(url, json=START, headers=AUTH).json()["PackageId"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        started = list(pool.map(start, range(64)))
    assert set(started) == set(talk.platform.packages)
    assert len(talk.platform.journal) == 64


def test_it_listens_on_loopback_only_and_stops(talk):
    server = Server(talk.platform)
    server.start()
    api_url, files_url, repository_url = server.api_url, server.files_url, server.repository_url
    assert api_url.startswith("http://127.0.0.1:")
    assert talk.platform.files_url == files_url
    with requests.Session() as session:
        assert session.get(f"{api_url}/api/1/apps", headers=AUTH).status_code == 200
        server.stop()
        for url in (api_url, files_url, repository_url):
            with pytest.raises(requests.ConnectionError):
                session.get(url)
    server.stop()


def test_taken_port(server, talk):
    taken = int(server.files_url.rpartition(":")[2])
    second = Server(talk.platform, files_port=taken)
    with pytest.raises(OSError, match="in use"):
        second.start()
    assert talk.platform.files_url == server.files_url


def test_chunked_body_is_refused(server):
    answer = requests.post(f"{server.api_url}/api/1/apps/shop/packages", data=iter([b"{}"]), headers=AUTH)
    assert answer.status_code == 411


def test_client_that_hangs_up_is_no_news(server, capfd):
    host, _, port = server.api_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"POST /api/1/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert requests.get(f"{server.api_url}/api/1/apps", headers=AUTH).status_code == 200
    assert capfd.readouterr().err == ""


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
            "sha256": talk.platform.sha256(package_id),
        }
    ]
    answer = requests.post(f"{base}/next-ending", json={"ending": "stuck_building"})
    assert answer.json() == {"next_endings": ["stuck_building"]}
    assert list(talk.platform.next_endings) == [Ending.STUCK_BUILDING]

    assert requests.get(f"{base}/journal").json() == []
    requests.get(f"{server.api_url}/api/1/apps", headers=AUTH)
    assert [entry["path"] for entry in requests.get(f"{base}/journal").json()] == ["/api/1/apps"]

    assert requests.post(f"{base}/api-key", json={"username": USER, "api_key": "next"}).status_code == 200
    with client(server.api_url) as mendix, pytest.raises(UnauthorizedError):
        mendix.send(deploy.list_apps())
    with client(server.api_url, "next") as mendix:
        assert len(mendix.send(deploy.list_apps())) == 2


def test_control_plane_pushes_while_clients_read(server, talk):
    base = f"{server.api_url}/_simulator"
    url = f"{server.repository_url}/v1/repositories/{PROJECT}/branches/branches%2Fhotfix"
    assert requests.get(url, headers=TOKEN_AUTH).status_code == 404
    wish = {"app_id": "shop", "branch": "hotfix", "message": "mend it", "author": "bob@example.com"}
    pushed = requests.post(f"{base}/commits", json={**wish, "mendix_version": None}).json()["revision"]
    latest = requests.get(url, headers=TOKEN_AUTH).json()["latestCommit"]
    assert (latest["id"], latest["message"], latest["author"]["email"]) == (pushed, "mend it", "bob@example.com")
    assert "mendixVersion" not in latest
    second = requests.post(f"{base}/commits", json={"app_id": "shop"}).json()["revision"]
    assert second == talk.platform.commits("shop")[0].id
    assert talk.platform.commits("shop")[0].mendix_version
    assert [entry.path for entry in talk.platform.journal if "_simulator" in entry.path] == []


def test_control_plane_gives_and_takes_tokens(server):
    base = f"{server.api_url}/_simulator"
    url = f"{server.repository_url}/v1/repositories/{PROJECT}/info"
    headers = {"Authorization": "MxToken another"}

    def change(action: str, **wish: object) -> tuple[int, int]:
        answer = requests.post(f"{base}/{action}", json={"token": "another", **wish})
        assert "another" not in answer.text
        return answer.status_code, requests.get(url, headers=headers).status_code

    assert change("tokens", scopes=["mx:deployment:read"]) == (200, 403)
    assert change("tokens") == (200, 200)
    assert change("revoked-tokens") == (200, 401)
    assert change("revoked-tokens") == (404, 401)


def test_control_plane_says_what_is_wrong(server):
    base = f"{server.api_url}/_simulator"
    lost = requests.get(f"{base}/jornal")
    assert lost.status_code == 404
    assert "GET /_simulator/journal" in lost.json()["routes"]
    assert requests.post(f"{base}/next-ending", json={"ending": "explodes"}).status_code == 400
    assert requests.post(f"{base}/next-ending", data="{").status_code == 400
    assert requests.post(f"{base}/next-ending", data=b'{"ending": "\xff"}').status_code == 400
    assert requests.post(f"{base}/apps", json={"app_id": "x", "fre": True}).status_code == 400
    unknown = requests.post(f"{base}/packages", json={"app_id": "nope", "version": "1.0.0", "revision": "1"})
    assert unknown.status_code == 404
    assert requests.post(f"{base}/api-key", json={"username": "bob", "api_key": "x"}).status_code == 404
    assert requests.post(f"{base}/commits", json={"app_id": "nope"}).status_code == 404
    assert requests.post(f"{base}/commits", json={"app_id": "shop", "brunch": "x"}).status_code == 400
    impossible = requests.post(f"{base}/commits", json={"app_id": "shop", "branch": "a..b"})
    assert (impossible.status_code, "a..b" in impossible.text) == (400, True)
