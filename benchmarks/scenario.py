"""The scenario that the two processes of a benchmark share."""

from __future__ import annotations

import msgspec


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Many waits, and the apps whose packages they wait for.

    :param packages: packages of each app, including those that are waited for.
    :param interval: seconds between two polls of a wait.
    :param rounds: duration in intervals.
    :param rate_limit: ``[mendix] requests_per_minute``.
    :param ends: whether the builds succeed, one after the other during the first half; otherwise none succeeds.
    """

    waits: int
    apps: int
    packages: int = 20
    interval: float = 5.0
    rounds: int = 4
    rate_limit: int = 0
    ends: bool = False

    @property
    def seconds(self) -> float:
        return self.interval * self.rounds

    def app(self, number: int) -> str:
        """Return the app of a wait's package."""
        return f"app{number % self.apps}"

    def done_after(self, number: int) -> float:
        """Return the seconds from the start after which a wait's package is ``Succeeded``."""
        return self.interval + self.seconds / 2 * (number * 7919 % self.waits) / self.waits if self.ends else 1e9


def package_id(number: int) -> str:
    """Return the package of a wait."""
    return f"0c5e2c8a-7d0c-4e0a-9c44-{number:012d}"
