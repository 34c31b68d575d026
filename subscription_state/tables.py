"""The tables, identical on SQLite and PostgreSQL.

Fit for PostgreSQL-compatible distributed databases too: keys are Stripe's or
made by us, there is no sequence, trigger or advisory lock, and the one hot row
(`head`) is documented in `docs/architecture.md`.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    literal_column,
)

from subscription_state.columns import UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

deployment = Table(
    "deployment",
    metadata,
    Column("deployment_id", Integer, primary_key=True, autoincrement=False),
    Column("livemode", Boolean, nullable=False),
    Column("stripe_account_id", String),
)

head = Table(
    "head",
    metadata,
    Column("head_id", Integer, primary_key=True, autoincrement=False),
    # Drawn when the database is created or restored: a revision of another
    # history is recognized by it.
    Column("epoch", String, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

account = Table(
    "account",
    metadata,
    Column("account_id", String, primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

customer = Table(
    "customer",
    metadata,
    Column("customer_id", String, primary_key=True),
    # Null for a customer that no account is known to own.
    Column("account_id", String, unique=True),
    Column("deleted", Boolean, nullable=False, default=False),
    # The ticket of the last save of anything of the customer, by an event or a read.
    Column("saved_ticket", BigInteger, nullable=False, default=0),
    # The ticket of the last read that was saved.
    Column("read_ticket", BigInteger, nullable=False, default=0),
    Column("verified_at", UtcTime),
)

subscription = Table(
    "subscription",
    metadata,
    Column("subscription_id", String, primary_key=True),
    Column("customer_id", String, nullable=False, index=True),
    Column("status", String, nullable=False),
    # A subscription's items change only together with it, so they live in its row:
    # a removal obeys the same fence as everything else.
    Column("items", JSON, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("trial_end", UtcTime, index=True),
    Column("cancel_time", UtcTime, index=True),
    Column("end_time", UtcTime),
    Column("first_payment", String, nullable=False),
    Column("unpaid_since", UtcTime, index=True),
    Column("event_time", UtcTime),
    Column("as_of_start", UtcTime),
    Column("as_of_end", UtcTime),
    Column("verified_at", UtcTime),
)

touched = Table(
    "touched",
    metadata,
    Column("customer_id", String, primary_key=True),
    Column("ticket", BigInteger, nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("touch_time", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_attempt", UtcTime, nullable=False),
    # The fault's name of the last try that failed.
    Column("error", String),
    # Spans of the events that touched it, as `traceparent`s with a space between.
    Column("traceparents", String),
    Index("ix_touched_due", "urgent", "next_attempt"),
)

checkout_session = Table(
    "checkout_session",
    metadata,
    Column("session_id", String, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("fingerprint", String, nullable=False),
    Column("status", String, nullable=False),
    Column("payment_status", String, nullable=False),
    Column("subscription_id", String),
    Column("expire_time", UtcTime, nullable=False),
)

checkout_request = Table(
    "checkout_request",
    metadata,
    Column("request_id", String, primary_key=True),
    Column("account_id", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    # Null until Stripe has answered.
    Column("session_id", String),
    Column("reused", Boolean, nullable=False, default=False),
    Column("create_time", UtcTime, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("customer_id", String, index=True),
    Column("create_time", UtcTime, nullable=False),
    Column("receive_time", UtcTime, nullable=False, index=True),
    Column("deliveries", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("error", String),
    Column("body", LargeBinary),
    # Our own tries to apply an event that failed; null once there is none to come.
    Column("attempts", Integer, nullable=False, default=0, server_default="0"),
    Column("next_attempt", UtcTime, index=True),
)

# A deleted customer is never verified again, and few events fail: neither is to be looked through.
_KEPT = customer.c.deleted.is_(False)
Index(
    "ix_customer_verified_at",
    customer.c.verified_at,
    customer.c.customer_id,
    sqlite_where=_KEPT,
    postgresql_where=_KEPT,
)
_FAILED = event.c.state == literal_column("'failed'")
Index(
    "ix_event_failed",
    event.c.receive_time,
    event.c.event_id,
    sqlite_where=_FAILED,
    postgresql_where=_FAILED,
)

product = Table(
    "product",
    metadata,
    Column("product_id", String, primary_key=True),
    Column("name", String, nullable=False),
    # Null where the service's setting decides.
    Column("grace_days", Integer),
)

product_feature = Table(
    "product_feature",
    metadata,
    Column("product_id", String, primary_key=True),
    Column("feature", String, primary_key=True),
)

catalog_mirror = Table(
    "catalog_mirror",
    metadata,
    Column("mirror_id", Integer, primary_key=True, autoincrement=False),
    # The ticket of the last change that was heard of, and that of the last read.
    Column("wanted_ticket", BigInteger, nullable=False),
    Column("read_ticket", BigInteger, nullable=False),
    Column("read_time", UtcTime),
)

cursor = Table(
    "cursor",
    metadata,
    # Of a sweep or a sync: how far it has come, to go on from there.
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    Column("update_time", UtcTime, nullable=False),
)

grant = Table(
    "grant",
    metadata,
    Column("grant_id", String, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("feature", String, nullable=False),
    Column("expire_time", UtcTime, index=True),
    Column("note", String, nullable=False),
    Column("creator", String, nullable=False),
    Column("create_time", UtcTime, nullable=False),
    Column("revoke_time", UtcTime),
)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("entry_id", String, primary_key=True),
    Column("create_time", UtcTime, nullable=False),
    Column("caller", String, nullable=False),
    Column("method", String, nullable=False),
    # Empty where no account is known, as of an event of nobody's.
    Column("account_id", String, nullable=False),
    Column("request_id", String, nullable=False),
    # Ids and counts of what was changed, by name.
    Column("facts", JSON, nullable=False),
    # Listed newest first: all, an account's, a caller's.
    Index("ix_audit_entry_create_time", "create_time", "entry_id"),
    Index("ix_audit_entry_account_id", "account_id", "create_time", "entry_id"),
    Index("ix_audit_entry_caller", "caller", "create_time", "entry_id"),
)

change = Table(
    "change",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("account_id", String, nullable=False),
    Column("change_time", UtcTime, nullable=False, index=True),
)

lease = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("expire_time", UtcTime, nullable=False),
)

schema_floor = Table(
    "schema_floor",
    metadata,
    # One row at most: versions of the code that do not know this migration are too old.
    Column("floor_id", Integer, primary_key=True, autoincrement=False),
    Column("version", String, nullable=False),
)
