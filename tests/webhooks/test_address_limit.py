from __future__ import annotations

import pytest

from airflow_provider_mendix.webhooks.address_limit import AddressLimit, network_of


def test_an_address_gets_its_requests_back_with_time(clock):
    limit = AddressLimit(3, seconds=60)
    assert [limit.enter("10.0.0.1") for _ in range(4)] == [0, 0, 0, 20]
    assert limit.enter("10.0.0.2") == 0
    clock.sleep(15)
    assert limit.enter("10.0.0.1") == pytest.approx(5)
    clock.sleep(6)
    assert limit.enter("10.0.0.1") == 0
    clock.sleep(3600)
    assert [limit.enter("10.0.0.1") for _ in range(4)] == [0, 0, 0, 20], "not more than at first"


def test_good_requests_are_not_counted(clock):
    limit = AddressLimit(2)
    for _ in range(10):
        assert limit.enter("10.0.0.1") == 0
        limit.forgive("10.0.0.1")
    limit.forgive("10.0.0.1")
    limit.forgive("10.0.0.9")
    assert [limit.enter("10.0.0.1") for _ in range(3)] == [0, 0, 30]


def test_memory_is_bounded_and_the_busiest_stay(clock):
    limit = AddressLimit(1, addresses=100)
    assert limit.enter("attacker") == 0
    for number in range(10_000):
        limit.enter(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
        assert number % 50 or limit.enter("attacker") > 0
    assert len(limit._buckets) == 100


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one(address, network):
    assert network_of(address) == network
