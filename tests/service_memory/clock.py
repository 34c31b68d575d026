"""A clock that only a test moves, as both the wall's and the monotonic one."""

from datetime import datetime

from tests.builders import NOW, SECOND


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0
        #: How far the wall's was put ahead of the other.
        self.ahead = 0.0

    def now(self) -> datetime:
        return NOW + (self.seconds + self.ahead) * SECOND

    def monotonic(self) -> float:
        return self.seconds
