"""What goes wrong between an event and its endpoint, drawn from one seeded generator."""

from collections import Counter
from dataclasses import dataclass
from random import Random

from stripe_emulator.faults import WebhookFaults

#: Long enough for what happens next to arrive first.
LONGEST_OVERTAKING_SECONDS = 0.5
#: A copy is sent at any time until then: at once with the first, or after it was taken.
LONGEST_REPETITION_SECONDS = 1.0
BURST_SECONDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Fate:
    """What happens to one delivery."""

    dropped: bool
    wait_seconds: float
    #: When to send it once more, if at all.
    repeated_after_seconds: float | None


class WebhookFaultDraws:
    """
    Decides what happens to a delivery.

    Each delivery draws as many numbers as any other, whatever the knobs are, so the
    n-th delivery of a seed always has the same luck.
    """

    def __init__(self, seed: int, counts: Counter[str]) -> None:
        self._random = Random(f"webhooks {seed}")  # noqa: S311 -- a repeatable draw, no secret
        self._counts = counts
        self._burst_began = 0

    def fate(self, knobs: WebhookFaults) -> Fate:
        drop, delay, reorder, repeat, delayed, overtaken, repeated = (
            self._random.random() for _ in range(7)
        )
        dropped = drop < knobs.drop_share
        wait = 0.0
        if self._happens("delayed", not dropped and delay < knobs.delay_share):
            wait += delayed * knobs.delay_seconds
        if self._happens("reordered", not dropped and reorder < knobs.reorder):
            wait += overtaken * LONGEST_OVERTAKING_SECONDS
        repeats = self._happens("duplicated", not dropped and repeat < knobs.duplicate)
        return Fate(
            dropped=dropped,
            wait_seconds=wait,
            repeated_after_seconds=repeated * LONGEST_REPETITION_SECONDS if repeats else None,
        )

    def _happens(self, name: str, happens: bool) -> bool:  # noqa: FBT001 -- passed through
        self._counts[name] += happens
        return happens

    def second(self, moment: int) -> int:
        """Date what happens to the second in which its burst began."""
        if not 0 <= moment - self._burst_began < BURST_SECONDS:
            self._burst_began = moment
        return self._burst_began
