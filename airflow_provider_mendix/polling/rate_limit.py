"""At most so many requests a minute."""

from __future__ import annotations

from collections import deque


class RateLimiter:
    """Says when the next request may go, so that no minute ever sees more than the limit.

    A sixth of the limit may go at once, then nothing for the rest of about ten seconds: a small crowd is answered
    together, and a large one is spread.

    :param per_minute: the limit; 0 for none.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        windows = min(6, per_minute)
        # Some requests are longer on their way than others, and may arrive closer together than they were sent.
        self._span = 1.05 * 60.0 / windows if windows else 0.0
        self._sent: deque[float] = deque(maxlen=per_minute // windows if windows else 0)

    def wait(self, now: float) -> float:
        """Seconds until one request may go."""
        if not self.per_minute or len(self._sent) < (self._sent.maxlen or 0):
            return 0.0
        return max(0.0, self._sent[0] + self._span - now)

    def take(self, now: float) -> None:
        """Count one request that goes."""
        self._sent.append(now)
