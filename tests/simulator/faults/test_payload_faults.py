"""Each fault that changes payloads, over loopback, as both senders meet it; then it is removed."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.api import build
from airflow_provider_mendix.exceptions import (
    MalformedResponseError,
    PackageNotFoundError,
)

from ..talking import Talk

START = build.start_build("shop", revision="9f3ab2c1", version="1.4.2", description="one two three")


LIST = build.list_packages("shop")


def names(talk: Talk) -> list[tuple[str, ...]]:
    return [entry.faults for entry in talk.platform.journal]


@pytest.mark.parametrize("kind", ["truncated_json", "empty_body"])
def test_invalid_json(talk, faults, send, kind):
    faults.add(kind)
    with pytest.raises(MalformedResponseError):
        send(START)
    assert len(send(LIST)) == 1
    assert names(talk) == [(kind,), ()]


def test_float_size(faults, send, package_id):
    faults.add("float_size", times=2)
    assert [package.size for package in send(LIST)] == [0.25]
    assert send(build.get_package("shop", package_id)).size == 0.25
    assert send(build.get_package("shop", package_id)).size == 256 * 1024


def test_malformed_size(faults, send, package_id):
    faults.add("malformed_size")
    with pytest.raises(MalformedResponseError):
        send(build.get_package("shop", package_id))
    assert [package.size for package in send(LIST)] == [256 * 1024]


def test_hidden_everywhere_until_it_is_old_enough(talk, faults, send, package_id):
    faults.add("hidden_from_list", seconds=20)
    talk.clock.sleep(30)
    young = send(START).package_id
    assert [package.package_id for package in send(LIST)] == [package_id]
    with pytest.raises(PackageNotFoundError):
        send(build.get_package("shop", young))
    talk.clock.sleep(20)
    assert len(send(LIST)) == 2
    assert send(build.get_package("shop", young)).status == "Building"
    kind = ("hidden_from_list",)
    assert names(talk) == [(), kind, kind, (), ()]


@pytest.mark.parametrize("on", ["list_packages", "get_package"])
def test_hidden_in_one_place_only(talk, faults, send, on):
    faults.add("hidden_from_list", on=on)
    young = send(START).package_id
    assert len(send(LIST)) == (on == "get_package")
    if on == "list_packages":
        assert send(build.get_package("shop", young)).package_id == young
    else:
        with pytest.raises(PackageNotFoundError):
            send(build.get_package("shop", young))


def test_stuck_build(talk, faults, send):
    stuck, other = send(START).package_id, send(START).package_id
    talk.clock.sleep(20)
    fault = faults.add("stuck_build", package_id=stuck)
    talk.clock.sleep(1000)
    seen = {package.package_id: package.status for package in send(LIST)}
    assert seen == {stuck: "Building", other: "Succeeded"}
    assert send(build.get_package("shop", stuck)).status == "Building"
    assert send(build.get_package("shop", other)).status == "Succeeded"
    assert names(talk)[2:] == [("stuck_build",), ("stuck_build",), ()]
    fault.remove()
    assert send(build.get_package("shop", stuck)).status == "Succeeded"


def test_all_builds_stuck(talk, faults, send, package_id):
    with faults.add("stuck_build"):
        started = send(START).package_id
        talk.clock.sleep(1000)
        assert send(build.get_package("shop", started)).status == "Queued"
        assert send(build.get_package("shop", package_id)).status == "Succeeded"
    assert send(build.get_package("shop", started)).status == "Succeeded"


@pytest.mark.parametrize(
    ("kind", "parameters", "kept", "shown"),
    [
        ("truncated_description", {"length": 7}, "one two", "one two"),
        ("truncated_description", {"length": 0}, "", ""),
        ("dropped_description", {}, "", None),
    ],
)
def test_description(talk, faults, send, kind, parameters, kept, shown):
    faults.add(kind, **parameters)
    started = send(START).package_id
    assert send(build.get_package("shop", started)).description == kept
    assert talk.platform.journal[0].body["Description"] == "one two three"
    assert names(talk) == [(kind,), ()]

    faults.add(kind, on="list_packages", **parameters)
    started = send(START).package_id
    assert {package.package_id: package.description for package in send(LIST)}[started] == shown
    assert {package.package_id: package.description for package in send(LIST)}[started] == "one two three"
