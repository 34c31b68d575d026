"""What the gateway counts."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
)

from subscription_state.apply import EVENT_TYPES
from subscription_state.build import build_facts
from subscription_state.loop_lag import LAG_BUCKETS
from webhook_gateway.refusals import Reason

#: Stripe may add types, and a label must not grow with what is sent.
OTHER = "other"


def type_label(type_: str) -> str:
    """Name an event's type where it is one of those that are taken in, else `other`."""
    return type_ if type_ in EVENT_TYPES else OTHER


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.events = Counter(
            "paidup_webhook_events_total",
            "Events answered with success, by what became of them.",
            ["type", "outcome"],
            registry=registry,
        )
        self.refused = Counter(
            "paidup_webhook_refused_total",
            "Requests refused.",
            ["reason"],
            registry=registry,
        )
        for reason in Reason:
            # There from the start: of a count that begins at 1, nobody sees that it grew.
            self.refused.labels(reason.value)
        self.secrets_reloads = Counter(
            "paidup_webhook_secrets_reloads_total",
            "Readings of the secrets' file that changed the secrets or failed.",
            ["result"],
            registry=registry,
        )
        self.key_reloads = Counter(
            "paidup_encryption_key_reloads_total",
            "Readings of the encryption keys that changed them or failed.",
            ["result"],
            registry=registry,
        )
        self.queue_depth = Gauge(
            "paidup_webhook_queue_depth",
            "Events accepted and not yet answered.",
            registry=registry,
        )
        self.queue_bytes = Gauge(
            "paidup_webhook_queue_bytes",
            "Bytes of events accepted and not yet answered.",
            registry=registry,
        )
        self.commit_batch = Histogram(
            "paidup_webhook_commit_batch_size",
            "Events that shared a commit.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200),
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "paidup_webhook_commit_seconds",
            "How long commits took, those that failed included.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.event_deliveries = Histogram(
            "paidup_webhook_event_deliveries",
            "Which delivery of its event each stored one was, by number: 1 is the first.",
            buckets=(1, 2, 3, 5, 10, 20, 50),
            registry=registry,
        )
        self.connections = Gauge(
            "paidup_webhook_connections",
            "Connections that are open.",
            registry=registry,
        )
        self.connections_cut = Counter(
            "paidup_webhook_connections_cut_total",
            "Connections closed by us, by cause.",
            ["cause"],
            registry=registry,
        )
        self.clock_skew = Gauge(
            "paidup_clock_skew_seconds",
            "Our time minus that of the last right signature; beyond 300 all are refused.",
            registry=registry,
        )
        self.loop_lag = Histogram(
            "paidup_event_loop_lag_seconds",
            "How late a timer of the process' event loop was.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        Gauge(
            "paidup_build_info",
            "1; the version that runs, and the version of Stripe's API whose events it reads.",
            ["version", "api_version"],
            registry=registry,
        ).labels(**build_facts()).set(1)
