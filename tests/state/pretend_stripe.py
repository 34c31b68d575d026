"""A Stripe in memory: subscriptions that change, events that tell of it, reads that answer late.

Every version of a subscription has its number as its item's quantity, so that a test
sees which version is stored. Changes that Stripe never makes twice within one second
are made a second apart: what replaced what is then told by `previous_attributes`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from subscription_state.from_stripe import subscription_from_stripe
from subscription_state.model import Subscription
from tests.builders import (
    NOW,
    SECOND,
    Json,
    a_stripe_customer,
    a_stripe_event,
    a_stripe_invoice,
    a_stripe_item,
    a_stripe_subscription,
    seconds,
)

OVER = ("canceled", "incomplete_expired")


@dataclass
class Answer:
    """What Stripe said about a customer, and in which second."""

    subscriptions: tuple[Subscription, ...]
    deleted: bool
    date: datetime


@dataclass
class PretendStripe:
    """Time is what `tick` makes it; nothing else moves it but changes that take a second."""

    time: datetime = NOW
    #: Every other event is stamped some seconds after what it tells of.
    stamps_late: bool = False
    #: Emitted and not yet delivered or lost.
    in_flight: list[Json] = field(default_factory=list)
    subscriptions: dict[str, Json] = field(default_factory=dict)
    invoices: dict[str, Json] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    _count: int = 0

    def tick(self, later: timedelta) -> None:
        self.time += later

    def read(self, customer_id: str) -> Answer:
        """Answer with everything about a customer, as of now."""
        found = () if customer_id in self.deleted else tuple(self.all_of(customer_id))
        date = self.time.replace(microsecond=0)
        return Answer(subscriptions=found, deleted=customer_id in self.deleted, date=date)

    def all_of(self, customer_id: str) -> list[Subscription]:
        return [
            subscription_from_stripe(each | {"latest_invoice": self.invoices[subscription_id]})
            for subscription_id, each in self.subscriptions.items()
            if each["customer"] == customer_id
        ]

    def change(self, subscription_id: str, customer_id: str, kind: str) -> None:
        """Make a change of this kind, or none where it is out of place."""
        if customer_id in self.deleted:
            return
        if subscription_id not in self.subscriptions:
            self._create(subscription_id, customer_id, kind)
        elif kind == "delete the customer":
            self._delete(customer_id)
        elif self.subscriptions[subscription_id]["status"] not in OVER:
            _CHANGES[kind](self, subscription_id)

    def _delete(self, customer_id: str) -> None:
        for subscription_id, each in self.subscriptions.items():
            if each["customer"] == customer_id and each["status"] not in OVER:
                self._end(subscription_id)
        self.deleted.add(customer_id)
        self._emit("customer.deleted", a_stripe_customer(id=customer_id, metadata={}))

    def _create(self, subscription_id: str, customer_id: str, kind: str) -> None:
        status = {"proceed": "incomplete", "schedule": "trialing"}.get(kind, "active")
        self.subscriptions[subscription_id] = a_stripe_subscription(
            id=subscription_id,
            customer=customer_id,
            status=status,
            created=seconds(self.time),
            items=[a_stripe_item(quantity=1)],
            metadata={"account_id": f"account of {customer_id}"},
        )
        self.invoices[subscription_id] = a_stripe_invoice(
            customer=customer_id, subscription=subscription_id, status="open"
        )
        self._emit("customer.subscription.created", self.subscriptions[subscription_id])

    def _proceed(self, subscription_id: str) -> None:
        """Move on in the life of a subscription: paid at last, or late with a payment."""
        status = self.subscriptions[subscription_id]["status"]
        if status in ("active", "past_due"):
            self.tick(SECOND)
        later = {"active": "past_due"}.get(status, "active")
        self._update(subscription_id, status=later)

    def _schedule(self, subscription_id: str) -> None:
        """Cancel for later, each time for another moment."""
        self._count += 1
        self._update(subscription_id, cancel_at=seconds(NOW) + 1_000_000 + self._count)

    def _keep(self, subscription_id: str) -> None:
        """Take the cancellation back."""
        if self.subscriptions[subscription_id]["cancel_at"] is not None:
            self.tick(SECOND)
            self._update(subscription_id, cancel_at=None)

    def _end(self, subscription_id: str) -> None:
        """Cancel at once; Stripe does not tell what that replaced."""
        ended = {"status": "canceled", "cancel_at": None, "ended_at": seconds(self.time)}
        self._write(subscription_id, **ended)
        self._emit("customer.subscription.deleted", self.subscriptions[subscription_id])

    def _pay(self, subscription_id: str) -> None:
        self._settle(subscription_id, "paid", "invoice.paid")

    def _bounce(self, subscription_id: str) -> None:
        self._settle(subscription_id, "void", "invoice.voided")

    def _settle(self, subscription_id: str, status: str, type_: str) -> None:
        invoice = self.invoices[subscription_id]
        if invoice["status"] == "open":
            self.invoices[subscription_id] = invoice | {"status": status}
            self._emit(type_, self.invoices[subscription_id])

    def _update(self, subscription_id: str, **changed: object) -> None:
        before = self.subscriptions[subscription_id]
        self._write(subscription_id, **changed)
        self._emit(
            "customer.subscription.updated",
            self.subscriptions[subscription_id],
            previous={name: before[name] for name in changed},
        )

    def _write(self, subscription_id: str, **changed: object) -> None:
        before = self.subscriptions[subscription_id]
        version = before["items"]["data"][0]["quantity"] + 1
        items = before["items"] | {"data": [a_stripe_item(quantity=version)]}
        self.subscriptions[subscription_id] = before | changed | {"items": items}

    def _emit(self, type_: str, held: Json, *, previous: Json | None = None) -> None:
        self._count += 1
        is_late = self.stamps_late and self._count % 2
        created = self.time + (3 * SECOND if is_late else 0 * SECOND)
        self.in_flight.append(
            a_stripe_event(type_, held, previous=previous, created=created, id=f"evt_{self._count}")
        )


_CHANGES: dict[str, Callable[[PretendStripe, str], None]] = {
    "proceed": PretendStripe._proceed,
    "schedule": PretendStripe._schedule,
    "keep": PretendStripe._keep,
    "end": PretendStripe._end,
    "pay": PretendStripe._pay,
    "bounce": PretendStripe._bounce,
}
#: The ordinary ones oftener.
KINDS = (*_CHANGES, *["schedule"] * 3, *["proceed"] * 2, "end", "delete the customer")
