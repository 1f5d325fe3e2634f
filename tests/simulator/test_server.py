"""The platform on real sockets."""

from __future__ import annotations

import concurrent.futures
import json
import socket
import zipfile

import pytest
import requests
import requests_mock

from airflow_provider_mendix.api import app_repository, backups, build, deploy, team_server
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import (
    BranchNotFoundError,
    BuildNotSucceededError,
    EnvironmentBusyError,
    EnvironmentNotFoundError,
    MendixResponseError,
    PackageInUseError,
    PackageNotFoundError,
    StartFailedError,
)
from airflow_provider_mendix.simulator import (
    DeploymentTimeline,
    Options,
    Server,
    install,
)

from .talking import AUTH, KEY, PROJECT, START, TOKEN_AUTH, USER, Talk, client


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

        in_use = talk.platform.packages.add("shop", version="1.0.0", revision="63", in_use=True)
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
        talk.platform.repositories.push("shop", branch=branch)
    expected = [commit.id for commit in talk.platform.repositories.commits("shop", branch)]
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
    talk.platform.repositories.push("plan", branch="release 1/ünder%2F+", mendix_version=None)
    with Server(talk.platform) as server, client(server.api_url) as mendix:
        trunk, branch = mendix.send(team_server.list_branches("plan"))
        assert (trunk.name, branch.name, branch.latest_revision_number) == ("trunk", "release 1/ünder%2F+", 3)
        one = mendix.send(team_server.get_branch("plan", f"branches/{branch.name}"))
        assert one == branch
        revisions = mendix.send(team_server.list_revisions("plan", f"branches/{branch.name}"))
        assert [revision.number for revision in revisions] == [1, 2, 3]
        with pytest.raises(BranchNotFoundError, match="nope"):
            mendix.send(team_server.get_branch("plan", "nope"))


def test_no_host_serves_the_paths_of_another(server):
    info = f"/v1/repositories/{PROJECT}/info"
    headers = {**AUTH, **TOKEN_AUTH}
    for url, path, status in [
        (server.repository_url, info, 200),
        (server.api_url, info, 501),
        (server.api_url, "/api/1/apps", 200),
        (server.repository_url, "/api/1/apps", 501),
        (server.repository_url, "/_simulator/journal", 501),
    ]:
        response = requests.get(url + path, headers=headers)
        assert response.status_code == status
    assert "on its repository host" in response.text


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
    assert talk.platform.cloud.files_url == files_url
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
    assert talk.platform.cloud.files_url == server.files_url


def test_chunked_bodies(server, talk):
    whole = json.dumps(START).encode()
    with requests.Session() as session:
        for _ in range(2):
            url = f"{server.api_url}/api/1/apps/shop/packages"
            response = session.post(url, data=iter([whole[:7], b"", whole[7:]]), headers=AUTH)
            assert response.json()["PackageId"] in talk.platform.packages
    assert len(talk.platform.packages) == 2


def raw(server, request: bytes) -> bytes:
    host, _, port = server.api_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


HEAD = b"POST /api/1/apps/shop/packages HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + b"".join(
    f"{name}: {value}\r\n".encode() for name, value in AUTH.items()
)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"Transfer-Encoding: Chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nTrailer: x\r\n\r\n", b"400 Bad Request"),
        (b"Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n", b"400 Bad Request"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n", b"400 Bad Request"),
        (b"Transfer-Encoding: gzip\r\n\r\n{}", b"400 Bad Request"),
        (b"Content-Length: -1\r\n\r\n{}", b"400 Bad Request"),
        (b"Content-Length: x\r\n\r\n{}", b"400 Bad Request"),
    ],
)
def test_odd_lengths(server, talk, body, status):
    assert status in raw(server, HEAD + body).partition(b"\r\n")[0]
    is_read = body.startswith(b"Transfer-Encoding: Chunked")
    assert len(talk.platform.journal) == is_read
    assert not talk.platform.packages


