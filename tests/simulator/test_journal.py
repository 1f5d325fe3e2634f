"""The journal has every request, and no secret."""

from __future__ import annotations

import msgspec

from .talking import AUTH, KEY, PROJECT, START, TOKEN


def test_what_is_written_down(talk):
    package_id = talk.start()
    talk.clock.sleep(3)
    talk.api("GET", "/api/1/apps", headers={"user-agent": "x"})
    talk.api("POST", "/api/1/apps/shop/packages", b"no json")

    start, listing, broken = talk.platform.journal
    assert (start.at, start.host, start.method, start.path, start.status, start.body) == (
        1_700_000_000.0,
        "api",
        "POST",
        "/api/1/apps/shop/packages",
        200,
        START,
    )
    assert start.headers == ("mendix-apikey", "mendix-username")
    assert (listing.at, listing.status, listing.headers, listing.body) == (
        1_700_000_003.0,
        401,
        ("user-agent",),
        None,
    )
    assert (broken.status, broken.body) == (400, None)
    assert package_id in talk.platform.packages


def test_unknown_routes_are_in_it_too(talk):
    talk.api("GET", "/nowhere")
    assert [entry.status for entry in talk.platform.journal] == [501]


def test_picking(talk):
    package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    talk.file(talk.link(package_id))
    talk.start()
    pick = talk.platform.journal.requests
    assert len(pick()) == 3
    assert [entry.path for entry in pick("POST")] == ["/api/1/apps/shop/packages"]
    assert [entry.method for entry in pick(path_contains="/packages/")] == ["GET", "GET"]
    assert [entry.status for entry in pick("GET", host="files")] == [200]


def test_each_host_has_its_name(talk):
    talk.api("GET", "/api/1/apps")
    talk.repository(f"/v1/repositories/{PROJECT}/info")
    asked = talk.platform.journal[-1]
    assert [entry.host for entry in talk.platform.journal] == ["api", "repository"]
    assert (asked.path, asked.status, asked.headers) == (
        f"/v1/repositories/{PROJECT}/info",
        200,
        ("authorization",),
    )


def test_it_holds_no_secret(talk):
    package_id = talk.platform.packages.add("shop", version="1.0.0", revision="63")
    link = talk.link(package_id)
    talk.file(link)
    talk.repository(f"/v1/repositories/{PROJECT}/info")
    talk.file(link, headers=AUTH)
    written = msgspec.json.encode(talk.platform.journal).decode() + repr(talk.platform.journal)
    assert KEY not in written
    assert TOKEN not in written
    assert link.partition("signature=")[2] not in written
    assert talk.platform.journal[-1].query["signature"] == "***"
    assert talk.platform.journal[-1].headers == ("mendix-apikey", "mendix-username")
