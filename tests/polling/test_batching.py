"""One request for many waits, where that is cheaper, without harm to any wait."""

from __future__ import annotations

import msgspec
import pytest

from airflow_provider_mendix.api.revisions import RepositoryBranch
from airflow_provider_mendix.polling.batching import (
    MIN_WAITS_FOR_UNKNOWN_SIZE,
    REQUEST_COST,
    UNREADABLE,
    is_list_cheaper,
)
from airflow_provider_mendix.simulator.state.packages import BuildOutcome
from airflow_provider_mendix.simulator.wire import Reply
from airflow_provider_mendix.waits.package import BuildCapacityWait, PackageWait
from airflow_provider_mendix.waits.revision import RevisionWait

from ..conftest import use_token


def succeeded(events):
    return [event["ended"] for event in events] == ["success"] * len(events)


def is_list(request):
    return request.path.endswith("/packages")


def test_a_lone_wait_uses_the_single_call_at_its_interval(crowd):
    assert succeeded(crowd.run(crowd.trigger(crowd.build())))
    assert crowd.requests("list") == 0
    assert crowd.times() == [10.0 * count for count in range(1, 10)]


def test_the_waits_of_an_app_share_one_request_for_each_interval(crowd):
    events = crowd.run(*(crowd.trigger(crowd.build()) for _ in range(20)))
    assert succeeded(events)
    assert crowd.times() == [10.0 * count for count in range(1, 10)]
    assert crowd.requests("single") == 0
    assert len({event["result"]["package_id"] for event in events}) == 20


def test_a_listed_package_has_the_same_result_as_a_single_one(crowd, platform):
    first, *_, alone = [crowd.build() for _ in range(5)] + [crowd.build("alone")]
    triggers = [crowd.trigger(package_id) for package_id in list(platform.packages)[:5]]
    results = [event["result"] for event in crowd.run(*triggers, crowd.trigger(alone, "alone"))]
    by_id = {result.pop("package_id"): result for result in results}
    assert (crowd.requests("list"), crowd.requests("single")) == (9, 9)
    assert by_id[first] | {"size": 0} == by_id[alone] | {"size": 0}
    assert by_id[first]["size"] == platform.packages[first].size


def test_many_apps_share_few_connections(crowd):
    triggers = [
        crowd.trigger(crowd.build(f"app{app}"), f"app{app}", poll_interval=30.0)
        for app in range(60)
        for _ in range(2)
    ]
    assert succeeded(crowd.run(*triggers))
    assert crowd.most_connections <= 32


def test_waits_that_begin_at_different_times_come_together(crowd, clock):
    triggers = [
        crowd.trigger(
            crowd.build(ending=BuildOutcome.STUCK_QUEUED), next_poll_at=clock.now() + phase / 2, timeout=200
        )
        for phase in range(20)
    ]
    crowd.run(*triggers)
    later = [at for at in crowd.times() if 100 < at < 190]
    assert len(later) <= 10
    assert crowd.requests("single") < 20


def test_each_wait_gets_a_response_when_it_is_due_or_earlier(crowd):
    triggers = [
        crowd.trigger(crowd.build(ending=BuildOutcome.STUCK_QUEUED), poll_interval=interval, timeout=300)
        for interval in (10.0, 10.0, 10.0, 25.0, 60.0)
    ]
    events = crowd.run(*triggers)
    assert {event["error"]["type"] for event in events} == {"WaitTimeoutError"}
    assert max(later - sooner for sooner, later in zip(crowd.times(), crowd.times()[1:], strict=False)) <= 10


def test_a_package_missing_from_the_list_is_requested_before_it_counts_as_missing(crowd, platform):
    platform.faults.add("hidden_from_list", seconds=45, on="list_packages")
    assert succeeded(crowd.run(*(crowd.trigger(crowd.build()) for _ in range(4))))
    # Hidden, each interval costs the list and one call for each; seen, only the list.
    assert crowd.requests("single") == 4 * 4
    assert crowd.requests("list") == 9


def test_a_missing_package_ends_its_own_wait_only(crowd):
    gone = "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b"
    ended, *others = crowd.run(crowd.trigger(gone), *(crowd.trigger(crowd.build()) for _ in range(4)))
    assert ended["error"]["type"] == "PackageNotFoundError"
    assert succeeded(others)
    assert crowd.requests("single") == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>Please sign in</html>", b'[{"PackageId": "p-1", "Sta', b"{}", b""],
    ids=["html", "truncated", "object", "empty"],
)
def test_an_unreadable_list_stops_no_wait(crowd, body):
    crowd.trouble = lambda request: (
        Reply(200, {"Content-Type": "application/json"}, body) if is_list(request) else None
    )
    assert succeeded(crowd.run(*(crowd.trigger(crowd.build()) for _ in range(5))))
    assert crowd.requests("single") == 5 * 9


