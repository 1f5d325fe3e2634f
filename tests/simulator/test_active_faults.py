"""Which requests a fault meets, how it is added and taken away, and what is said to a wrong one."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
import requests
import requests_mock

from airflow_provider_mendix.api import build
from airflow_provider_mendix.api.call import Host
from airflow_provider_mendix.client.account import Account
from airflow_provider_mendix.client.requests_client import MendixClient
from airflow_provider_mendix.exceptions import DownloadError, MendixConnectionError
from airflow_provider_mendix.simulator import Ending, InvalidFaultError, Options, Server, install
from airflow_provider_mendix.simulator.apis import routes
from airflow_provider_mendix.simulator.faults.catalog import BadGateway, RateLimited
from airflow_provider_mendix.simulator.faults.registry import KINDS

from .talking import AUTH, KEY, PROJECT, START, USER

PACKAGES = "/api/1/apps/shop/packages"


@pytest.fixture
def faults(talk):
    return talk.platform.faults


def statuses(talk, *requests_: str) -> list[int]:
    return [talk.api(*request.split()).status for request in requests_]


def test_as_often_as_told_and_not_before(talk, faults):
    fault = faults.add("bad_gateway", times=2, after=1)
    assert statuses(talk, *["GET /api/1/apps"] * 5) == [200, 502, 502, 200, 200]
    assert fault.struck == 2
    assert list(faults) == []


def test_until_taken_away(talk, faults):
    with faults.add(BadGateway(times=None, status=503)) as fault:
        assert statuses(talk, *["GET /api/1/apps"] * 3) == [503, 503, 503]
    assert statuses(talk, "GET /api/1/apps") == [200]
    assert fault.struck == 3
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
    assert fault.struck == 1


@pytest.mark.parametrize("name", ["truncated_json", "empty_body"])
def test_broken_json_of_a_repository(talk, faults, name):
    faults.add(name, on="repository")
    info = f"/v1/repositories/{PROJECT}/info"
    broken, whole = talk.repository(info), talk.repository(info)
    assert len(broken.body) < len(whole.body)
    assert talk.platform.journal[0].faults == (name,)


def test_unknown_routes_stay_loud(talk, faults):
    fault = faults.add("bad_gateway")
    assert statuses(talk, "GET /nowhere") == [501]
    assert fault.struck == 0


def test_requests_that_it_makes_no_difference_to_do_not_count(talk, faults):
    fault = faults.add("float_size")
    talk.start()
    assert statuses(talk, "GET /api/1/apps", f"GET {PACKAGES}") == [200, 200]
    assert fault.struck == 0
    assert talk.platform.journal[-1].faults == ()
    talk.clock.sleep(60)
    talk.api("GET", PACKAGES)
    assert fault.struck == 1


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
def test_what_is_late_stays_late(talk, faults, name, parameters, status):
    package_id = talk.start()
    faults.add("latency", seconds=2, times=None)
    faults.add(name, **parameters)
    path = PACKAGES if parameters.get("on") == "list_packages" else f"{PACKAGES}/{package_id}"
    reply = talk.api("GET", path)
    assert (reply.status, reply.delay) == (status, 2)
    assert talk.platform.journal[-1].faults == ("latency", name)


def test_descriptions_of_bodies_that_are_none(talk, faults):
    faults.add("dropped_description")
    for body in (b"\xff", b"[]", b"{", b'{"Description": "\xff"}'):
        assert talk.api("POST", PACKAGES, body).status == 400
    assert talk.platform.journal[-1].faults == ()


def test_faults_of_one_answer_are_applied_in_turn(talk, faults):
    talk.start()
    faults.add("truncated_json")
    faults.add("dropped_description", on="list_packages")
    faults.add("reply_lost")
    faults.add("empty_body")
    reply = talk.api("GET", PACKAGES)
    assert reply.drop == "close"
    assert talk.platform.journal[-1].faults == ("truncated_json", "reply_lost")


def test_unknown_name_says_which_there_are(faults):
    with pytest.raises(InvalidFaultError, match="no fault 'ratelimited'") as caught:
        faults.add("ratelimited")
    assert all(name in str(caught.value) for name in KINDS)


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
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
def test_wrong_parameter_is_named(faults, name, parameters, said):
    with pytest.raises(InvalidFaultError, match=f"^{name}: .*{said}"):
        faults.add(name, **parameters)
    assert list(faults) == []


def test_fault_that_was_made_wrongly_is_found_when_it_is_added(faults):
    with pytest.raises(InvalidFaultError, match="^rate_limited: "):
        faults.add(RateLimited(retry_after=-1))


def test_over_http(talk):
    with Server(talk.platform) as server:
        url = f"{server.api_url}/_simulator/faults"
        wish = {"kind": "rate_limited", "on": "list_packages", "times": 2, "retry_after": 3}
        added = {**wish, "after": 0, "form": "seconds", "struck": 0}
        assert requests.get(url).json() == []
        assert requests.post(url, json=wish).json() == added

        answer = requests.get(f"{server.api_url}{PACKAGES}", headers=AUTH)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3")
        assert requests.get(url).json() == [{**added, "struck": 1}]
        (entry,) = requests.get(f"{server.api_url}/_simulator/journal").json()
        assert entry["faults"] == ["rate_limited"]

        assert requests.delete(url).json() == []
        assert requests.get(url).json() == []
        assert requests.get(f"{server.api_url}{PACKAGES}", headers=AUTH).status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"kind": "explodes"}', "bad_gateway"),
        (b"{}", "There is no fault ''"),
        (b'{"kind": 5}', "There is no fault '5'"),
        (b'{"kind": "latency", "seconds": "x", "fault": 1}', "latency: "),
        (b'{"kind": "stuck_build", "package_id": "nope"}', "no package nope"),
        (b"[]", "Expected"),
        (b"{", "truncated"),
    ],
)
def test_over_http_it_says_what_is_wrong(talk, body, said):
    with Server(talk.platform) as server:
        answer = requests.post(f"{server.api_url}/_simulator/faults", data=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_stuck_build_over_http(talk):
    package_id = talk.start()
    with Server(talk.platform) as server:
        url = f"{server.api_url}/_simulator"
        requests.post(f"{url}/faults", json={"kind": "stuck_build", "package_id": package_id})
        talk.clock.sleep(1000)
        assert talk.get(package_id)["Status"] == "Queued"
        assert [package["status"] for package in requests.get(f"{url}/packages").json()] == ["Queued"]
        requests.delete(f"{url}/faults")
        assert talk.get(package_id)["Status"] == "Succeeded"


@pytest.fixture
def in_process(talk):
    account = Account(username=USER, api_key=KEY, timeout=30)
    with requests_mock.Mocker() as mocker, MendixClient(account) as client:
        install(talk.platform, mocker)
        yield client


@pytest.mark.parametrize(
    ("name", "parameters", "said", "passed", "started"),
    [
        ("connection_reset", {}, "Connection reset by peer", 0, 0),
        ("reply_lost", {}, "the connection failed", 0, 1),
        ("hang", {}, "timed out", 30, 0),
        ("hang", {"seconds": 5}, "the connection failed", 5, 0),
        ("latency", {"seconds": 31}, "timed out", 30, 1),
    ],
)
def test_in_process_without_an_answer(talk, faults, in_process, name, parameters, said, passed, started):
    faults.add(name, **parameters)
    began = talk.clock.now()
    with pytest.raises(MendixConnectionError, match=said):
        in_process.send(build.start_build("shop", revision="63", version="1.0.0"))
    assert talk.clock.now() - began == passed
    assert len(in_process.send(build.list_packages("shop"))) == started


def test_in_process_latency_passes_the_platforms_clock(talk, faults, in_process):
    faults.add("latency", seconds=12)
    began = talk.clock.now()
    assert in_process.send(build.list_packages("shop")) == []
    assert talk.clock.now() - began == 12


def test_in_process_file_is_cut(talk, faults, in_process):
    link = talk.link(talk.platform.add_package("shop", version="1.0.0", revision="63"))
    faults.add("cut_file", at=1000)
    with pytest.raises(DownloadError, match="1000 of 262144"), in_process.download(link) as file:
        b"".join(file)


def test_in_process_hang_without_a_time_limit_is_bounded(talk, faults, in_process):
    faults.add("hang")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{Host.DEPLOY.value}/api/1/apps", headers=AUTH)
    assert talk.clock.now() == 1_700_000_300


def test_documentation_names_everything_there_is(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "simulator.md").read_text()
    names = [*KINDS, *Ending, *(field.name for field in msgspec.structs.fields(Options))]
    assert [name for name in names if f"\n| `{name}` |" not in page] == []
    assert [name for name in routes.names() if f"`{name}`" not in page] == []
    for name, kind in KINDS.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        own = {field.name for field in msgspec.structs.fields(kind)} - {"on", "times", "after"}
        assert [parameter for parameter in own if f"`{parameter}`" not in row] == []


def test_program_lists_the_faults_that_there_are():
    command = [sys.executable, "-m", "airflow_provider_mendix.simulator", "--fault", "explodes"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert all(name in ran.stderr for name in ("explodes", *KINDS))
