"""What the shared state holds, as frozen data. Times are aware and in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """A subscription's status in Stripe's words."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELED = "canceled"
    UNPAID = "unpaid"
    PAUSED = "paused"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, _value: object) -> "Status":
        # Stripe may add a status; it must entitle nobody before we know it.
        return cls.UNKNOWN


#: Stripe never leaves these.
TERMINAL = frozenset({Status.CANCELED, Status.INCOMPLETE_EXPIRED})

#: Statuses of a subscription that is being paid for or provided, or could be
#: again. An incomplete one belongs to a checkout that is still open.
LIVE = frozenset(
    {Status.TRIALING, Status.ACTIVE, Status.PAST_DUE, Status.UNPAID, Status.PAUSED, Status.UNKNOWN}
)


class FirstPayment(StrEnum):
    """Whether the money of the first invoice has arrived.

    `active` alone does not tell: Stripe makes a subscription active while a
    bank debit is on its way, and leaves it active when the debit bounces.
    """

    PENDING = "pending"
    FAILED = "failed"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One price that is part of a subscription."""

    price_id: str
    product_id: str
    quantity: int
    period_end: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """An account's agreement to pay regularly, as Stripe last reported it."""

    subscription_id: str
    customer_id: str
    status: Status
    items: tuple[Item, ...]
    create_time: datetime
    trial_end: datetime | None = None
    #: When it will end; None unless it has been canceled for later.
    cancel_time: datetime | None = None
    #: When it ended; None while it lives.
    end_time: datetime | None = None
    first_payment: FirstPayment = FirstPayment.PENDING
    #: When the oldest unpaid invoice was created; None unless past due.
    unpaid_since: datetime | None = None

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def product_ids(self) -> frozenset[str]:
        return frozenset(item.product_id for item in self.items)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSubscription:
    """A subscription and what is known about how fresh it is."""

    subscription: Subscription
    #: `created` of the newest event whose content was saved; whole seconds.
    event_time: datetime | None
    #: The last read from Stripe happened between these, in Stripe's clock.
    as_of_start: datetime | None
    as_of_end: datetime | None
    #: When it was last compared with Stripe, in our clock.
    verified_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A feature given by hand."""

    grant_id: str
    account_id: str
    feature: str
    expire_time: datetime | None
    note: str
    creator: str
    create_time: datetime
    revoke_time: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountState:
    """Everything that a decision about an account rests on."""

    account_id: str
    subscriptions: tuple[Subscription, ...] = ()
    grants: tuple[Grant, ...] = ()
    #: Stripe has deleted the customer: nothing that it paid for holds.
    customer_deleted: bool = False
