"""The file of a package: complete or an error, and no credentials of Mendix to file hosts."""

from __future__ import annotations

import gzip
import time
import traceback

import msgspec
import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.client.exchange import USER_AGENT
from airflow_provider_mendix.client.ranges import FileHead, Part
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import (
    BuildNotSucceededError,
    DownloadError,
    InvalidRequestError,
    MendixConnectionError,
    MendixError,
    PackageNotFoundError,
    RedirectedError,
    ServiceUnavailableError,
    UnsafeLinkError,
)

PACKAGE_ID = "b3d14e53-2654-4534-b374-9179a69ef3cf"
DOWNLOAD = build.download_package("calc", PACKAGE_ID)
FILE = b"PK\x03\x04" + bytes(range(256)) * 9000  # a little more than two chunks
SIGNED = "/files/a.mda?sig=canary"


@pytest.fixture
def client(account):
    with MendixClient(account) as client:
        yield client


@pytest.fixture
def link(file_host):
    return file_host.url + SIGNED


def read(client, source) -> bytes:
    with client.download(source) as download:
        return b"".join(download)


def broken(client, source, kind=DownloadError) -> MendixError:
    """Fail to read, and check that nothing of the link can be seen in the failure."""
    with pytest.raises(kind) as raised:
        read(client, source)
    assert "canary" not in "".join(traceback.format_exception(raised.value)) + str(raised.value.to_json())
    return raised.value


def carries_credentials(request) -> bool:
    return any(name.startswith("mendix-") or name in ("authorization", "cookie") for name in request.headers)


