"""Collecting a subscription's invoices, and what success and failure mean for it."""

from collections.abc import Callable

from stripe_emulator import invoices, subscriptions
from stripe_emulator.attempts import Attempt
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Decline
from stripe_emulator.settings import DAY
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World, subscription_id_of

FollowFailure = Callable[[World, StripeObject, StripeObject, Attempt], None]

AWAITING_PAYMENT = frozenset({"incomplete", "past_due", "unpaid"})
#: Their first invoice waits for the customer, and is not tried again by itself.
UNBEGUN = frozenset({"incomplete", "incomplete_expired"})


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
) -> Attempt:
    """Try to collect an open invoice, from the method on file unless another is given."""
    subscription = world.subscriptions[subscription_id_of(invoice)]
    payer = payment_method or payment_method_of(world, subscription)
    attempt = invoices.attempt(world, invoice, payer, automatic=automatic)
    _follow_up(world, invoice, attempt, payment_method if remember else None)
    return attempt


def authenticate(
    world: World, invoice: StripeObject, *, succeed: bool, remember: bool = False
) -> Attempt:
    """Let the customer answer what their bank asks about an open invoice."""
    payment_method = world.payment_methods.find(
        invoices.intent_of(world, invoice)["payment_method"]
    )
    attempt = invoices.authenticate(world, invoice, succeed=succeed)
    _follow_up(world, invoice, attempt, payment_method if remember else None)
    return attempt


def answer_bank(world: World, intent: StripeObject, *, succeed: bool) -> Decline | None:
    """Let the customer authenticate a payment that a Checkout Session does not wait for."""
    session_waits = any(
        awaited is not None and awaited == intent["payment_method"]
        for awaited in (purchase.awaited_id for purchase in world.purchases.values())
    )
    if intent["status"] != "requires_action" or session_waits:
        raise InvalidRequest(
            f"The payment intent {intent['id']} waits for no authentication here.", param="intent"
        )
    invoice = world.invoices[world.invoices_of_intents[intent["id"]]]
    return authenticate(world, invoice, succeed=succeed).decline


def settle(world: World, invoice: StripeObject) -> Attempt:
    """Let a debit that is on its way succeed or fail."""
    attempt = invoices.settle(world, invoice)
    _follow_up(world, invoice, attempt, None)
    return attempt


def _follow_up(
    world: World, invoice: StripeObject, attempt: Attempt, new_default: StripeObject | None
) -> None:
    subscription = world.subscriptions[subscription_id_of(invoice)]
    if attempt.status == "failed":
        _failed(world, subscription, invoice, attempt)
    elif attempt.status == "succeeded" or _starts_on_credit(world, subscription, attempt):
        _go_on(world, subscription, invoice, new_default)
    elif attempt.status == "processing" and new_default is not None:
        with world.events.updating("customer.subscription.updated", subscription):
            subscription["default_payment_method"] = new_default["id"]


def _starts_on_credit(world: World, subscription: StripeObject, attempt: Attempt) -> bool:
    """Tell whether a debit on its way counts as paid, as it does for a first payment."""
    return (
        attempt.status == "processing"
        and subscription["status"] == "incomplete"
        and world.settings.after_failed_first_debit != "incomplete_expired"
    )


def _go_on(
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
    world: World, subscription: StripeObject, invoice: StripeObject, attempt: Attempt
) -> None:
    follow: FollowFailure = _fall_behind
    if invoice["billing_reason"] == "subscription_create" and attempt.late:
        follow = FIRST_DEBIT_FAILED[world.settings.after_failed_first_debit]
    elif subscription["status"] in UNBEGUN or not invoice["auto_advance"]:
        follow = _wait_for_the_customer
    follow(world, subscription, invoice, attempt)


def _wait_for_the_customer(
    world: World, _subscription: StripeObject, invoice: StripeObject, attempt: Attempt
) -> None:
    invoices.note_failure(world, invoice, attempt, None)


def _fall_behind(
    world: World, subscription: StripeObject, invoice: StripeObject, attempt: Attempt
) -> None:
    planned = attempt.automatic or not invoice["attempted"]
    next_attempt = (
        _next_attempt(world, invoice, attempt) if planned else invoice["next_payment_attempt"]
    )
    invoices.note_failure(world, invoice, attempt, next_attempt)
    if subscription["status"] in ("active", "trialing"):
        _set_status(world, subscription, "past_due")
    if next_attempt is None and subscription["status"] == "past_due":
        GIVE_UP[world.settings.after_last_retry](world, subscription)


def _next_attempt(world: World, invoice: StripeObject, attempt: Attempt) -> int | None:
    waits = world.settings.retry_after_days
    made = invoice["attempt_count"] - int(attempt.late)
    return world.clock.now() + waits[made] * DAY if made < len(waits) else None


def _void_and_go_on(
    world: World, _subscription: StripeObject, invoice: StripeObject, attempt: Attempt
) -> None:
    invoices.note_failure(world, invoice, attempt, None)
    # The failed payment stays as it is: waiting for another method, and never getting one.
    invoices.void(world, invoice, cancel_payment=False)


def _expire(
    world: World, subscription: StripeObject, invoice: StripeObject, attempt: Attempt
) -> None:
    invoices.note_failure(world, invoice, attempt, None)
    if subscription["status"] == "incomplete":
        subscriptions.expire(world, subscription)


#: What the account's setting makes of a subscription whose first debit failed.
FIRST_DEBIT_FAILED: dict[str, FollowFailure] = {
    "active": _void_and_go_on,
    "incomplete_expired": _expire,
    "past_due": _fall_behind,
}


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
