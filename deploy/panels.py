"""What the dashboard shows: one row a question, one panel a fact."""

from dataclasses import dataclass

from deploy.queries import flow, of, quantile, rate, worst


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    title: str
    #: What one sees, and from when on it is bad.
    what: str
    #: PromQL by the legend of its series.
    queries: dict[str, str]
    #: Grafana's name of the unit.
    unit: str = "short"
    least: int | None = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    title: str
    #: Where `docs` tells what to do.
    page: str
    panels: tuple[Panel, ...]


HEALTH = Row(
    title="Is it well?",
    page="operations.md#health",
    panels=(
        Panel(
            title="Pods that serve",
            what="Each says 1 while the database answers, is migrated and ours.",
            queries={"{{pod}}": of("paidup_ready")},
        ),
        Panel(
            title="Given up",
            what="Anything but 0 waits for somebody.",
            queries={
                "customers": worst("paidup_parked_customers"),
                "events": worst("paidup_failed_events", 'parked="true"'),
                "events tried again": worst("paidup_failed_events", 'parked="false"'),
            },
        ),
        Panel(
            title="Found by comparing with Stripe",
            what="Drift was mended; a second live subscription is somebody who pays twice.",
            queries={
                "drift": flow("paidup_drift_total"),
                "second live subscriptions": flow("paidup_double_subscriptions_total"),
                "unknown statuses": flow("paidup_unknown_statuses_total"),
            },
        ),
    ),
)

CALLS = Row(
    title="What callers get",
    page="operations.md#metrics",
    panels=(
        Panel(
            title="Calls",
            what="Calls that ended, by method.",
            unit="reqps",
            queries={"{{grpc_method}}": flow("grpc_server_handled_total", by="grpc_method")},
        ),
        Panel(
            title="Calls that failed",
            what="By status. UNAVAILABLE: Stripe or the database is away. INTERNAL: our fault.",
            unit="reqps",
            queries={
                "{{grpc_code}}": flow(
                    "grpc_server_handled_total", 'grpc_code!="OK"', by="grpc_code"
                )
            },
        ),
        Panel(
            title="How long calls took, 99 of 100",
            what="By method. A stream's is as long as it was open.",
            unit="s",
            queries={
                "{{grpc_method}}": quantile(0.99, "grpc_server_handling_seconds", "grpc_method")
            },
        ),
    ),
)

WEBHOOKS = Row(
    title="What Stripe sends",
    page="operations.md#metrics",
    panels=(
        Panel(
            title="Events",
            what="Answered with 200, by what became of them.",
            unit="reqps",
            queries={"{{outcome}}": flow("paidup_webhook_events_total", by="outcome")},
        ),
        Panel(
            title="Refused",
            what="signature_mismatch: the endpoint's secret is not among ours.",
            unit="reqps",
            queries={"{{reason}}": flow("paidup_webhook_refused_total", by="reason")},
        ),
        Panel(
            title="How long commits took, 99 of 100",
            what="Stripe waits for it.",
            unit="s",
            queries={"commit": quantile(0.99, "paidup_webhook_commit_seconds")},
        ),
        Panel(
            title="Waiting for a commit",
            what="Events that were accepted and are not yet answered.",
            queries={"{{pod}}": of("paidup_webhook_queue_depth")},
        ),
        Panel(
            title="Deliveries of one event, 95 of 100",
            what="1 is the first. More: Stripe's deliveries fail at first.",
            queries={"deliveries": quantile(0.95, "paidup_webhook_event_deliveries")},
        ),
        Panel(
            title="Our clock minus Stripe's",
            what="Beyond 300 seconds every event is refused.",
            unit="s",
            least=None,
            queries={"{{pod}} {{endpoint}}": of("paidup_clock_skew_seconds")},
        ),
    ),
)

