"""A line that breaks and a link that expires cost no more than what had not arrived yet."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_mendix.exceptions import DamagedFileError, DownloadError, FileChangedError
from airflow_provider_mendix.simulator.options import Options
from airflow_provider_mendix.simulator.state.package_file import mda
from airflow_provider_mendix.simulator.wire import Reply

from ..conftest import KEY, USER
from .conftest import SIZE, transfer
from .hosts import both, cut, says, whole, with_body, with_headers

OTHER = mda("another-package", SIZE)
CUTS = [0, 1, SIZE // 2, SIZE - 1]
MINUTES = 60


def rest_from(first: int) -> str:
    return f"bytes={first}-"


@pytest.mark.parametrize("at", CUTS)
def test_a_cut_file_goes_on_where_it_was_cut(at, package_id, place, platform, host, context):
    host.then(cut(at))
    transfer(package_id, place).execute(context)
    assert place.is_archived(platform, package_id)
    assert host.ranges == [None, rest_from(at) if at else None]
    assert host.links == 1


def test_several_cuts_in_a_row(package_id, place, platform, host, context):
    host.then(cut(0), cut(1), cut(1), cut(0), cut(SIZE // 2))
    transfer(package_id, place).execute(context)
    assert place.is_archived(platform, package_id)
    assert host.ranges == [None, None, rest_from(1), rest_from(2), rest_from(2), rest_from(2 + SIZE // 2)]


@pytest.mark.parametrize("at", CUTS)
def test_a_host_that_gives_no_parts_is_read_again(at, package_id, place, platform, host, context):
    platform.cloud.options = Options(ranges=False)
    host.then(cut(at))
    transfer(package_id, place).execute(context)
    assert place.is_archived(platform, package_id)
    assert len(host.requests) == 2


def test_reading_again_may_be_cut_too(package_id, place, platform, host, context):
    platform.cloud.options = Options(ranges=False)
    host.then(cut(SIZE // 2), cut(SIZE // 4), cut(0), cut(SIZE - 1))
    transfer(package_id, place).execute(context)
    assert place.is_archived(platform, package_id)


@pytest.mark.parametrize("etag", [None, 'W/"weak"', "naked", '""'])
def test_without_a_strong_validator_no_part_is_asked_for(etag, package_id, local, platform, host, context):
    host.then(both(with_headers(ETag=etag), cut(1000)))
    transfer(package_id, local()).execute(context)
    assert local().is_archived(platform, package_id)
    assert host.ranges == [None, None]


@pytest.mark.parametrize(
    "wrong",
    [
        with_headers(Content_Range=f"bytes 999-{SIZE - 1}/{SIZE}"),
        with_headers(Content_Range=f"bytes 1000-{SIZE - 2}/{SIZE}"),
        with_headers(Content_Range=f"bytes 1000-{SIZE - 1}/{SIZE + 1}"),
        with_headers(Content_Range=f"bytes 1000-{SIZE - 1}/*"),
        with_headers(Content_Range=None),
        with_headers(Content_Length=str(SIZE)),
        with_headers(ETag='"another"'),
        says(416, Content_Range=f"bytes */{SIZE}"),
    ],
)
def test_a_part_that_is_not_the_right_one_is_not_used(wrong, package_id, local, platform, host, context):
    host.then(cut(1000), wrong)
    transfer(package_id, local()).execute(context)
    assert local().is_archived(platform, package_id)
    assert host.ranges == [None, rest_from(1000), None]


@pytest.mark.parametrize("verify", ["structure", "deep"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changes_on_the_way_is_started_over(
    ranges, verify, package_id, place, platform, host, context
):
    """What is stored is one file, never the beginning of one and the end of another."""
    platform.cloud.options = Options(ranges=ranges)
    host.then(cut(SIZE // 2))
    host.always(lambda reply: Reply(200, {"Content-Length": str(SIZE), "ETag": '"new"'}, OTHER))
    result = transfer(package_id, place, verify=verify).execute(context)
    assert place.content() == OTHER
    assert place.manifest()["sha256"] == result["sha256"]
    assert len(place.objects()) == 2


@pytest.mark.parametrize("grow", [b"", b"PK and more"])
def test_a_file_that_keeps_changing_is_given_up(grow, package_id, place, platform, host, context):
    def new(letter: bytes):
        content = letter * (SIZE // 2) + grow
        return lambda reply: Reply(200, {"Content-Length": str(len(content))}, content)

    host.then(*(both(new(bytes([65 + n])), cut(1000)) if n % 2 == 0 else new(bytes([65 + n])) for n in range(6)))
    with pytest.raises(FileChangedError, match="no longer the one"):
        transfer(package_id, place).execute(context)
    assert len(host.requests) == 6
    assert place.is_empty()


def test_a_file_that_has_become_longer_has_changed(package_id, local, platform, host, context):
    host.then(cut(1000), with_body(lambda body: body + b"more"))
    host.always(whole)
    platform.cloud.options = Options(ranges=False)
    transfer(package_id, local()).execute(context)
    assert local().is_archived(platform, package_id)
    assert len(host.requests) == 3


class OldHost:
    """A file host that speaks HTTP/1.0 and announces no length: the end of a file is that of the connection.

    :ivar cuts: after how many bytes its next answers end.
    """

    def __init__(self, content: bytes) -> None:
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.gives_parts = True
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                host.ranges.append(asked)
                first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and host.gives_parts else 0
                self.send_response(206 if first else 200)
                self.send_header("ETag", '"1"')
                if first:
                    self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
                self.end_headers()
                self.wfile.write(content[first:][: host.cuts.pop(0) if host.cuts else None])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def old_host(package_id, platform):
    host = OldHost(platform.packages.content(package_id))
    platform.cloud.files_url = host.url
    threading.Thread(target=host.server.serve_forever, args=(0.05,), daemon=True).start()
    yield host
    host.server.shutdown()
    host.server.server_close()


class TestWithoutLength:
    """HTTP/1.0, or TLS that ends without saying so: a line that breaks looks like the end of the file."""

    @pytest.mark.parametrize("at", [1, SIZE // 2, SIZE - 1])
    def test_an_early_end_is_a_broken_line(self, at, package_id, local, platform, old_host, context):
        old_host.cuts = [at]
        transfer(package_id, local()).execute(context)
        assert local().is_archived(platform, package_id)
        assert old_host.ranges == [None, rest_from(at)]

    @pytest.mark.parametrize("gives_parts", [True, False])
    def test_several_in_a_row(self, gives_parts, package_id, local, platform, old_host, context):
        old_host.gives_parts = gives_parts
        old_host.cuts = [SIZE // 4, SIZE // 2, 10, SIZE // 3]
        transfer(package_id, local()).execute(context)
        assert local().is_archived(platform, package_id)

    def test_a_whole_file_is_taken(self, package_id, local, platform, old_host, context):
        transfer(package_id, local()).execute(context)
        assert local().is_archived(platform, package_id)
        assert local().manifest()["verification"]["size_of_host"] is False
        assert old_host.ranges == [None]

    def test_where_mendix_gives_no_size_the_end_is_the_end(self, package_id, local, platform, old_host, context):
        platform.faults.add("float_size", times=None)
        old_host.cuts = [SIZE // 2]
        with pytest.raises(DamagedFileError, match="no whole zip"):
            transfer(package_id, local()).execute(context)
        assert len(old_host.ranges) == 1


@pytest.mark.parametrize(
    "odd", [says(416, Content_Range=f"bytes */{SIZE}"), with_headers(Content_Range=None), with_headers(ETag='"x"')]
)
def test_one_odd_part_does_not_end_all_parts(odd, package_id, local, platform, host, context):
    host.then(cut(1000), odd, cut(SIZE // 2), cut(0))
    transfer(package_id, local()).execute(context)
    assert local().is_archived(platform, package_id)
    rest = rest_from(SIZE // 2)
    assert host.ranges == [None, rest_from(1000), None, rest, rest]


@pytest.mark.parametrize(
    ("status", "is_told"), [(403, True), (404, True), (204, False), (500, False), (503, False)]
)
def test_only_a_refused_link_may_have_expired(status, is_told, package_id, local, host, context):
    host.always(says(status))
    with pytest.raises(DownloadError, match=f"HTTP {status}") as raised:
        transfer(package_id, local(), outage_tolerance=0).execute(context)
    assert ("may have expired" in str(raised.value)) is is_told


class TestLink:
    def test_a_link_that_is_refused_in_the_middle_is_renewed(self, package_id, place, platform, host, context):
        host.then(cut(SIZE // 2))
        platform.faults.add("expired_link", after=1)
        transfer(package_id, place).execute(context)
        assert place.is_archived(platform, package_id)
        assert host.ranges == [None, rest_from(SIZE // 2), rest_from(SIZE // 2)]
        assert host.links == 2

    def test_a_link_whose_time_is_over_is_not_tried(self, package_id, place, platform, host, clock, context):
        def slow_and_cut(reply: Reply) -> Reply:
            clock.sleep(platform.cloud.options.ttl + 1)
            return cut(SIZE // 2)(reply)

        host.then(slow_and_cut)
        transfer(package_id, place).execute(context)
        assert place.is_archived(platform, package_id)
        assert host.statuses == [200, 206]
        assert host.links == 2

    def test_links_that_are_always_refused_are_given_up_soon(self, package_id, local, host, clock, context):
        host.always(says(403))
        began = clock.now()
        with pytest.raises(DownloadError, match="HTTP 403") as refused:
            transfer(package_id, local()).execute(context)
        assert "signature" not in str(refused.value)
        assert host.links == 3
        assert clock.now() - began < 10

    def test_mendix_may_be_down_when_a_new_link_is_needed(self, package_id, local, platform, host, context):
        platform.faults.add("expired_link", times=1)
        platform.faults.add("bad_gateway", on="get_package", after=2, times=6)
        transfer(package_id, local()).execute(context)
        assert local().is_archived(platform, package_id)

    def test_a_key_that_is_revoked_meanwhile_fails_the_task(self, package_id, local, platform, host, context):
        def revoke(reply: Reply) -> Reply:
            platform.permissions.set_api_key(USER, "another-" + KEY)
            return Reply(403)

        host.then(revoke)
        with pytest.raises(AirflowFailException, match="UnauthorizedError"):
            transfer(package_id, local()).execute(context)
        assert local().is_empty()


class TestOutage:
    def test_a_host_that_comes_back_in_time(self, package_id, place, platform, host, clock, context):
        back_at = clock.now() + 14 * MINUTES

        def down(reply: Reply) -> Reply:
            return Reply(503) if clock.now() < back_at else reply

        host.then(cut(SIZE // 2))
        host.always(down)
        transfer(package_id, place).execute(context)
        assert place.is_archived(platform, package_id)

    def test_a_host_that_stays_away(self, package_id, local, host, clock, context):
        host.then(cut(SIZE // 2))
        host.always(says(503))
        began = clock.now()
        with pytest.raises(DownloadError, match="HTTP 503"):
            transfer(package_id, local()).execute(context)
        assert 13 * MINUTES < clock.now() - began <= 15 * MINUTES
        assert len(host.requests) < 30
        assert local().is_empty()

    def test_the_tolerance_is_the_users(self, package_id, local, host, clock, context):
        host.always(says(503))
        began = clock.now()
        with pytest.raises(DownloadError):
            transfer(package_id, local(), outage_tolerance=0).execute(context)
        assert len(host.requests) == 1
        assert clock.now() == began

    def test_a_host_that_asks_for_patience_gets_it(self, package_id, local, platform, host, clock, context):
        platform.faults.add("rate_limited", on="files", retry_after=120)
        began = clock.now()
        transfer(package_id, local()).execute(context)
        assert clock.now() - began == 120

    def test_a_few_bytes_now_and_then_are_no_progress(self, package_id, local, host, clock, context):
        host.always(cut(10))
        began = clock.now()
        with pytest.raises(DownloadError):
            transfer(package_id, local()).execute(context)
        assert clock.now() - began <= 15 * MINUTES

    def test_progress_renews_the_patience(self, platform, server, local, host, clock, context):
        platform.packages.default_size = 6 * SIZE
        package_id = platform.packages.add("shop", version="2.5.4", revision="9f3ab2c1")
        began = clock.now()

        def long_ago(reply: Reply) -> Reply:
            clock.sleep(10 * MINUTES)
            return cut(SIZE)(reply)

        host.then(*[long_ago] * 5)
        transfer(package_id, local()).execute(context)
        assert local().is_archived(platform, package_id)
        assert clock.now() - began >= 50 * MINUTES
