"""The metrics of several processes as those of one.

What counts is added up, and goes on from where a process that ended had come: a sum that
fell would look like a count that began anew. What measures is added up where it has parts,
and otherwise told as the process that is worst off tells it.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

#: By name of a gauge: what is told of several; `max` of all others.
GAUGES: dict[str, Callable[[float, float], float]] = {
    "paidup_ready": min,
    "paidup_listening": min,
    "paidup_database_disk_free_ratio": min,
    "paidup_since_verify_seconds": min,
    "paidup_access_file_loaded_timestamp_seconds": min,
    "paidup_certificate_expiry_timestamp_seconds": min,
    "paidup_stripe_budget_left": lambda a, b: a + b,
    "paidup_cache_accounts": lambda a, b: a + b,
    "paidup_watch_streams": lambda a, b: a + b,
    "paidup_clock_skew_seconds": lambda a, b: max(a, b, key=abs),
    "paidup_workers": lambda a, b: a + b,
    "process_resident_memory_bytes": lambda a, b: a + b,
    "process_virtual_memory_bytes": lambda a, b: a + b,
    "process_open_fds": lambda a, b: a + b,
    "process_max_fds": min,
    "process_start_time_seconds": min,
}
_COUNTING = frozenset({"counter", "histogram", "summary"})
#: When something was first counted; parsers take it for a gauge of its own.
_CREATED = "_created"

Labels = tuple[tuple[str, str], ...]
#: Of one family, by a sample's name and labels.
Samples = dict[tuple[str, Labels], float]


class _Family:
    """One metric, as it is told of all."""

    def __init__(self, family: Metric) -> None:
        self.name, self.documentation, self.type = family.name, family.documentation, family.type
        self.samples: Samples = {}

    def add(self, family: Metric) -> None:
        together = _together(family)
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.items()))
            known = self.samples.get(key)
            self.samples[key] = sample.value if known is None else together(known, sample.value)

    def metric(self) -> Metric:
        metric = Metric(self.name, self.documentation, self.type)
        for (name, labels), value in self.samples.items():
            metric.add_sample(name, dict(labels), value)
        return metric


def _together(family: Metric) -> Callable[[float, float], float]:
    if family.type in _COUNTING:
        return lambda a, b: a + b
    return GAUGES.get(family.name, min if family.name.endswith(_CREATED) else max)


class Total(Collector):
    """All processes' metrics, those that have ended included."""

    def __init__(self) -> None:
        #: By process; what it last told.
        self._told: dict[str, list[Metric]] = {}
        #: What was counted by processes that have ended.
        self._ended: list[Metric] = []

    def take(self, current: Mapping[str, str], *, living: Iterable[str]) -> None:
        """Take what each process tells now; who neither tells nor lives has ended."""
        for process, text in current.items():
            self._told[process] = list(text_string_to_metric_families(text))
        for process in self._told.keys() - current.keys() - set(living):
            families = [*self._ended, *self._told.pop(process)]
            self._ended = _sum(each for each in families if each.type in _COUNTING)

    def collect(self) -> Iterable[Metric]:
        told = [family for families in self._told.values() for family in families]
        return _sum([*told, *self._ended])


def _sum(families: Iterable[Metric]) -> list[Metric]:
    totals: dict[str, _Family] = {}
    for family in families:
        totals.setdefault(family.name, _Family(family)).add(family)
    return [each.metric() for each in totals.values()]
