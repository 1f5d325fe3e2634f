"""How often one address may be refused: who cannot sign costs little, and needs little memory."""

from __future__ import annotations

import collections
import ipaddress

import msgspec

from airflow_provider_mendix.clock import current_clock


class _Bucket(msgspec.Struct):
    tokens: float
    filled_at: float


class AddressLimit:
    """Counts requests by address. A request counts from its beginning, until it turns out to be good.

    :param requests: how many of an address may be bad or under way at once.
    :param seconds: in which as many are allowed again.
    :param addresses: how many addresses are remembered; those that were seen last.
    """

    def __init__(self, requests: int, *, seconds: float = 60.0, addresses: int = 1024) -> None:
        self._requests = requests
        self._seconds = seconds
        self._addresses = addresses
        self._buckets: collections.OrderedDict[str, _Bucket] = collections.OrderedDict()

    def enter(self, address: str) -> float:
        """Count a request, and return 0; if there were too many, return the seconds to wait."""
        now = current_clock().ticks()
        name = network_of(address)
        bucket = self._buckets.pop(name, None) or _Bucket(self._requests, now)
        self._buckets[name] = bucket
        while len(self._buckets) > self._addresses:
            self._buckets.popitem(last=False)
        per_second = self._requests / self._seconds
        bucket.tokens = min(self._requests, bucket.tokens + (now - bucket.filled_at) * per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / per_second
        bucket.tokens -= 1
        return 0.0

    def forgive(self, address: str) -> None:
        """Do not count a request any longer: it was good."""
        bucket = self._buckets.get(network_of(address))
        if bucket is not None:
            bucket.tokens = min(self._requests, bucket.tokens + 1)


def network_of(address: str) -> str:
    """Return what an address counts as: of IPv6, one customer has at least a network of 64 bits."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network(f"{parsed}/64", strict=False))
