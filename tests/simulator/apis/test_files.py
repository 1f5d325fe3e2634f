"""The file host: links that expire, no credentials, parts of files; and what the files are."""

from __future__ import annotations

import pytest

from ..talking import KEY


@pytest.fixture
def package_id(talk) -> str:
    return talk.platform.packages.add("shop", version="1.0.0", revision="63")


@pytest.fixture
def link(talk, package_id) -> str:
    return talk.link(package_id)


def test_link_expires(talk, link):
    talk.clock.sleep(900)
    assert talk.file(link).status == 200
    talk.clock.sleep(1)
    assert talk.file(link).status == 403


def test_time_to_live_is_an_option(talk_with):
    talk = talk_with(ttl=60)
    package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    assert talk.json("GET", f"/api/1/apps/shop/packages/{package_id}?url=true")["Url"]["TTL"] == 60
    link = talk.link(package_id)
    talk.clock.sleep(61)
    assert talk.file(link).status == 403
    assert talk.file(talk.link(package_id)).status == 200


@pytest.mark.parametrize("name", ["mendix-username", "mendix-apikey", "authorization"])
def test_credentials_are_refused(talk, link, name):
    assert talk.file(link, headers={name: KEY}).status == 400


def test_forged_links(talk, link):
    other = talk.platform.packages.add("shop", version="1.0.1", revision="64")
    forged = [
        link + "0",
        link.partition("?")[0],
        link.replace("expires=", "expires=1"),
        link.replace("expires=", "expires=x"),
        link.replace("signature=", "signature=é"),
        talk.link(other).partition("?")[0] + "?" + link.partition("?")[2],
    ]
    assert [talk.file(url).status for url in forged] == [403] * len(forged)


def test_nothing_else_is_there(talk, link):
    assert talk.file(link, "PUT").status == 405
    assert talk.file("https://files.simulator.invalid/").status == 404
    talk.platform.packages.clear()
    assert talk.file(link).status == 404


def test_head(talk, link):
    head, get = talk.file(link, "HEAD"), talk.file(link)
    assert (head.status, head.body) == (200, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=262000-", 262000, 262143),
        ("bytes=262000-999999", 262000, 262143),
        ("bytes=-10", 262134, 262143),
        ("bytes=-999999", 0, 262143),
    ],
)
def test_part(talk, link, asked, first, last):
    whole = talk.file(link)
    reply = talk.file(link, headers={"range": asked})
    assert reply.status == 206
    assert reply.body == whole.body[first : last + 1]
    assert reply.headers["Content-Range"] == f"bytes {first}-{last}/262144"
    assert reply.headers["Content-Length"] == str(last - first + 1)
    assert reply.headers["ETag"] == whole.headers["ETag"]


def test_part_beyond_the_end(talk, link):
    for asked in ("bytes=262144-", "bytes=-0"):
        reply = talk.file(link, headers={"range": asked})
        assert (reply.status, reply.headers["Content-Range"]) == (416, "bytes */262144")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=5-4", "bytes=-", "lines=0-1", "bytes=a-b"])
def test_a_range_that_makes_no_sense_returns_the_whole(talk, link, asked):
    reply = talk.file(link, headers={"range": asked})
    assert (reply.status, len(reply.body)) == (200, 262144)


def test_if_range(talk, link):
    etag = talk.file(link).headers["ETag"]
    same = talk.file(link, headers={"range": "bytes=5-", "if-range": etag})
    changed = talk.file(link, headers={"range": "bytes=5-", "if-range": '"another"'})
    assert (same.status, changed.status) == (206, 200)


def test_ranges_can_be_off(talk_with):
    talk = talk_with(ranges=False)
    package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    reply = talk.file(talk.link(package_id), headers={"range": "bytes=0-9"})
    assert (reply.status, len(reply.body)) == (200, 262144)
    assert "Accept-Ranges" not in reply.headers


def test_deprecated_download_sends_the_file(talk, package_id):
    reply = talk.api("GET", f"/api/1/apps/shop/packages/{package_id}/download")
    assert (reply.status, reply.body) == (200, talk.platform.packages.content(package_id))


def test_deprecated_download_can_redirect(talk_with):
    talk = talk_with(download="redirect")
    package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    reply = talk.api("GET", f"/api/1/apps/shop/packages/{package_id}/download")
    assert reply.status == 302
    assert reply.headers["Location"].startswith("https://files.simulator.invalid/packages/")
    assert talk.file(reply.headers["Location"]).body == talk.platform.packages.content(package_id)
