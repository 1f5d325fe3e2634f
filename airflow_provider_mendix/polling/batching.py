"""When one request for a whole list of packages costs less than one request for each package."""

from __future__ import annotations

# Measured over TLS, in CPU time of the triggerer (`make bench`): a request costs 0.6 ms whatever it returns, and
# a KiB of a package list 7 µs; so a request costs as much as this many bytes.
REQUEST_COST = 64 * 1024
# With this many waits for one app, the list is requested before its size is known.
MIN_WAITS_FOR_UNKNOWN_SIZE = 4
# How early a request that is sent anyway may serve a wait, as a part of its interval. With one half, the waits of
# an app come together within a few rounds wherever they began; with less, groups of them may stay apart.
MAX_EARLINESS = 0.5
# A list grows slowly, and one that could not be read may be readable later.
SIZE_IS_VALID_FOR = 3600.0
UNREADABLE = float("inf")


def is_list_cheaper(waits: int, size: float | None, *, is_saturated: bool) -> bool:
    """Return whether to request the list of packages instead of each package.

    :param waits: how many waits the list would serve.
    :param size: bytes of the last list, if known.
    :param is_saturated: whether the rate limit allows fewer requests than the waits need; only their number counts
        then.
    """
    if waits < 2 or size == UNREADABLE:
        return False
    if is_saturated:
        return True
    if size is None:
        return waits >= MIN_WAITS_FOR_UNKNOWN_SIZE
    return REQUEST_COST + size < waits * REQUEST_COST
