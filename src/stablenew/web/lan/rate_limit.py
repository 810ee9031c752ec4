"""RateLimit: so many in so many seconds, for each of those who ask."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_MOST_REMEMBERED: Final = 4096


class RateLimit:
    """Counts by a key, such as an address. Whoever asked longest ago is forgotten first."""

    def __init__(self, count: int, seconds: float, *, now: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._seconds = seconds
        self._now = now
        self._times: dict[str, deque[float]] = {}

    def take(self, key: str) -> bool:
        """Count one; whether it was within the limit."""
        if self.is_used_up(key):
            return False
        times = self._times.pop(key, None) or deque(maxlen=self._count)
        times.append(self._now())
        self._times[key] = times
        if len(self._times) > _MOST_REMEMBERED:
            del self._times[next(iter(self._times))]
        return True

    def is_used_up(self, key: str) -> bool:
        """Whether one more would be too many."""
        times = self._times.get(key)
        return times is not None and len(times) == self._count and self._now() - times[0] < self._seconds
