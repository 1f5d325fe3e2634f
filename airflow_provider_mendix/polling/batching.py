"""One request for many waits, or one for each: what costs less."""

from __future__ import annotations

# Measured over TLS, in CPU of the triggerer (`make bench`): a request costs 0.6 ms whatever it brings, and a KiB
# of a list of packages 7 µs; so that many bytes cost about as much as a request.
REQUEST_COST = 64 * 1024
# An app with so many waits is asked for its list before anybody knows how long that is.
TRY_LIST_FOR = 4
# How much of its interval early a wait is answered by a request that is sent anyway. With one half, the waits of
# an app come together after a few rounds wherever they have begun; with less, groups of them may stay apart.
RIDE_EARLY = 0.5
# Lists grow slowly, and one that could not be read may be whole again.
SIZE_IS_KNOWN_FOR = 3600.0
UNREADABLE = float("inf")


def is_list_cheaper(waits: int, size: float | None, *, is_scarce: bool) -> bool:
    """Decide whether to ask for a list of packages instead of each package.

    :param waits: how many would be answered.
    :param size: bytes of the last list, if it is known.
    :param is_scarce: whether there are fewer requests to spend than are wanted, so that nothing else counts.
    """
    if waits < 2 or size == UNREADABLE:
        return False
    if is_scarce:
        return True
    if size is None:
        return waits >= TRY_LIST_FOR
    return REQUEST_COST + size < waits * REQUEST_COST