TRUTH = Row(
    title="Is the copy true?",
    page="operations.md#metrics",
    panels=(
        Panel(
            title="Customers that wait to be compared",
            what="Told by the pod that works them off.",
            queries={"{{urgency}}": worst("paidup_touched", by="urgency")},
        ),
        Panel(
            title="How long the oldest has waited",
            what="Grows while Stripe cannot be read.",
            unit="s",
            queries={"{{urgency}}": worst("paidup_oldest_touch_seconds", by="urgency")},
        ),
        Panel(
            title="Comparisons",
            what="By outcome.",
            unit="ops",
            queries={"{{outcome}}": flow("paidup_verifies_total", by="outcome")},
        ),
        Panel(
            title="Since the last comparison",
            what="Of the pod that compares. Bad only while customers wait.",
            unit="s",
            queries={"any pod": f"min({of('paidup_since_verify_seconds')})"},
        ),
        Panel(
            title="Sweeps",
            what="Runs by outcome.",
            unit="ops",
            queries={"{{sweep}} {{outcome}}": flow("paidup_sweep_runs_total", by="sweep, outcome")},
        ),
        Panel(
            title="Events that no webhook had brought",
            what="Grows where webhooks do not come.",
            unit="ops",
            queries={"events": flow("paidup_sweep_unseen_events_total")},
        ),
    ),
)

STRIPE = Row(
    title="Calls to Stripe",
    page="operations.md#metrics",
    panels=(
        Panel(
            title="Calls",
            what="By operation.",
            unit="reqps",
            queries={"{{operation}}": flow("paidup_stripe_calls_total", by="operation")},
        ),
        Panel(
            title="Calls that failed",
            what="By outcome.",
            unit="reqps",
            queries={
                "{{outcome}}": flow("paidup_stripe_calls_total", 'outcome!="ok"', by="outcome")
            },
        ),
        Panel(
            title="Budget left",
            what="Calls that a pod may begin right now. At 0 callers wait.",
            queries={"{{pod}}": of("paidup_stripe_budget_left")},
        ),
    ),
)

MEMORY = Row(
    title="Memory and those who watch",
    page="operations.md#metrics",
    panels=(
        Panel(
            title="Where checks were answered from",
            what="Mostly `database`: more accounts are asked about than are remembered.",
            unit="ops",
            queries={"{{from}}": flow("paidup_cache_lookups_total", by="from")},
        ),
        Panel(
            title="How far memory may be behind",
            what="Beyond PAIDUP_CACHE_BOUND_SECONDS checks read the database.",
            unit="s",
            queries={"{{pod}}": of("paidup_feed_lag_seconds")},
        ),
        Panel(
            title="Accounts in memory",
            what="At most PAIDUP_CACHE_ACCOUNTS.",
            queries={"{{pod}}": of("paidup_cache_accounts")},
        ),
        Panel(
            title="Streams",
            what="Open, by pod; at most 1,000.",
            queries={"{{pod}}": of("paidup_watch_streams")},
        ),
        Panel(
            title="Streams that ended or began anew",
            what="slow: a caller does not keep up. reset: it had missed too much.",
            unit="ops",
            queries={
                "{{cause}}": flow("paidup_watch_goodbyes_total", by="cause"),
                "reset": flow("paidup_watch_resets_total"),
            },
        ),
        Panel(
            title="Hears of changes",
            what="1 with NOTIFY; else it looks ten times a second.",
            queries={"{{pod}}": of("paidup_listening")},
        ),
    ),
)

PROCESSES = Row(
    title="Processes",
    page="kubernetes.md#sizing",
    panels=(
        Panel(
            title="Processor",
            what="One process uses one core at most.",
            unit="percentunit",
            queries={"{{pod}} {{endpoint}}": rate("process_cpu_seconds_total", 'job=~"paidup.*"')},
        ),
        Panel(
            title="Memory",
            what="Resident.",
            unit="bytes",
            queries={
                "{{pod}} {{endpoint}}": of("process_resident_memory_bytes", 'job=~"paidup.*"')
            },
        ),
        Panel(
            title="How late the event loop was, 99 of 100",
            what="Everything that a process does waits so long.",
            unit="s",
            queries={
                "{{pod}} {{endpoint}}": quantile(
                    0.99, "paidup_event_loop_lag_seconds", "pod, endpoint"
                )
            },
        ),
        Panel(
            title="Calls over their caller's limits",
            what="By limit.",
            unit="reqps",
            queries={"{{limit}}": flow("paidup_caller_refusals_total", by="limit")},
        ),
        Panel(
            title="Free on the database's disk",
            what="With SQLite alone.",
            unit="percentunit",
            queries={"{{pod}}": of("paidup_database_disk_free_ratio")},
        ),
        Panel(
            title="Workers that died",
            what="With --workers alone.",
            unit="ops",
            queries={"{{pod}}": rate("paidup_worker_restarts_total")},
        ),
    ),
)

ROWS = (HEALTH, CALLS, WEBHOOKS, TRUTH, STRIPE, MEMORY, PROCESSES)
