"""The rate limit: at most so many requests a minute."""

from __future__ import annotations

from collections import deque


class RateLimiter:
    """Decides when the next request may be sent, so that no minute sees more requests than the limit.

    A sixth of the limit may be sent at once, then nothing for the rest of about ten seconds. So the requests of a
    few waits go out together, and those of many waits are spread.

    :param per_minute: the limit; 0 for none.
    """

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        windows = min(6, per_minute)
        # Requests take different times to arrive, so they may arrive closer together than they were sent.
        self._span = 1.05 * 60.0 / windows if windows else 0.0
        self._sent: deque[float] = deque(maxlen=per_minute // windows if windows else 0)

    def delay(self, now: float) -> float:
        """Return the seconds until one request may be sent."""
        if not self.per_minute or len(self._sent) < (self._sent.maxlen or 0):
            return 0.0
        return max(0.0, self._sent[0] + self._span - now)

    def record(self, now: float) -> None:
        """Count one request that is being sent."""
        self._sent.append(now)
