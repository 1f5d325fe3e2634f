"""No complete response: every failure ends in time, in one kind of error, and shows no secret."""

from __future__ import annotations

import gzip
import re
import time
import traceback
import warnings

import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client import exchange
from airflow_provider_mendix.exceptions import (
    InvalidConnectionError,
    MalformedResponseError,
    MendixConnectionError,
    MendixError,
    RateLimitedError,
)

LIST = build.list_packages("calc")
DELETE = build.delete_package("calc", "b3d14e53-2654-4534-b374-9179a69ef3cf")
START = build.start_build("calc", revision=63, version="2.5.4")
OUTCOME_UNKNOWN = "Mendix may still have processed the request"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PROXY_PASSWORD = "canary-of-the-proxy"

BREAKS = {
    "hangs up": lambda wire: wire.hang_up(),
    "resets": lambda wire: wire.reset(),
    "resets in the body": lambda wire: wire.reset(after=HEAD + b"Content-Length: 10\r\n\r\n[1"),
    "cuts the body": lambda wire: wire.cut(b"[]", announced=10),
    "cuts a chunk": lambda wire: wire.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[]"),
    "speaks another protocol": lambda wire: wire.say(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "compresses wrongly": lambda wire: wire.answer(b"not gzip at all", Content_Encoding="gzip"),
}


def shown(error: BaseException) -> str:
    """All that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(getattr(error, "to_json", str)())


@pytest.mark.parametrize("break_connection", BREAKS.values(), ids=BREAKS)
def test_a_broken_connection(send, wire, break_connection):
    break_connection(wire)

    with pytest.raises(MendixConnectionError) as raised:
        send(LIST)

    error = raised.value
    assert error.transient is True
    assert (error.status, error.code) == (None, None)
    assert str(error).startswith(f"No complete response from {wire.url}: ")
    assert str(error).endswith(" (GET /api/1/apps/calc/packages)")
    assert OUTCOME_UNKNOWN not in str(error)
    assert error.__cause__ is None  # the exceptions of the libraries show whole URLs
    assert error.__suppress_context__
    assert send.account.api_key not in shown(error)
    assert len(wire.requests) == 1


@pytest.mark.parametrize("call", [START, DELETE], ids=str)
@pytest.mark.parametrize("break_connection", BREAKS.values(), ids=BREAKS)
def test_the_outcome_of_a_change_is_unknown(send, wire, break_connection, call):
    break_connection(wire)

    with pytest.raises(MendixConnectionError, match=OUTCOME_UNKNOWN):
        send(call)

    assert len(wire.requests) == 1


INTERIM = [b"HTTP/1.1 %d Interim\r\n\r\n" % status for status in (100, 102, 103, 150, 199)]
INTERIM += [
    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n",
]
FINAL = HEAD + b"Content-Length: %d\r\n\r\n%s"


@pytest.mark.parametrize("interim", INTERIM)
@pytest.mark.parametrize(
    ("call", "body", "result"),
    [(LIST, b"[]", []), (START, b'{"PackageId": "p"}', build.StartedBuild("p")), (DELETE, b"", None)],
    ids=["list", "start", "delete"],
)
def test_an_interim_response_is_not_the_response(send, wire, interim, call, body, result):
    wire.say(interim + FINAL % (len(body), body))

    assert send(call) == result

    assert len(wire.requests) == 1


@pytest.mark.parametrize("interim", INTERIM)
def test_a_refusal_after_an_interim_response(send, wire, interim):
    wire.say(interim + b"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(RateLimitedError) as raised:
        send(START)

    assert raised.value.retry_after == 7
    assert raised.value.outcome_unknown is False


@pytest.mark.parametrize("interim", [*INTERIM, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
def test_the_outcome_after_nothing_but_an_interim_response_is_unknown(send, wire, interim):
    wire.say(interim)

    with pytest.raises(MendixError, match=OUTCOME_UNKNOWN) as raised:
        send(START)

    assert raised.value.outcome_unknown is True


def test_endless_interim_responses(send, wire):
    wire.repeat(b"HTTP/1.1 102 Processing\r\n\r\n" * 100, after=b"")

    with pytest.raises(MendixConnectionError):
        send(LIST, timeout=1)


def test_refused_port(send, closed_port):
    url = f"http://127.0.0.1:{closed_port}"

    with pytest.raises(MendixConnectionError) as raised:
        send(LIST, base_urls={Host.DEPLOY: url})

    message = str(raised.value)
    assert re.search(rf"No complete response from {url}: Connection refused", message)
    assert send.account.api_key not in shown(raised.value)


def test_https_to_a_plain_port(send, wire):
    host = f"127.0.0.1:{wire.port}"

    with pytest.raises(MendixConnectionError, match=rf"TLS failed .*plain http: write http://{host}, or use"):
        send(LIST, base_urls={Host.DEPLOY: f"https://{host}"})


@pytest.mark.parametrize("server", ["breaks off", "sends bytes", "closes"])
def test_http_to_a_port_that_speaks_tls(send, wire, tls_host, server):
    host = tls_host if server == "breaks off" else wire
    if server != "breaks off":
        wire.say(b"\x15\x03\x01\x00\x02\x02\x46" if server == "sends bytes" else b"")
    url = f"127.0.0.1:{host.port}"

    with pytest.raises(MendixConnectionError, match=f"if the port speaks TLS, write https://{url}"):
        send(LIST, base_urls={Host.DEPLOY: f"http://{url}"})


def test_a_web_server_that_explains_itself_in_html(send, wire):
    page = "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head>…</html>"
    wire.answer(page.encode(), 400, Content_Type="text/html")

    with pytest.raises(MendixError, match=": The plain HTTP request was sent to HTTPS port"):
        send(LIST)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_missing_ca_bundle(send, wire, scheme, tmp_path):
    missing = str(tmp_path / "missing.pem")

    with pytest.raises(InvalidConnectionError, match="CA bundle") as raised:
        send(LIST, base_urls={Host.DEPLOY: f"{scheme}://127.0.0.1:{wire.port}"}, verify=missing)

    assert missing in str(raised.value)
    assert wire.requests == []


def test_a_ca_bundle_that_holds_no_certificates(send, wire, tmp_path):
    (tmp_path / "rubbish.pem").write_text("rubbish")

    with pytest.raises(MendixError):
        send(
            LIST,
            base_urls={Host.DEPLOY: f"https://127.0.0.1:{wire.port}"},
            verify=str(tmp_path / "rubbish.pem"),
        )


class TestCertificates:
    """A server with a certificate that only `bundle` makes trusted."""

    @pytest.fixture
    def urls(self, tls_host) -> dict[Host, str]:
        tls_host.answer([])
        return {Host.DEPLOY: tls_host.url}

    def test_it_is_not_trusted_by_default(self, send, urls):
        with pytest.raises(MendixConnectionError, match=r"the TLS certificate is not trusted \(unable to get"):
            send(LIST, base_urls=urls)

    def test_the_connection_may_name_a_bundle(self, send, urls, bundle):
        assert send(LIST, base_urls=urls, verify=str(bundle)) == []

    @pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_the_environment_may_name_a_bundle(self, send, urls, bundle, monkeypatch, name):
        monkeypatch.setenv(name, str(bundle))

        assert send(LIST, base_urls=urls) == []

    def test_a_bundle_may_be_a_folder_of_hashed_names(self, send, urls, bundle, tmp_path):
        """An empty one trusts no certificate, and must not count as a broken setting."""
        with pytest.raises(MendixConnectionError, match="the TLS certificate is not trusted"):
            send(LIST, base_urls=urls, verify=str(tmp_path))

    def test_verification_may_be_off(self, send, urls):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # urllib3 warns, and should
            assert send(LIST, base_urls=urls, verify=False) == []


STALLS = {
    "before the response": lambda wire: wire.stall(),
    "in the headers": lambda wire: wire.stall(after=HEAD),
    "in the body": lambda wire: wire.stall(after=HEAD + b"Content-Length: 10\r\n\r\n[1"),
    "drips a body of known length": lambda wire: wire.drip(),
    "drips chunks": lambda wire: wire.drip(chunked=True),
    "drips a redirect": lambda wire: wire.drip(status=302),
    "drips a refusal": lambda wire: wire.drip(status=500),
}


@pytest.mark.parametrize("stall", STALLS.values(), ids=STALLS)
def test_a_slow_server_is_given_up(send, wire, stall):
    stall(wire)
    began = time.monotonic()

    with pytest.raises(MendixConnectionError, match="timed out") as raised:
        send(LIST, timeout=0.3)

    assert time.monotonic() - began < 5
    assert send.account.api_key not in shown(raised.value)


def test_a_slow_server_behind_tls_is_given_up(send, tls_host, bundle):
    tls_host.drip()
    began = time.monotonic()

    with pytest.raises(MendixConnectionError, match="timed out"):
        send(LIST, base_urls={Host.DEPLOY: tls_host.url}, verify=str(bundle), timeout=0.5)

    assert time.monotonic() - began < 5


def test_the_outcome_of_a_slow_start_is_unknown(send, wire):
    wire.stall()

    with pytest.raises(MendixConnectionError, match=f"timed out.*{OUTCOME_UNKNOWN}"):
        send(START, timeout=0.3)


def test_each_response_has_its_own_time(send, wire):
    """Also on the same connection: the second would be too late for the time limit of the first."""
    for _ in range(3):
        wire.trickle(b"[    ]", pause=0.1)

    assert send.all([LIST, LIST, LIST], timeout=1) == [[], [], []]


def test_the_longest_response(send, wire, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_BODY_SIZE", 1000)
    wire.answer(b"[" + b" " * 998 + b"]")

    assert send(LIST) == []


def test_the_outcome_of_a_start_with_too_long_a_response_is_unknown(send, wire, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_BODY_SIZE", 1000)
    wire.answer(b" " * 1001)

    with pytest.raises(MalformedResponseError, match=f"longer than 1000 bytes. {OUTCOME_UNKNOWN}"):
        send(START)


@pytest.mark.parametrize("status", [200, 500])
def test_a_response_that_is_too_long(send, wire, monkeypatch, status):
    monkeypatch.setattr(exchange, "MAX_BODY_SIZE", 1000)
    wire.answer(b"[" + b" " * 999 + b"]", status)

    with pytest.raises(MalformedResponseError, match=r"longer than 1000 bytes\. \(GET \S+\)$"):
        send(LIST)


def test_a_response_that_is_too_long_when_unpacked(send, wire, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_BODY_SIZE", 100_000)
    wire.answer(gzip.compress(b" " * 10_000_000), Content_Encoding="gzip")

    with pytest.raises(MalformedResponseError, match="longer than 100000 bytes"):
        send(LIST)


class TestProxy:
    def proxy(self, port: int) -> str:
        return f"http://ana:{PROXY_PASSWORD}@127.0.0.1:{port}"

    def test_the_connections_proxy_is_used(self, send, wire, file_host, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "*")
        file_host.answer([])

        send(LIST, proxy=self.proxy(file_host.port))

        assert file_host.request.target == f"{wire.url}/api/1/apps/calc/packages"
        assert file_host.request.headers["proxy-authorization"].startswith("Basic ")
        assert wire.requests == []

    def test_the_environments_proxy_is_used(self, send, wire, file_host, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", self.proxy(file_host.port))
        file_host.answer([])

        send(LIST)

        assert file_host.request.target == f"{wire.url}/api/1/apps/calc/packages"
        assert wire.requests == []

    def test_no_proxy_excepts_the_host(self, send, wire, file_host, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", self.proxy(file_host.port))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        wire.answer([])

        send(LIST)

        assert wire.request.target == "/api/1/apps/calc/packages"
        assert file_host.requests == []

    @pytest.mark.parametrize("url", ["http://localhost:1", "https://deploy.mendix.example"])
    def test_a_proxy_that_is_down(self, send, closed_port, url):
        said = rf"the proxy 127\.0\.0\.1:{closed_port} cannot be used: Connection refused"

        with pytest.raises(MendixConnectionError, match=said) as raised:
            send(LIST, proxy=self.proxy(closed_port), base_urls={Host.DEPLOY: url})

        assert PROXY_PASSWORD not in shown(raised.value)

    def test_a_proxy_of_the_environment_that_is_down(self, send, closed_port, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", self.proxy(closed_port))

        with pytest.raises(MendixConnectionError, match=rf"the proxy 127\.0\.0\.1:{closed_port} cannot be used"):
            send(LIST, base_urls={Host.DEPLOY: "https://deploy.mendix.example"})

    def test_a_proxy_whose_name_is_unknown(self, send):
        with pytest.raises(MendixConnectionError, match=r"the proxy no-such-proxy\.invalid:3128"):
            send(LIST, proxy="http://no-such-proxy.invalid:3128")

    def test_a_proxy_that_hangs_up(self, send, file_host):
        file_host.hang_up()

        with pytest.raises(MendixConnectionError, match=rf"the proxy 127\.0\.0\.1:{file_host.port}"):
            send(LIST, proxy=self.proxy(file_host.port))

    @pytest.mark.parametrize("status", [403, 407, 502])
    def test_a_proxy_that_refuses_the_tunnel(self, send, file_host, status):
        """The credentials of Mendix are for the far end of the tunnel: the proxy never sees them."""
        file_host.answer(b"", status)

        with pytest.raises(MendixConnectionError) as raised:
            send(LIST, proxy=self.proxy(file_host.port), base_urls={Host.DEPLOY: "https://deploy.mendix.example"})

        assert file_host.request.method == "CONNECT"
        assert file_host.request.target == "deploy.mendix.example:443"
        assert not [name for name in file_host.request.headers if name.startswith("mendix-")]
        assert PROXY_PASSWORD not in shown(raised.value)
        assert send.account.api_key not in shown(raised.value)

    def test_a_proxy_that_stalls(self, send, file_host):
        file_host.stall(after=b"HTTP/1.1 200 OK\r\nX-Slow: ")
        began = time.monotonic()

        with pytest.raises(MendixConnectionError, match="timed out"):
            send(
                LIST,
                timeout=0.3,
                proxy=self.proxy(file_host.port),
                base_urls={Host.DEPLOY: "https://deploy.mendix.example"},
            )

        assert time.monotonic() - began < 5

    def test_a_proxy_that_is_no_url(self, send):
        with pytest.raises(MendixError) as raised:
            send(LIST, proxy=f"gopher://ana:{PROXY_PASSWORD}@127.0.0.1:1")

        assert PROXY_PASSWORD not in shown(raised.value)


def test_cookies_are_not_kept(send, wire):
    wire.answer([], Set_Cookie="session=1; Path=/")
    wire.answer([])

    assert send.all([LIST, LIST]) == [[], []]

    assert [request.headers.get("cookie") for request in wire.requests] == [None, None]


def test_netrc_is_not_read(send, wire, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    wire.answer([])

    send(LIST)

    assert "authorization" not in wire.request.headers
    assert wire.request.headers["mendix-apikey"] == send.account.api_key
