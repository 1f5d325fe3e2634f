"""The platform behind `requests-mock`."""

from __future__ import annotations

import io
import zipfile

import pytest
import requests
import requests_mock

from airflow_provider_mendix.api import build, deploy_v2
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.multipart import FileForm
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import (
    DownloadError,
    MendixConnectionError,
)
from airflow_provider_mendix.simulator import (
    Options,
    install,
)

from .talking import AUTH, KEY, START, USER, Talk, client


def test_with_plain_requests(talk):
    with requests_mock.Mocker() as mocker:
        install(talk.platform, mocker)
        url = "https://deploy.mendix.com/api/1/apps/shop/packages"
        package_id = requests.post(url, json=START, headers=AUTH).json()["PackageId"]
        talk.clock.sleep(45)
        shown = requests.get(f"{url}/{package_id}", params={"url": "true"}, headers=AUTH).json()
        assert shown["Status"] == "Succeeded"
        response = requests.get(shown["Url"]["Location"])
        assert response.headers["Content-Length"] == str(shown["Size"])
        assert response.content == talk.platform.packages.content(package_id)
        assert requests.get(shown["Url"]["Location"], headers=AUTH).status_code == 400
        assert requests.get(url).status_code == 401
        assert requests.delete(f"{url}/{package_id}", headers=AUTH).status_code == 204
        with pytest.raises(requests_mock.NoMockAddress):
            requests.get("https://elsewhere.example/api/1/apps")
    assert len(talk.platform.journal.requests("POST")) == 1


@pytest.mark.parametrize("download", ["stream", "redirect"])
def test_with_our_client(download):
    talk = Talk(Options(download=download))
    package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    with requests_mock.Mocker() as mocker, client("https://deploy.mendix.com") as mendix:
        install(talk.platform, mocker)
        with mendix.download(build.download_package("shop", package_id)) as file:
            assert b"".join(file) == talk.platform.packages.content(package_id)


@pytest.fixture
def in_process(talk):
    account = Account(username=USER, api_key=KEY, timeout=30)
    with requests_mock.Mocker() as mocker, MendixClient(account) as client:
        install(talk.platform, mocker)
        yield client


@pytest.mark.parametrize(
    ("name", "parameters", "message", "passed", "started"),
    [
        ("connection_reset", {}, "Connection reset by peer", 0, 0),
        ("reply_lost", {}, "the connection failed", 0, 1),
        ("hang", {}, "timed out", 30, 0),
        ("hang", {"seconds": 5}, "the connection failed", 5, 0),
        ("latency", {"seconds": 31}, "timed out", 30, 1),
    ],
)
def test_without_a_response(talk, faults, in_process, name, parameters, message, passed, started):
    faults.add(name, **parameters)
    began = talk.clock.now()
    with pytest.raises(MendixConnectionError, match=message):
        in_process.send(build.start_build("shop", revision="63", version="1.0.0"))
    assert talk.clock.now() - began == passed
    assert len(in_process.send(build.list_packages("shop"))) == started


def test_latency_passes_the_platforms_clock(talk, faults, in_process):
    faults.add("latency", seconds=12)
    began = talk.clock.now()
    assert in_process.send(build.list_packages("shop")) == []
    assert talk.clock.now() - began == 12


def test_file_is_cut(talk, faults, in_process):
    link = talk.link(talk.platform.packages.add("shop", version="1.0.0", revision="63"))
    faults.add("cut_file", at=1000)
    with pytest.raises(DownloadError, match="1000 of 262144"), in_process.download(link) as file:
        b"".join(file)


def test_hang_without_a_time_limit_is_bounded(talk, faults, in_process):
    faults.add("hang")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{Host.DEPLOY.value}/api/1/apps", headers=AUTH)
    assert talk.clock.now() == 1_700_000_300


def test_it_can_be_uploaded_in_process(talk):
    content = zipped()
    call = deploy_v2.upload_package("shop", NAME)
    with requests_mock.Mocker() as mocker, MendixClient(Account(username=USER, api_key=KEY)) as client:
        install(talk.platform, mocker)
        started = client.upload(call, FileForm(NAME, len(content), [content]))
    assert talk.platform.packages.content(started.package_id) == content


NAME = "main-2.5.4.9f3ab2c1.mda"


def zipped(content: bytes = b"hello\r\n--there\r\n") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/model.mdp", content)
    return buffer.getvalue()
