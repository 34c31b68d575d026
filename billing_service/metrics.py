"""What the service counts; served at `/metrics`."""

import time

from prometheus_client import Counter, Gauge, Histogram

from subscription_state.loop_lag import LAG_BUCKETS


class Stopwatch:
    """Tells how long ago something last happened; before the first time, since the start."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._started


STRIPE_CALLS = Counter(
    "paidup_stripe_calls", "Calls to Stripe by operation and outcome.", ["operation", "outcome"]
)
BUDGET_LEFT = Gauge(
    "paidup_stripe_budget_left", "Calls to Stripe that this process may begin right now."
)
VERIFIES = Counter("paidup_verifies", "Customers compared with Stripe, by outcome.", ["outcome"])
DRIFT = Counter("paidup_drift", "Subscriptions that differed from what Stripe said.")
LISTENING = Gauge("paidup_listening", "Whether this process hears of changes by NOTIFY.")
TOUCHED = Gauge(
    "paidup_touched", "Customers that wait to be compared with Stripe, by urgency.", ["urgency"]
)
OLDEST_TOUCH = Gauge(
    "paidup_oldest_touch_seconds", "How long the oldest of them has waited.", ["urgency"]
)
PARKED_CUSTOMERS = Gauge(
    "paidup_parked_customers", "Customers that could not be compared with Stripe, given up."
)
LAST_VERIFY = Gauge("paidup_last_verify_timestamp_seconds", "When a verify last succeeded.")
SINCE_VERIFY = Gauge(
    "paidup_since_verify_seconds",
    "How long ago a verify by this process last succeeded; before the first, its start.",
)
DOUBLE_SUBSCRIPTIONS = Counter(
    "paidup_double_subscriptions", "Second live subscriptions to a product that were found."
)
FAILED_EVENTS = Gauge(
    "paidup_failed_events", "Events that could not be applied, by whether we gave up.", ["parked"]
)
UNREADABLE_BODIES = Counter(
    "paidup_unreadable_bodies", "Bodies that were wanted and could not be opened.", ["error"]
)
KEY_RELOADS = Counter(
    "paidup_encryption_key_reloads",
    "Readings of the encryption keys that changed them or failed.",
    ["result"],
)
RETENTION_DROPPED = Counter(
    "paidup_retention_dropped", "What was not kept any longer, by what it was.", ["what"]
)
LAST_RETENTION = Gauge(
    "paidup_last_retention_timestamp_seconds", "When what is old was last dropped."
)
UNKNOWN_STATUSES = Counter(
    "paidup_unknown_statuses", "Subscriptions read with a status that is not known here."
)
SWEEP_RUNS = Counter(
    "paidup_sweep_runs", "Runs of the sweeps that ended, by outcome.", ["sweep", "outcome"]
)
# There from the start: of a count that begins at 1, nobody sees that it grew.
SWEEP_RUNS.labels("oldest", "drift")
SWEEP_UNSEEN = Counter(
    "paidup_sweep_unseen_events", "Events that Stripe listed and no webhook had brought."
)
LAST_SWEEP = Gauge(
    "paidup_last_sweep_timestamp_seconds", "When the last run that succeeded began.", ["sweep"]
)
REMEMBERED = Gauge("paidup_cache_accounts", "Accounts whose state is in memory.")
LOOKUPS = Counter(
    "paidup_cache_lookups", "Checks, batches and lists, by where they were answered from.", ["from"]
)
FEED_LAG = Gauge(
    "paidup_feed_lag_seconds",
    "Since when the memory may lack a change; checks read it no more when that is too long.",
)
WATCHERS = Gauge("paidup_watch_streams", "Streams of WatchEntitlements that are open.")
WATCH_RESETS = Counter(
    "paidup_watch_resets", "Streams that were told that changes were missed, by cause.", ["cause"]
)
WATCH_GOODBYES = Counter(
    "paidup_watch_goodbyes", "Streams that the server ended, by cause.", ["cause"]
)
WATCH_MESSAGES = Counter("paidup_watch_messages", "Messages sent on streams of WatchEntitlements.")
#: Names and labels as every dashboard for gRPC knows them.
_CALL = ["grpc_type", "grpc_service", "grpc_method"]
STARTED = Counter("grpc_server_started", "Calls started.", _CALL)
HANDLED = Counter("grpc_server_handled", "Calls ended, by status.", [*_CALL, "grpc_code"])
HANDLING_SECONDS = Histogram("grpc_server_handling_seconds", "How long calls took.", _CALL)
CLOCK_SKEW = Gauge(
    "paidup_clock_skew_seconds",
    "Our time minus that of Stripe's last answer; both are known to about a second.",
)
LOOP_LAG = Histogram(
    "paidup_event_loop_lag_seconds",
    "How late a timer of the process' event loop was.",
    buckets=LAG_BUCKETS,
)
DISK_FREE = Gauge(
    "paidup_database_disk_free_ratio",
    "What is free of the SQLite database's disk, from 0 to 1; NaN on PostgreSQL.",
)
CALLER_REFUSALS = Counter(
    "paidup_caller_refusals", "Calls refused because their caller is over a limit.", ["limit"]
)
BUILD = Gauge(
    "paidup_build_info",
    "1; the version that runs, and the version of Stripe's API that it speaks.",
    ["version", "api_version"],
)
VERIFIED = Stopwatch()
SINCE_VERIFY.set_function(VERIFIED.seconds)
READY = Gauge("paidup_ready", "Whether the service says that it serves.")
WORKERS = Gauge("paidup_workers", "Processes that serve.")
WORKER_RESTARTS = Counter("paidup_worker_restarts", "Workers that ended and were started again.")
AUTHENTICATIONS = Counter(
    "paidup_authentications",
    "Calls by how the caller proved who it is, and what came of that.",
    ["kind", "outcome"],
)
DENIALS = Counter(
    "paidup_denials",
    "Calls that their callers may not make, by how those proved who they are and what it was.",
    ["kind", "what"],
)
REVOKED_STREAMS = Counter(
    "paidup_revoked_streams", "Open streams that were ended because their caller may no longer."
)
ACCESS_FILE_LOADS = Counter(
    "paidup_access_file_loads",
    "Files that say who may call: loaded, changed, failed.",
    ["file", "outcome"],
)
ACCESS_FILE_LOADED = Gauge(
    "paidup_access_file_loaded_timestamp_seconds",
    "When what is in force of them was read.",
    ["file"],
)
ACCESS_FILE_BROKEN = Gauge(
    "paidup_access_file_broken",
    "Whether a file cannot be used as it is now, so that what it said before stays in force.",
    ["file"],
)
CERTIFICATE_EXPIRY = Gauge(
    "paidup_certificate_expiry_timestamp_seconds", "When the server's certificate expires."
)
