"""Metrics of several processes, added up."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from billing_service.metrics_total import Total


class Process:
    """One that counts."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.calls = Counter("calls", "Calls.", ["method"], registry=self.registry)
        self.seconds = Histogram("seconds", "How long.", registry=self.registry, buckets=[1, 2])
        self.ready = Gauge("paidup_ready", "Whether.", registry=self.registry)
        self.accounts = Gauge("paidup_cache_accounts", "How many.", registry=self.registry)
        self.unheard_of = Gauge("unheard_of", "Not in any table.", registry=self.registry)

    def tell(self) -> str:
        return generate_latest(self.registry).decode()


@pytest.fixture
def two():
    return Process(), Process()


def _told(total: Total) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.values()) or ''}": sample.value
        for family in total.collect()
        for sample in family.samples
    }


def _both(first: Process, second: Process) -> Total:
    total = Total()
    total.take({"a": first.tell(), "b": second.tell()}, living={"a", "b"})
    return total


def test_what_counts_is_added_up(two):
    for number, process in enumerate(two, start=1):
        process.calls.labels("Check").inc(number)
        process.seconds.observe(number + 0.5)

    told = _told(_both(*two))

    assert told["calls_total['Check']"] == 3
    assert told["seconds_sum"] == 4
    assert told["seconds_bucket['2.0']"] == 1
    assert told["seconds_count"] == 2


def test_what_measures_is_told_of_the_worst_or_of_all(two):
    for number, process in enumerate(two):
        process.ready.set(number)
        process.accounts.set(10)
        process.unheard_of.set(number + 5)

    told = _told(_both(*two))

    assert told["paidup_ready"] == 0
    assert told["paidup_cache_accounts"] == 20
    assert told["unheard_of"] == 6


def test_a_process_that_ended_is_still_counted_and_measures_nothing(two):
    first, second = two
    for process in two:
        process.calls.labels("Check").inc(5)
        process.accounts.set(10)
    total = _both(first, second)

    anew = Process()
    anew.calls.labels("Check").inc()
    total.take({"b": second.tell(), "c": anew.tell()}, living={"b", "c"})
    told = _told(total)

    assert told["calls_total['Check']"] == 11
    assert told["paidup_cache_accounts"] == 10


def test_one_that_does_not_answer_for_once_is_as_it_was(two):
    first, second = two
    first.calls.labels("Check").inc(5)
    total = _both(first, second)

    total.take({"b": second.tell()}, living={"a", "b"})

    silent = _told(total)
    total.take({"a": first.tell(), "b": second.tell()}, living={"a", "b"})

    assert silent["calls_total['Check']"] == 5
    assert _told(total)["calls_total['Check']"] == 5, "it was counted twice"


def test_it_is_told_in_the_same_format(two):
    two[0].calls.labels("Check").inc(2)

    text = generate_latest(_both(*two)).decode()

    assert "# TYPE calls_total counter" in text
    assert 'calls_total{method="Check"} 2.0' in text


def test_the_clock_that_is_furthest_off_is_told():
    told = Total()
    texts = {}
    for name, skew in (("a", 3), ("b", -20), ("c", 0)):
        registry = CollectorRegistry()
        Gauge("paidup_clock_skew_seconds", "How far.", registry=registry).set(skew)
        texts[name] = generate_latest(registry).decode()

    told.take(texts, living=set(texts))

    assert _told(told)["paidup_clock_skew_seconds"] == -20
