"""How long to wait until the next look, where that is not always the same.

Early in a build there is nothing to see, so looks are far apart; towards the time at which builds of this app
are usually done they come close together.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping, Sequence

# Of the time that is usually left, and of the time that has passed when nothing is known or it takes longer than
# usual: with the latter, a result is seen late by no more than this part of what it took.
PART_OF_WHAT_IS_LEFT = 0.5
PART_OF_WHAT_HAS_PASSED = 0.125

_BUILDS_KEPT = 9
_APPS_KEPT = 2000


def next_look(
    state: str,
    seconds_in_state: float,
    phases: Sequence[str],
    usual: Mapping[str, float],
    *,
    shortest: float,
    longest: float,
) -> float:
    """Give the seconds until the next look.

    :param phases: states that follow each other.
    :param usual: seconds that each of them usually lasts, as far as that is known.
    :param shortest: seconds between two looks at least.
    :param longest: seconds between two looks at most.
    """
    wanted = seconds_in_state * PART_OF_WHAT_HAS_PASSED
    if state in usual:
        later = phases[phases.index(state) + 1 :]
        left = usual[state] - seconds_in_state
        if left > 0:
            wanted = (left + sum(usual.get(phase, 0.0) for phase in later)) * PART_OF_WHAT_IS_LEFT
        else:
            wanted = -left * PART_OF_WHAT_HAS_PASSED
    return min(max(wanted, shortest), longest)


class History:
    """What the last builds of each app took, by what was seen of them."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Hashable, deque[dict[str, float]]] = OrderedDict()

    def note(self, app: Hashable, spent: Mapping[str, float]) -> None:
        """Take down the seconds that a build has spent in each phase."""
        if not spent:
            return
        builds = self._seen.setdefault(app, deque(maxlen=_BUILDS_KEPT))
        builds.append(dict(spent))
        self._seen.move_to_end(app)
        if len(self._seen) > _APPS_KEPT:
            self._seen.popitem(last=False)

    def usual(self, app: Hashable) -> dict[str, float]:
        """Give the median seconds of each phase that has been seen."""
        import statistics

        builds = self._seen.get(app, ())
        phases = {phase for build in builds for phase in build}
        return {phase: statistics.median(build[phase] for build in builds if phase in build) for phase in phases}
