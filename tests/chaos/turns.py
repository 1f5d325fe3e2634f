"""Two workers at once, one step at a time: who goes on is drawn by lot, so that a seed always plays alike."""

from __future__ import annotations

import random
import threading


class Turns:
    """Lets one of several threads go on, as soon as all that live have come to a stop.

    :param names: of the threads, in the order in which they join.
    :param join_at: steps of the first until the other one joins.
    :param stall: steps of the other one until the first goes on.
    """

    def __init__(self, seed: int, names: tuple[str, str], join_at: int, stall: int) -> None:
        self._chance = random.Random(seed)
        self._living = set(names)
        self._waiting: set[str] = set()
        self._script = [names[0]] * join_at + [names[1]] * stall
        self._turn: str | None = None
        self._changed = threading.Condition()

    def wait(self, name: str) -> None:
        """Stop here until it is this thread's turn."""
        with self._changed:
            if name not in self._living:
                return
            self._waiting.add(name)
            self._draw()
            if not self._changed.wait_for(lambda: self._turn == name, timeout=30):
                raise TimeoutError(f"{name} waits in vain for its turn: {self._living}, {self._waiting}")
            self._turn = None
            self._waiting.discard(name)

    def leave(self, name: str) -> None:
        """Take a thread out that has ended."""
        with self._changed:
            self._living.discard(name)
            self._draw()

    def _draw(self) -> None:
        if self._turn is not None or not self._living or self._waiting != self._living:
            return
        while self._script and self._script[0] not in self._living:
            self._script.pop(0)
        self._turn = self._script.pop(0) if self._script else self._chance.choice(sorted(self._waiting))
        self._changed.notify_all()
