"""Warnings about what may happen a thousand times a second."""

import logging
import time
from collections import Counter
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: How long an alarm stays silent after it was raised, in seconds.
SILENCE = 10.0


class Alarms:
    """Logs each alarm at most once in ten seconds, with how often it was kept silent."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until: dict[str, float] = {}
        self._suppressed: Counter[str] = Counter()

    def warn(self, alarm: str, **facts: object) -> None:
        now = self._clock()
        if now < self._silent_until.get(alarm, now):
            self._suppressed[alarm] += 1
            return
        self._silent_until[alarm] = now + SILENCE
        logger.warning(alarm, extra={**facts, "suppressed": self._suppressed.pop(alarm, 0)})