@pytest.mark.parametrize("status", [400, 403, 404, 501])
def test_a_refused_list_stops_no_wait(crowd, status):
    crowd.trouble = lambda request: Reply(status) if is_list(request) else None
    assert succeeded(crowd.run(*(crowd.trigger(crowd.build()) for _ in range(5))))


@pytest.mark.parametrize("odd", [None, 7, "a package", {}, {"PackageId": None, "Status": "Queued"}, []], ids=repr)
def test_an_unreadable_package_affects_no_other(crowd, platform, odd):
    answer = platform.handle

    def handle(request):
        reply = answer(request)
        if not is_list(request):
            return reply
        return msgspec.structs.replace(reply, body=msgspec.json.encode([odd, *msgspec.json.decode(reply.body)]))

    platform.handle = handle
    assert succeeded(crowd.run(*(crowd.trigger(crowd.build()) for _ in range(5))))
    assert crowd.requests("single") == 0


def test_a_long_list_is_not_requested_again(crowd, platform):
    """Four waits, and a list that costs more than four requests."""
    waited_for = [crowd.build() for _ in range(4)]
    for number in range(1500):
        platform.packages.add("shop", version=f"1.0.{number}", revision="9f3ab2c1")
    assert succeeded(crowd.run(*(crowd.trigger(package_id) for package_id in waited_for)))
    # Its length is known after the first request.
    assert crowd.requests("list") == 1
    assert crowd.requests("single") == 4 * 8


def test_waits_for_capacity_and_for_packages_share_the_list(crowd):
    capacities = [crowd.trigger("", wait=BuildCapacityWait("shop", most)) for most in (1, 2)]
    packages = [crowd.trigger(crowd.build()) for _ in range(3)]
    assert succeeded(crowd.run(*capacities, *packages))
    assert (crowd.requests("list"), crowd.requests("single")) == (9, 0)


def test_waits_for_one_branch_share_its_request(crowd, platform, server, monkeypatch):
    use_token(monkeypatch, server)
    known = platform.repositories.push("shop")
    source = RepositoryBranch("shop", platform.apps["shop"].project_id, "main")
    crowd.at(35, lambda _: platform.repositories.push("shop"))
    events = crowd.run(
        *(crowd.trigger("", wait=RevisionWait("shop", "main", known, source=source)) for _ in range(7))
    )
    assert succeeded(events)
    assert crowd.times() == [10.0, 20.0, 30.0, 40.0]


def test_waits_taken_over_are_spread_over_its_interval(crowd, clock):
    triggers = [
        crowd.trigger(crowd.build(f"app{app}"), f"app{app}", next_poll_at=clock.now() - 600, poll_interval=60.0)
        for app in range(40)
    ]
    crowd.run(*triggers)
    first = crowd.times()[:40]
    assert first == sorted(first)
    assert len(set(first)) == 40
    assert max(first) <= 60
    for third in (0, 20, 40):
        assert 5 <= sum(third <= at < third + 20 for at in first) <= 25


def test_waits_of_one_app_taken_over_stay_together(crowd, clock):
    triggers = [crowd.trigger(crowd.build(), next_poll_at=clock.now() - 600) for _ in range(10)]
    assert succeeded(crowd.run(*triggers))
    assert crowd.requests() <= 10


def test_waits_of_another_app_are_in_another_batch(crowd):
    crowd.build("depot")
    events = crowd.run(
        *(crowd.trigger(crowd.build()) for _ in range(4)),
        crowd.trigger("", wait=PackageWait("depo", "0c5e2c8a-7d0c-4e0a-9c44-5d1f6f1e2a3b")),
    )
    assert [event["ended"] for event in events] == ["success"] * 4 + ["failure"]


@pytest.mark.parametrize(
    ("waits", "size", "is_saturated", "expected"),
    [
        (1, None, False, False),
        (1, 100, True, False),
        (MIN_WAITS_FOR_UNKNOWN_SIZE - 1, None, False, False),
        (MIN_WAITS_FOR_UNKNOWN_SIZE, None, False, True),
        (2, None, True, True),
        (2, REQUEST_COST - 1, False, True),
        (2, REQUEST_COST, False, False),
        (20, 19 * REQUEST_COST - 1, False, True),
        (20, 19 * REQUEST_COST, False, False),
        (20, 1e9, True, True),
        (20, UNREADABLE, True, False),
    ],
)
def test_list_or_single(waits, size, is_saturated, expected):
    assert is_list_cheaper(waits, size, is_saturated=is_saturated) is expected
