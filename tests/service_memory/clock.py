"""A clock that only a test moves, as both the wall's and the monotonic one."""

from datetime import datetime

from tests.builders import NOW, SECOND


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOW + self.seconds * SECOND

    def monotonic(self) -> float:
        return self.seconds
