"""Collecting a subscription's invoices, and what success and failure mean for it."""

from collections.abc import Callable

from stripe_emulator import invoices, subscriptions
from stripe_emulator.instruments import Decline
from stripe_emulator.settings import DAY
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World, subscription_id_of

AWAITING_PAYMENT = frozenset({"incomplete", "past_due", "unpaid"})


def payment_method_of(world: World, subscription: StripeObject) -> StripeObject | None:
    customer = world.customers[subscription["customer"]]
    if customer.get("deleted"):
        return None
    default = (
        subscription["default_payment_method"]
        or customer["invoice_settings"]["default_payment_method"]
    )
    payment_method = world.payment_methods.find(default)
    if payment_method is None or payment_method["customer"] is None:
        return None
    return payment_method


def collect(
    world: World,
    invoice: StripeObject,
    payment_method: StripeObject | None = None,
    *,
    automatic: bool = False,
    remember: bool = False,
) -> Decline | None:
    """Try to collect an open invoice, from the method on file unless another is given."""
    subscription = world.subscriptions[subscription_id_of(invoice)]
    payer = payment_method or payment_method_of(world, subscription)
    decline = invoices.attempt(world, invoice, payer, automatic=automatic)
    if decline is None:
        _paid(world, subscription, invoice, payment_method if remember else None)
    else:
        _failed(world, subscription, invoice, automatic=automatic)
    return decline


def _paid(
    world: World,
    subscription: StripeObject,
    invoice: StripeObject,
    new_default: StripeObject | None,
) -> None:
    latest = subscription["latest_invoice"] == invoice["id"]
    with world.events.updating("customer.subscription.updated", subscription):
        if new_default is not None:
            subscription["default_payment_method"] = new_default["id"]
        if latest and subscription["status"] in AWAITING_PAYMENT:
            subscriptions.start(world, subscription)


def _failed(
    world: World, subscription: StripeObject, invoice: StripeObject, *, automatic: bool
) -> None:
    if invoice["billing_reason"] == "subscription_create" or not invoice["auto_advance"]:
        invoices.note_failure(world, invoice, None, automatic=automatic)
        return
    first = not invoice["attempted"]
    next_attempt = (
        _next_attempt(world, invoice) if automatic or first else invoice["next_payment_attempt"]
    )
    invoices.note_failure(world, invoice, next_attempt, automatic=automatic)
    if subscription["status"] in ("active", "trialing"):
        _set_status(world, subscription, "past_due")
    if next_attempt is None and subscription["status"] == "past_due":
        GIVE_UP[world.settings.after_last_retry](world, subscription)


def _next_attempt(world: World, invoice: StripeObject) -> int | None:
    waits = world.settings.retry_after_days
    made = invoice["attempt_count"]
    return world.clock.now() + waits[made] * DAY if made < len(waits) else None


def _set_status(world: World, subscription: StripeObject, status: str) -> None:
    with world.events.updating("customer.subscription.updated", subscription):
        subscription["status"] = status


#: What an account's owner wants when the last retry has failed.
GIVE_UP: dict[str, Callable[[World, StripeObject], None]] = {
    "cancel": lambda world, subscription: subscriptions.cancel(
        world, subscription, {"reason": "payment_failed"}
    ),
    "unpaid": lambda world, subscription: _set_status(world, subscription, "unpaid"),
    "past_due": lambda _world, _subscription: None,
}


def wake(world: World, invoice_id: str) -> None:
    """Finalize a draft whose hour is over; try an open invoice again when that is due."""
    invoice = world.invoices[invoice_id]
    now = world.clock.now()
    finalizes_at = invoice["automatically_finalizes_at"]
    if invoice["status"] == "draft" and finalizes_at is not None and finalizes_at <= now:
        invoices.finalize(world, invoice)
        collect(world, invoice, automatic=True)
    elif _retry_due(invoice, now):
        collect(world, invoice, automatic=True)


def _retry_due(invoice: StripeObject, now: int) -> bool:
    next_attempt = invoice["next_payment_attempt"]
    return invoice["status"] == "open" and next_attempt is not None and next_attempt <= now
