"""Which requests a fault strikes, how it is added and removed, and the messages for a wrong one."""

from __future__ import annotations

import pytest

from airflow_provider_mendix.simulator import InvalidFaultError
from airflow_provider_mendix.simulator.faults.catalog import BadGateway, RateLimited
from airflow_provider_mendix.simulator.faults.registry import KINDS

from ..talking import PROJECT, START

PACKAGES = "/api/1/apps/shop/packages"


def statuses(talk, *requests_: str) -> list[int]:
    return [talk.api(*request.split()).status for request in requests_]


def test_times_and_after(talk, faults):
    fault = faults.add("bad_gateway", times=2, after=1)
    assert statuses(talk, *["GET /api/1/apps"] * 5) == [200, 502, 502, 200, 200]
    assert fault.call_count == 2
    assert list(faults) == []


def test_until_it_is_removed(talk, faults):
    with faults.add(BadGateway(times=None, status=503)) as fault:
        assert statuses(talk, *["GET /api/1/apps"] * 3) == [503, 503, 503]
    assert statuses(talk, "GET /api/1/apps") == [200]
    assert fault.call_count == 3
    faults.add("bad_gateway")
    faults.clear()
    assert statuses(talk, "GET /api/1/apps") == [200]


@pytest.mark.parametrize(
    ("on", "met"),
    [
        ("", [502, 502, 502, 502]),
        ("api", [502, 502, 502, 502]),
        ("files", [200, 200, 200, 200]),
        ("POST", [200, 200, 200, 502]),
        ("list_packages", [200, 502, 200, 200]),
        ("GET /apps/plan", [200, 200, 502, 200]),
        ("/apps/shop", [200, 502, 200, 502]),
        ("POST list_packages", [200, 200, 200, 200]),
    ],
)
def test_which_requests(talk, faults, on, met):
    talk.platform.add_app("plan")
    faults.add("bad_gateway", on=on, times=None)
    seen = statuses(talk, "GET /api/1/apps", f"GET {PACKAGES}", "GET /api/1/apps/plan")
    assert [*seen, talk.api("POST", PACKAGES, START).status] == met


def test_each_host_alone(talk, faults):
    info = f"/v1/repositories/{PROJECT}/info"
    with faults.add("bad_gateway", on="repository", times=None):
        assert (talk.repository(info).status, talk.api("GET", "/api/1/apps").status) == (502, 200)
    with faults.add("bad_gateway", on="api", times=None):
        assert (talk.repository(info).status, talk.api("GET", "/api/1/apps").status) == (200, 502)
    with faults.add("bad_gateway", on="get_repository", times=None) as fault:
        assert (talk.repository(info).status, talk.repository("/api/1/apps").status) == (502, 501)
    assert fault.call_count == 1


@pytest.mark.parametrize("name", ["truncated_json", "empty_body"])
def test_broken_json_of_a_repository(talk, faults, name):
    faults.add(name, on="repository")
    info = f"/v1/repositories/{PROJECT}/info"
    broken, whole = talk.repository(info), talk.repository(info)
    assert len(broken.body) < len(whole.body)
    assert talk.platform.journal[0].faults == (name,)


def test_unknown_routes_are_never_struck(talk, faults):
    fault = faults.add("bad_gateway")
    assert statuses(talk, "GET /nowhere") == [501]
    assert fault.call_count == 0


def test_requests_that_it_would_not_change_do_not_count(talk, faults):
    fault = faults.add("float_size")
    talk.start()
    assert statuses(talk, "GET /api/1/apps", f"GET {PACKAGES}") == [200, 200]
    assert fault.call_count == 0
    assert talk.platform.journal[-1].faults == ()
    talk.clock.sleep(60)
    talk.api("GET", PACKAGES)
    assert fault.call_count == 1


def test_several_at_once(talk, faults):
    faults.add("bad_gateway")
    faults.add("rate_limited")
    faults.add("latency", seconds=2, times=None)
    first, second, third = (talk.api("GET", "/api/1/apps") for _ in range(3))
    assert [(reply.status, reply.delay) for reply in (first, second, third)] == [(502, 2), (429, 2), (200, 2)]
    assert [entry.faults for entry in talk.platform.journal] == [
        ("bad_gateway", "latency"),
        ("rate_limited", "latency"),
        ("latency",),
    ]


@pytest.mark.parametrize(
    ("name", "parameters", "status"),
    [
        ("hidden_from_list", {"on": "list_packages"}, 200),
        ("hidden_from_list", {"on": "get_package"}, 404),
        ("bad_gateway", {"handled": True, "times": None}, 502),
    ],
)
def test_a_late_response_stays_late(talk, faults, name, parameters, status):
    package_id = talk.start()
    faults.add("latency", seconds=2, times=None)
    faults.add(name, **parameters)
    path = PACKAGES if parameters.get("on") == "list_packages" else f"{PACKAGES}/{package_id}"
    reply = talk.api("GET", path)
    assert (reply.status, reply.delay) == (status, 2)
    assert talk.platform.journal[-1].faults == ("latency", name)


def test_descriptions_of_invalid_bodies(talk, faults):
    faults.add("dropped_description")
    for body in (b"\xff", b"[]", b"{", b'{"Description": "\xff"}'):
        assert talk.api("POST", PACKAGES, body).status == 400
    assert talk.platform.journal[-1].faults == ()


def test_faults_of_one_response_are_applied_in_turn(talk, faults):
    talk.start()
    faults.add("truncated_json")
    faults.add("dropped_description", on="list_packages")
    faults.add("reply_lost")
    faults.add("empty_body")
    reply = talk.api("GET", PACKAGES)
    assert reply.drop == "close"
    assert talk.platform.journal[-1].faults == ("truncated_json", "reply_lost")


def test_an_unknown_name_lists_the_known_ones(faults):
    with pytest.raises(InvalidFaultError, match="no fault 'ratelimited'") as caught:
        faults.add("ratelimited")
    assert all(name in str(caught.value) for name in KINDS)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("latency", {"second": 1}, "second"),
        ("latency", {"seconds": "long"}, "seconds"),
        ("latency", {"seconds": float("inf")}, "3600"),
        ("latency", {"fault": 1}, "fault"),
        ("bad_gateway", {"status": 200}, "200"),
        ("bad_gateway", {"times": 0}, ">= 1"),
        ("bad_gateway", {"on": "list_package"}, "list_packages"),
        ("stuck_build", {"on": "POST"}, r"\$.on"),
        ("stuck_build", {"package_id": "nope"}, "no package nope"),
    ],
)
def test_wrong_parameter_is_named(faults, name, parameters, message):
    with pytest.raises(InvalidFaultError, match=f"^{name}: .*{message}"):
        faults.add(name, **parameters)
    assert list(faults) == []


def test_an_invalid_fault_is_found_when_it_is_added(faults):
    with pytest.raises(InvalidFaultError, match="^rate_limited: "):
        faults.add(RateLimited(retry_after=-1))