def test_an_incomplete_chunked_body_is_not_handled(server, talk):
    assert raw(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{}") == b""
    assert raw(server, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n") == b""
    assert not talk.platform.journal


@pytest.mark.parametrize("blanks", [("", " "), (" \t ", "\t "), ("", "")])
def test_blanks_around_a_value_do_not_belong_to_it(server, blanks):
    before, after = blanks
    lines = "".join(f"{name}:{before}{value}{after}\r\n" for name, value in AUTH.items())
    request = f"GET /api/1/apps HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
    assert b"200 OK" in raw(server, request.encode()).partition(b"\r\n")[0]


def test_a_client_that_closes_the_connection_prints_nothing(server, capfd):
    host, _, port = server.api_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b"POST /api/1/apps HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert requests.get(f"{server.api_url}/api/1/apps", headers=AUTH).status_code == 200
    assert capfd.readouterr().err == ""


def test_a_release_by_our_client_over_loopback(deployer):
    platform = deployer.platform
    platform.environments.timeline = DeploymentTimeline(
        stopping=5, transporting=3, starting=20, backing_up=30, restoring=30
    )
    old = deployer.put("1.0.0", running=True)
    new = deployer.package("1.1.0")
    with Server(platform) as server:
        account = Account(username=USER, api_key=KEY, base_urls={Host.DEPLOY: server.api_url})
        with MendixClient(account) as mendix:
            test, acceptance, _ = mendix.send(deploy.list_environments("shop"))
            assert (test.mode, test.status, test.is_production) == ("Test", "Running", False)
            assert acceptance.model_version is None
            assert mendix.send(deploy.get_environment_package("shop", "Test")).package_id == old
            started = mendix.send(deploy.start_environment("shop", "Test", auto_sync_db=True))
            assert started.job_id is None

            mendix.send(deploy.stop_environment("shop", "Test"))
            deployer.pass_time(5)
            assert mendix.send(deploy.get_environment("shop", "Test")).status == "Stopped"
            snapshot = mendix.send(backups.create_snapshot(PROJECT, test.environment_id, comment="before"))
            with pytest.raises(EnvironmentBusyError):
                mendix.send(backups.create_snapshot(PROJECT, test.environment_id))
            deployer.pass_time(30)
            snapshot = mendix.send(backups.get_snapshot(PROJECT, test.environment_id, snapshot.snapshot_id))
            assert (snapshot.state, snapshot.comment) == ("completed", "before")
            assert mendix.send(backups.list_snapshots(PROJECT, test.environment_id)).snapshots == (snapshot,)

            mendix.send(deploy.transport_package("shop", "Test", new))
            deployer.pass_time(3)
            assert mendix.send(deploy.get_environment_package("shop", "Test")).package_id == new
            platform.environments.next_starts.append("STARTUP_ACTION_FAILED")
            job_id = mendix.send(deploy.start_environment("shop", "Test", auto_sync_db=True)).job_id
            assert mendix.send(deploy.get_start_job("shop", "Test", job_id)).status == "Starting"
            deployer.pass_time(20)
            with pytest.raises(StartFailedError, match="after-startup"):
                mendix.send(deploy.get_start_job("shop", "Test", job_id))

            restore = mendix.send(backups.create_restore(PROJECT, test.environment_id, snapshot.snapshot_id))
            deployer.pass_time(30)
            restore = mendix.send(backups.get_restore(PROJECT, test.environment_id, restore.restore_id))
            assert (restore.state, restore.finished_at is None) == ("completed", False)
            settings = mendix.send(deploy.get_settings("shop", "Test"))
            assert mendix.send(deploy.set_settings("shop", "Test", settings)) == settings
            with pytest.raises(EnvironmentNotFoundError):
                mendix.send(deploy.get_environment("shop", "test"))
    assert platform.environments["shop", "Test"].data_version == "1.0.0.9f3ab2c1"
