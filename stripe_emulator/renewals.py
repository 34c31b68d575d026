"""What time does to a subscription."""

from collections.abc import Callable

from stripe_emulator import (
    collection,
    collection_pauses,
    entitlements,
    invoice_lines,
    invoices,
    periods,
    prorations,
    subscription_items,
    subscriptions,
)
from stripe_emulator.subscriptions import ENDED, INCOMPLETE_FOR, REMINDER_BEFORE_TRIAL_END, RENEWING
from stripe_emulator.tables import StripeObject, snapshot
from stripe_emulator.world import World

Condition = Callable[[World, StripeObject], bool]
Step = Callable[[World, StripeObject], None]


def wake(world: World, subscription_id: str) -> None:
    subscription = world.subscriptions[subscription_id]
    while (step := _next_step(world, subscription)) is not None:
        step(world, subscription)
    if subscription["status"] not in ENDED:
        subscriptions.schedule(world, subscription)


def _next_step(world: World, subscription: StripeObject) -> Step | None:
    if subscription["status"] in ENDED:
        return None
    return next((step for due, step in STEPS if due(world, subscription)), None)


def _first_payment_overdue(world: World, subscription: StripeObject) -> bool:
    deadline = int(subscription["created"]) + INCOMPLETE_FOR
    return subscription["status"] == "incomplete" and deadline <= world.clock.now()


def _cancellation_due(world: World, subscription: StripeObject) -> bool:
    cancel_at: int | None = subscription["cancel_at"]
    return cancel_at is not None and cancel_at <= world.clock.now()


def _cancel(world: World, subscription: StripeObject) -> None:
    subscriptions.cancel(world, subscription, {})


def _reminder_due(world: World, subscription: StripeObject) -> bool:
    trial_end: int = subscription["trial_end"] or 0
    return (
        subscription["status"] == "trialing"
        and world.reminded_of_trial_end.get(subscription["id"]) != trial_end
        and trial_end - REMINDER_BEFORE_TRIAL_END <= world.clock.now() < trial_end
    )


def _remind(world: World, subscription: StripeObject) -> None:
    world.reminded_of_trial_end[subscription["id"]] = subscription["trial_end"]
    world.events.emit("customer.subscription.trial_will_end", subscription)


def _trial_over(world: World, subscription: StripeObject) -> bool:
    trial_end: int | None = subscription["trial_end"]
    over = trial_end is not None and trial_end <= world.clock.now()
    return over and subscription["status"] == "trialing"


def end_trial(world: World, subscription: StripeObject) -> None:
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if collection.payment_method_of(world, subscription) is not None:
        behavior = "create_invoice"
    AT_TRIAL_END[behavior](world, subscription)


def end_trial_now(world: World, subscription: StripeObject) -> None:
    """End the trial on request, and charge at once instead of an hour later."""
    now = world.clock.now()
    with world.events.updating("customer.subscription.updated", subscription):
        subscription["trial_end"] = now
        subscription["billing_cycle_anchor"] = now
        for item in subscription["items"]["data"]:
            item["current_period_end"] = now
    end_trial(world, subscription)
    _charge_at_once(world, subscription)


def _pause(world: World, subscription: StripeObject) -> None:
    pause(world, subscription, "trial_end_without_payment_method")


def pause(world: World, subscription: StripeObject, reason: str) -> None:
    """Bill nothing more until it is resumed."""
    before = snapshot(subscription)
    subscription["status"] = "paused"
    subscription["status_details"] = {
        "paused": {
            "subscription": {"type": reason},
            "transitioned_at": world.clock.now(),
            "type": "subscription",
        }
    }
    world.events.emit("customer.subscription.paused", subscription)
    world.events.emit_change("customer.subscription.updated", before, subscription)


def resume(world: World, subscription: StripeObject) -> None:
    """Begin anew from now, and charge at once."""
    now = world.clock.now()
    before = snapshot(subscription)
    subscription["status"] = "active"
    subscription["status_details"] = None
    subscription["billing_cycle_anchor"] = now
    for item in subscription["items"]["data"]:
        item["current_period_end"] = now
    world.events.emit("customer.subscription.resumed", subscription)
    world.events.emit_change("customer.subscription.updated", before, subscription)
    renew(world, subscription)
    _charge_at_once(world, subscription)


def _charge_at_once(world: World, subscription: StripeObject) -> None:
    invoice = world.invoices[subscription["latest_invoice"]]
    if invoice["status"] == "draft" and invoice["auto_advance"]:
        invoices.finalize(world, invoice)
        collection.collect(world, invoice, automatic=True)


def _period_over(world: World, subscription: StripeObject) -> bool:
    return subscription["status"] in RENEWING and bool(_ended_items(world, subscription))


def _ended_items(world: World, subscription: StripeObject) -> list[StripeObject]:
    now = world.clock.now()
    return [item for item in subscription["items"]["data"] if item["current_period_end"] <= now]


def renew(world: World, subscription: StripeObject) -> None:
    """Begin the next period of what ended, with a draft invoice for it."""
    before = snapshot(subscription)
    items = _ended_items(world, subscription)
    period_start = min(item["current_period_start"] for item in items)
    for item in items:
        subscription_items.set_period(item, _next_period(world, subscription, item))
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    invoice = _cycle_invoice(world, subscription, items, period_start)
    subscription["latest_invoice"] = invoice["id"]
    world.events.emit_change("customer.subscription.updated", before, subscription)
    if subscription["pause_collection"] is not None:
        collection_pauses.dispose(world, subscription, invoice)
    entitlements.grant(world, subscription)


def _cycle_invoice(
    world: World, subscription: StripeObject, items: list[StripeObject], period_start: int
) -> StripeObject:
    lines = [
        invoice_lines.for_item(
            item,
            subscription_items.period_of(item),
            subscriptions.product_name(world, item["price"]),
        )
        for item in items
    ]
    collecting = subscription["status"] != "unpaid" and subscription["pause_collection"] is None
    return invoices.draft(
        world,
        subscription,
        prorations.sweep(world, subscription) + lines,
        "subscription_cycle",
        period_start=period_start,
        finalizes_at=world.clock.now() + invoices.HOUR if collecting else None,
        auto_advance=collecting,
    )


def _next_period(world: World, subscription: StripeObject, item: StripeObject) -> periods.Period:
    anchor = subscription["billing_cycle_anchor"]
    return periods.containing(anchor, item["price"]["recurring"], world.clock.now())


#: In this order: what ends a subscription comes before what prolongs it.
STEPS: tuple[tuple[Condition, Step], ...] = (
    (_first_payment_overdue, subscriptions.expire),
    (_cancellation_due, _cancel),
    (collection_pauses.over, collection_pauses.resume),
    (_reminder_due, _remind),
    (_trial_over, end_trial),
    (_period_over, renew),
)
AT_TRIAL_END: dict[str, Step] = {
    "create_invoice": renew,
    "cancel": _cancel,
    "pause": _pause,
}