class TestLink:
    def test_a_whole_file(self, client, file_host, link):
        file_host.answer(FILE, Content_Type="application/octet-stream")

        with client.download(link) as download:
            assert download.size == len(FILE)
            chunks = list(download)

        assert b"".join(chunks) == FILE
        assert len(chunks) > 1
        assert file_host.request.target == SIGNED
        assert file_host.request.headers["user-agent"] == USER_AGENT
        assert file_host.request.headers["accept-encoding"] == "identity"
        assert not carries_credentials(file_host.request)

    def test_a_file_of_unknown_length(self, client, file_host, link):
        file_host.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nPK.\r\n2\r\n..\r\n0\r\n\r\n")

        with client.download(link) as download:
            assert download.size is None
            assert b"".join(download) == b"PK..."

    def test_an_empty_file(self, client, file_host, link):
        file_host.answer(b"")

        assert read(client, link) == b""

    def test_bytes_are_not_unpacked(self, client, file_host, link):
        """What is archived is what is on the wire, and its length is the announced one."""
        packed = gzip.compress(b"PK...")
        file_host.answer(packed, Content_Encoding="gzip")

        assert read(client, link) == packed

    def test_a_short_file(self, client, file_host, link):
        file_host.cut(FILE[:1000], announced=len(FILE))

        assert f"after 1000 of {len(FILE)} bytes" in str(broken(client, link))

    def test_a_short_file_that_the_library_lets_pass(self, client, requests_mock):
        requests_mock.get("https://files.example/a.mda", content=b"PK", headers={"Content-Length": "1000"})

        assert "after 2 of 1000 bytes" in str(broken(client, "https://files.example/a.mda"))

    def test_a_chunk_that_is_cut(self, client, file_host, link):
        file_host.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nPK")

        assert "of unknown bytes" in str(broken(client, link))

    def test_a_line_that_breaks(self, client, file_host, link):
        file_host.reset(after=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nPK")

        assert "of 1000 bytes" in str(broken(client, link))

    def test_a_file_that_stalls(self, account, file_host, link):
        file_host.stall(after=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nPK")

        with MendixClient(msgspec.structs.replace(account, timeout=0.3)) as client:
            assert "of 1000 bytes: timed out" in str(broken(client, link))

    def test_a_file_may_take_longer_than_an_answer(self, account, file_host, link):
        file_host.trickle(b"PK......", pause=0.1)

        with MendixClient(msgspec.structs.replace(account, timeout=0.4)) as client:
            assert read(client, link) == b"PK......"

    @pytest.mark.parametrize("status", [403, 404, 410, 500, 503])
    def test_a_refusal(self, client, file_host, link, status):
        file_host.answer(f"<Error>{SIGNED}</Error>".encode(), status)

        error = broken(client, link)

        assert error.status == status
        assert error.transient is True
        assert f"127.0.0.1 answered HTTP {status}" in str(error)
        assert ("expired" in str(error)) == (status < 500)

    def test_a_refusal_tells_how_long_to_wait(self, client, file_host, link):
        file_host.answer(b"", 503, retry_after="7")

        assert broken(client, link).retry_after == 7

    @pytest.mark.parametrize("end", ["cut", "reset", "stall"])
    def test_what_came_before_a_failure_is_given(self, account, file_host, link, end):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        {"cut": file_host.say, "reset": file_host.reset, "stall": file_host.stall}[end](head + b"PK")
        received = []

        with (
            MendixClient(msgspec.structs.replace(account, timeout=0.3)) as client,
            pytest.raises(DownloadError, match="after 2 of 1000 bytes"),
            client.download(link) as download,
        ):
            received += download

        assert end == "reset" or b"".join(received) == b"PK"

    def test_what_drips_is_given_each_second(self, client, file_host, link):
        file_host.repeat(b".", after=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", pause=0.01)

        with client.download(link) as download:
            assert 1 <= len(next(iter(download))) < 1000

    @pytest.mark.parametrize("status", [204, 206])
    def test_another_success_is_none(self, client, file_host, link, status):
        file_host.answer(b"", status)

        assert broken(client, link).status == status

    def test_a_closed_port(self, client, closed_port):
        assert "cannot be reached" in str(broken(client, f"http://127.0.0.1:{closed_port}{SIGNED}"))

    def test_a_proxy_that_is_down(self, account, closed_port):
        proxy = f"http://ana:canary@127.0.0.1:{closed_port}"

        with MendixClient(msgspec.structs.replace(account, proxy=proxy)) as client:
            error = broken(client, "https://files.example/a.mda?sig=canary")

        assert f"the proxy 127.0.0.1:{closed_port} cannot be used: Connection refused" in str(error)

    def test_a_file_host_that_hangs_up(self, client, file_host, link):
        file_host.hang_up()

        assert "cannot be reached" in str(broken(client, link))

    @pytest.mark.parametrize(
        "unsafe",
        [
            "http://files.example/a.mda?sig=canary",
            "http://10.0.0.1/a.mda?sig=canary",
            "http://127.0.0.1.files.example/a.mda?sig=canary",
            "ftp://127.0.0.1/a.mda?sig=canary",
            "file:///etc/passwd?sig=canary",
            "//files.example/a.mda?sig=canary",
            "https://[files.example/a.mda?sig=canary",
            "canary",
            "",
        ],
    )
    def test_a_link_that_is_not_safe(self, client, unsafe):
        error = broken(client, unsafe, UnsafeLinkError)

        assert "not https" in str(error)
        assert error.transient is False


class TestPart:
    """The rest of a file."""

    PART = Part(1000, '"tag"')
    REST = FILE[1000:]

    def answer(self, **changes: str | None) -> dict[str, str]:
        size = len(FILE)
        headers = {"Content_Range": f"bytes 1000-{size - 1}/{size}", "ETag": '"tag"', **changes}
        return {name: value for name, value in headers.items() if value is not None}

    def read(self, client, link) -> tuple[FileHead, bytes]:
        with client.download(link, self.PART) as download:
            return download.head, b"".join(download)

    def test_it_is_asked_for_and_given(self, client, file_host, link):
        file_host.answer(self.REST, 206, **self.answer())

        head, content = self.read(client, link)

        assert content == self.REST
        assert (head.first, head.size, head.etag, head.is_part) == (1000, len(FILE), '"tag"', True)
        assert file_host.request.headers["range"] == "bytes=1000-"
        assert file_host.request.headers["if-range"] == '"tag"'

    def test_it_is_asked_for_where_a_redirect_leads(self, client, file_host, link):
        file_host.answer(b"", 302, Location="/elsewhere?sig=other")
        file_host.answer(self.REST, 206, **self.answer(ETag=None))

        assert self.read(client, link)[1] == self.REST

        assert [request.headers["range"] for request in file_host.requests] == ["bytes=1000-"] * 2

    def test_the_host_may_give_all_of_it(self, client, file_host, link):
        file_host.answer(FILE, ETag='"other"')

        head, content = self.read(client, link)

        assert content == FILE
        assert (head.first, head.size, head.etag, head.is_part) == (0, len(FILE), '"other"', False)

    def test_a_part_that_is_cut(self, client, file_host, link):
        size = len(FILE)
        head = (
            f"HTTP/1.1 206 OK\r\nContent-Length: {size - 1000}\r\nContent-Range: bytes 1000-{size - 1}/{size}\r\n"
        )
        file_host.say(head.encode() + b"\r\nPK")

        with pytest.raises(DownloadError, match=f"after 1002 of {size} bytes"):
            self.read(client, link)

    @pytest.mark.parametrize(
        "changes",
        [
            {"Content_Range": None},
            {"Content_Range": "bytes 0-99/100"},
            {"Content_Range": f"bytes 1000-1999/{len(FILE)}"},
            {"Content_Range": f"bytes 1000-{len(FILE) - 1}/*"},
            {"Content_Range": f"bytes */{len(FILE)}"},
            {"Content_Range": f"bytes 1000-{len(FILE)}/{len(FILE) + 1}"},
            {"ETag": '"other"'},
            {"ETag": 'W/"tag"'},
        ],
    )
    def test_another_part_is_refused(self, client, file_host, link, changes):
        file_host.answer(self.REST, 206, **self.answer(**changes))

        with pytest.raises(DownloadError, match="another part") as refused:
            self.read(client, link)

        assert refused.value.status == 206
        assert "canary" not in str(refused.value)

    @pytest.mark.parametrize("etag", ["", 'W/"weak"', "naked", '"', '""', '"two" "of them"'])
    def test_only_a_strong_validator_counts(self, client, file_host, link, etag):
        file_host.answer(FILE, ETag=etag)

        with client.download(link) as download:
            assert download.head.etag is None


SPELLINGS = [
    "/a.mda?sig=%7Ecanary",
    "/a.mda?sig=%7ecanary%2f%2F+%20",
    "/%61.mda?sig=a=b==&x&&y=",
    "//a//b.mda?sig=canary",
    "/a/../b/./c.mda",
    "/a.mda?",
    "/?sig=canary",
    "/a;v=1.mda?a;b=c,d:e@f!g*h(i)'j\"k|l[m]{n}^`<o>\\\\",
    "/100%.mda?a=%zz",
]


class TestSpelling:
    """The signature of a link may cover its spelling, so it is sent byte for byte."""

    @pytest.mark.parametrize("target", SPELLINGS)
    def test_a_link(self, client, file_host, target):
        file_host.answer(FILE)

        assert read(client, file_host.url + target) == FILE

        assert file_host.request.target == target

    @pytest.mark.parametrize("target", SPELLINGS)
    @pytest.mark.parametrize("source", ["link", "deprecated call"])
    def test_a_redirect(self, client, wire, file_host, new_wire, source, target):
        bucket = new_wire()
        (file_host if source == "link" else wire).answer(b"", 302, Location=bucket.url + target)
        bucket.answer(FILE)

        assert read(client, f"{file_host.url}{SIGNED}" if source == "link" else DOWNLOAD) == FILE

        assert bucket.request.target == target

    def test_through_a_proxy_without_tunnel(self, account, new_wire):
        proxy = new_wire()
        proxy.answer(FILE)

        with MendixClient(msgspec.structs.replace(account, proxy=proxy.url)) as client:
            assert read(client, "http://localhost:1/a%7eb.mda?sig=%2f") == FILE

        assert proxy.request.target == "http://localhost:1/a%7eb.mda?sig=%2f"

    def test_a_fragment_is_not_sent(self, client, file_host):
        file_host.answer(FILE)

        read(client, f"{file_host.url}/a.mda?sig=%7e#part")

        assert file_host.request.target == "/a.mda?sig=%7e"

    @pytest.mark.parametrize(
        ("raw", "sent"),
        [
            ("/größe.mda?sig=%7e", "/gr%C3%B6%C3%9Fe.mda?sig=%7e"),
            ("/日本.mda?n=a b", "/%E6%97%A5%E6%9C%AC.mda?n=a%20b"),
            ("/gr%C3%B6%C3%9Fe.mda", "/gr%C3%B6%C3%9Fe.mda"),
        ],
    )
    @pytest.mark.parametrize("is_absolute", [True, False])
    def test_raw_utf_8_is_encoded_once(self, client, file_host, link, raw, sent, is_absolute):
        location = file_host.url + raw if is_absolute else raw
        file_host.say(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
        file_host.answer(FILE)
        file_host.answer(FILE)

        assert read(client, link) == FILE
        assert read(client, file_host.url + raw) == FILE

        assert [request.target for request in file_host.requests] == [SIGNED, sent, sent]


class TestRedirect:
    def test_it_is_followed_without_credentials(self, client, file_host, link, new_wire):
        bucket = new_wire()
        file_host.answer(b"", 307, Location=f"{bucket.url}/bucket/a.mda?sig=other", Set_Cookie="a=b")
        bucket.answer(FILE)

        assert read(client, link) == FILE

        assert bucket.request.target == "/bucket/a.mda?sig=other"
        assert not carries_credentials(bucket.request)

    def test_it_may_be_relative(self, client, file_host, link):
        file_host.answer(b"", 302, Location="/elsewhere?sig=other")
        file_host.answer(FILE)

        assert read(client, link) == FILE

        assert [request.target for request in file_host.requests] == [SIGNED, "/elsewhere?sig=other"]

    @pytest.mark.parametrize("unsafe", ["http://files.example/?canary", "https://[canary"])
    def test_it_may_not_lead_anywhere(self, client, file_host, link, unsafe):
        file_host.answer(b"", 302, Location=unsafe)

        broken(client, link, UnsafeLinkError)

        assert len(file_host.requests) == 1

    def test_it_comes_to_an_end(self, client, file_host, link):
        for _ in range(20):
            file_host.answer(b"", 302, Location=link)

        with pytest.raises(RedirectedError) as raised:
            read(client, link)

        assert "canary" not in str(raised.value)
        assert len(file_host.requests) < 20


class TestDeprecatedCall:
    def test_direct(self, client, wire, account):
        wire.answer(FILE)

        assert read(client, DOWNLOAD) == FILE

        assert wire.request.target == f"/api/1/apps/calc/packages/{PACKAGE_ID}/download"
        assert wire.request.headers["mendix-apikey"] == account.api_key
        assert wire.request.headers["accept-encoding"] == "identity"

    def test_redirected(self, client, wire, file_host, link):
        wire.answer(b"", 302, Location=link)
        file_host.answer(FILE)

        assert read(client, DOWNLOAD) == FILE

        assert carries_credentials(wire.request)
        assert not carries_credentials(file_host.request)

    def test_redirected_to_a_link_that_has_expired(self, client, wire, file_host, link):
        wire.answer(b"", 302, Location=link)
        file_host.answer(b"", 403)

        with pytest.raises(MendixError) as raised:
            read(client, DOWNLOAD)

        assert type(raised.value) is DownloadError
        assert raised.value.status == 403

    def test_redirected_to_somewhere_unsafe(self, client, wire):
        wire.answer(b"", 302, Location="http://files.example/?canary")

        broken(client, DOWNLOAD, UnsafeLinkError)

    def test_redirected_to_nowhere(self, client, wire):
        wire.answer(b"", 302)

        with pytest.raises(RedirectedError):
            read(client, DOWNLOAD)

    @pytest.mark.parametrize(
        ("status", "answer", "kind"),
        [
            (400, "invalid_parameters_package", InvalidRequestError),
            (404, "package_not_found", PackageNotFoundError),
            (500, "build_not_succeeded", BuildNotSucceededError),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_documented_code(self, client, wire, sample, status, answer, kind, packed):
        body = sample(f"build/error_{answer}.json")
        if packed:
            wire.answer(gzip.compress(body), status, Content_Encoding="gzip")
        else:
            wire.answer(body, status)

        with pytest.raises(MendixError) as raised:
            read(client, DOWNLOAD)

        assert type(raised.value) is kind
        assert f"GET /api/1/apps/calc/packages/{PACKAGE_ID}/download" in str(raised.value)

    def test_outage(self, client, wire):
        wire.answer(b"", 503, retry_after="7")

        with pytest.raises(ServiceUnavailableError) as raised:
            read(client, DOWNLOAD)

        assert raised.value.retry_after == 7

    def test_a_refusal_that_is_cut(self, client, wire):
        wire.say(b"HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n{")

        with pytest.raises(MendixConnectionError, match=f"No complete response .*{PACKAGE_ID}/download"):
            read(client, DOWNLOAD)

    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_refusal_that_drips(self, wire, account, chunked):
        wire.drip(status=500, chunked=chunked)
        began = time.monotonic()

        with (
            MendixClient(msgspec.structs.replace(account, timeout=0.3)) as client,
            pytest.raises(MendixConnectionError, match="timed out"),
        ):
            read(client, DOWNLOAD)

        assert time.monotonic() - began < 5

    def test_a_refusal_that_repeats_the_key(self, client, wire, account):
        wire.answer({"errorMessage": f"Who is {account.api_key}?"}, 401)

        with pytest.raises(MendixError, match=r"Who is \*\*\*\?") as raised:
            read(client, DOWNLOAD)

        assert account.api_key not in "".join(traceback.format_exception(raised.value))

    def test_a_short_file(self, client, wire):
        wire.cut(FILE[:10], announced=len(FILE))

        broken(client, DOWNLOAD)


def test_requests_mock_can_stand_in_for_mendix(client, requests_mock, sample, account):
    """Users test their own DAGs with it."""
    url = f"{account.base_url(DOWNLOAD.endpoint.api)}/api/1/apps/calc/packages"
    requests_mock.get(url, content=sample("build/packages.json"))

    assert len(client.send(build.list_packages("calc"))) == 2


def test_a_client_may_be_closed_and_used_again(client, wire):
    wire.answer([])
    wire.answer([])

    client.send(build.list_packages("calc"))
    client.close()
    client.close()

    assert client.send(build.list_packages("calc")) == []
