"""The apps."""

from __future__ import annotations


def test_apps(talk):
    talk.platform.add_app("plan", name="Planning")
    shop = {
        "AppId": "shop",
        "Name": "Shop",
        "ProjectId": "7c1e0d5e-7d1f-4f4c-9f36-0a4c1d2e3f40",
        "Url": "https://shop.mendixcloud.com",
    }
    assert talk.json("GET", "/api/1/apps/shop") == shop
    listed = talk.json("GET", "/api/1/apps")
    assert listed[0] == shop
    assert (listed[1]["AppId"], listed[1]["Name"]) == ("plan", "Planning")
