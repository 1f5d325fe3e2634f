"""How the next calls end, as a test plans it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

Word = TypeVar("Word", bound=str)

SUCCEEDS = ("", "succeeds")
"""What may be planned for every call: it succeeds."""


class InvalidOutcomeError(ValueError):
    """No call can end like this."""


class Outcomes:
    """A queue of outcomes. Each accepted call takes one; without one it succeeds.

    :param codes: the codes that a call may end with, and their HTTP statuses.
    :param words: other outcomes that may be planned.
    """

    def __init__(self, codes: Mapping[str, int], words: Iterable[str] = ()) -> None:
        self.known = (*SUCCEEDS, *words, *codes)
        self._queue: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._queue)

    def __len__(self) -> int:
        return len(self._queue)

    def append(self, outcome: str) -> None:
        """Plan one more outcome. A code with a space may be spelled with ``_``.

        :raises InvalidOutcomeError: if no such call can end like this.
        """
        for known in self.known:
            if known.replace(" ", "_") == outcome.replace(" ", "_"):
                self._queue.append(known)
                return
        raise InvalidOutcomeError(f"There is no {outcome!r}. There are: {', '.join(filter(None, self.known))}.")

    def extend(self, outcomes: Iterable[str]) -> None:
        """Plan some more outcomes."""
        for outcome in outcomes:
            self.append(outcome)

    def take(self) -> str:
        """Return the next outcome, and use it up; empty if the call succeeds."""
        outcome = self._queue.pop(0) if self._queue else ""
        return "" if outcome in SUCCEEDS else outcome
