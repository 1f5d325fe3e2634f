"""A company's network: a real proxy with a password, and a host with a certificate of a private CA."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import DownloadError, MendixConnectionError

from ..wire import Send

LIST = build.list_packages("calc")
FILE = b"PK\x03\x04" + bytes(range(256)) * 9000
PASSWORD = "canary-of-the-proxy"
WRONG_PASSWORD = "canary-that-is-wrong"


class Proxy(NamedTuple):
    port: int
    journal: Path

    def url(self, password: str = PASSWORD) -> str:
        return f"http://ana:{password}@127.0.0.1:{self.port}"

    @property
    def seen(self) -> list[tuple[str, str, list[str]]]:
        """Method, target and header names of what went through."""
        return [tuple(json.loads(line)) for line in self.journal.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def running_proxy(tmp_path_factory):
    journal = tmp_path_factory.mktemp("proxy") / "seen.jsonl"
    script = Path(__file__).with_name("recording_proxy.py")
    command = [sys.executable, str(script), str(journal), f"ana:{PASSWORD}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Proxy(int(process.stdout.readline()), journal)


@pytest.fixture
def proxy(running_proxy):
    running_proxy.journal.write_bytes(b"")
    return running_proxy


@pytest.fixture(params=["requests", "aiohttp", "a file"])
def request_through(request, account, tls_host):
    """Send a request to the host with one of the senders, or download a file; keywords change the account."""

    def list_packages(**changes) -> None:
        tls_host.answer([])
        assert Send(request.param, account)(LIST, base_urls={Host.DEPLOY: tls_host.url}, **changes) == []

    # A traceback shows the source lines of this test, so the canary is in none of those that it can show.
    link = f"{tls_host.url}/files/a.mda?sig=canary"

    def download(**changes) -> None:
        tls_host.answer(FILE)
        with (
            MendixClient(msgspec.structs.replace(account, **changes)) as client,
            client.download(link) as file,
        ):
            assert b"".join(file) == FILE

    return download if request.param == "a file" else list_packages


@pytest.fixture
def kind(request):
    """What `request_through` raises if the host cannot be reached."""
    return DownloadError if request.node.callspec.params["request_through"] == "a file" else MendixConnectionError


def shown(error: BaseException) -> str:
    """All that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error.to_json())


def test_the_connections_proxy(request_through, proxy, tls_host, bundle):
    request_through(verify=str(bundle), proxy=proxy.url())

    ((method, target, names),) = proxy.seen
    assert (method, target) == ("CONNECT", f"127.0.0.1:{tls_host.port}")
    assert "proxy-authorization" in names
    assert not [name for name in names if name.startswith("mendix-")]
    assert "proxy-authorization" not in tls_host.request.headers


def test_a_link_is_sent_byte_for_byte_through_the_tunnel(account, proxy, tls_host, bundle):
    tls_host.answer(FILE)
    changed = msgspec.structs.replace(account, verify=str(bundle), proxy=proxy.url())

    with MendixClient(changed) as client, client.download(f"{tls_host.url}/a%7eb.mda?sig=%2f") as file:
        assert b"".join(file) == FILE

    assert tls_host.request.target == "/a%7eb.mda?sig=%2f"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("ca_name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_proxy_and_bundle(request_through, proxy, tls_host, bundle, monkeypatch, name, ca_name):
    monkeypatch.setenv(name, proxy.url())
    monkeypatch.setenv(ca_name, str(bundle))

    request_through()

    assert [target for _, target, _ in proxy.seen] == [f"127.0.0.1:{tls_host.port}"]
    assert len(tls_host.requests) == 1


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_goes_around(request_through, proxy, tls_host, bundle, monkeypatch, name):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url())
    monkeypatch.setenv(name, "files.example,127.0.0.1")

    request_through(verify=str(bundle))

    assert proxy.seen == []
    assert len(tls_host.requests) == 1


def test_a_wrong_password(request_through, kind, proxy, tls_host, bundle):
    with pytest.raises(kind, match=r"the proxy 127\.0\.0\.1:\d+ refused \(HTTP 407\)") as raised:
        request_through(verify=str(bundle), proxy=proxy.url(WRONG_PASSWORD))

    assert "canary" not in shown(raised.value)
    assert proxy.seen == []
    assert tls_host.requests == []


def test_a_host_that_the_proxy_cannot_reach(request_through, kind, proxy, tls_host, bundle):
    tls_host.close()

    with pytest.raises(kind) as raised:
        request_through(verify=str(bundle), proxy=proxy.url())

    assert "canary" not in shown(raised.value)
    assert len(proxy.seen) == 1


def test_without_the_private_ca(request_through, kind, proxy, tls_host):
    with pytest.raises(kind, match=r"the TLS certificate is not trusted \(unable to get local issuer") as raised:
        request_through(proxy=proxy.url())

    assert "canary" not in shown(raised.value)
    assert len(proxy.seen) == 1
    assert tls_host.requests == []
