"""Counts every run of a sweep, also one that found nothing or failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from billing_service import metrics

FAILED = "failed"


@dataclass(slots=True)
class Run:
    """One run; whoever makes it says what came of it."""

    outcome: str = FAILED


@contextmanager
def run_of(sweep: str, now: datetime) -> Iterator[Run]:
    """Count a run when it ends. One that is cancelled has neither succeeded nor failed."""
    run = Run()
    try:
        yield run
    except Exception:
        metrics.SWEEP_RUNS.labels(sweep, FAILED).inc()
        raise
    metrics.SWEEP_RUNS.labels(sweep, run.outcome).inc()
    metrics.LAST_SWEEP.labels(sweep).set(now.timestamp())
