"""A subscription's own life: how it begins, changes status and ends."""

from stripe_emulator import (
    blanks,
    discounts,
    entitlements,
    ids,
    invoice_lines,
    invoices,
    periods,
    subscription_items,
)
from stripe_emulator.attributes import merged, picked
from stripe_emulator.invoice_lines import Line
from stripe_emulator.orders import Order, Sale
from stripe_emulator.parameters import Params
from stripe_emulator.periods import Period
from stripe_emulator.settings import DAY
from stripe_emulator.tables import StripeObject, list_of
from stripe_emulator.world import World

ENDED = frozenset({"canceled", "incomplete_expired"})
#: What is billed on, period after period.
RENEWING = frozenset({"active", "past_due", "unpaid"})
INCOMPLETE_FOR = 23 * 60 * 60
REMINDER_BEFORE_TRIAL_END = 3 * DAY


def begin(world: World, order: Order) -> StripeObject:
    """Make the subscription and its first invoice, finalized; tell nobody of the former yet."""
    subscription = world.subscriptions.add(_record(world, order))
    for sale in order.recurring:
        _add_item(world, subscription, sale, order.trial_end)
    discounts.redeem(world, subscription, order.redemptions, order.checkout_session_id)
    invoice = invoices.draft(
        world, subscription, _first_lines(world, subscription, order), "subscription_create"
    )
    subscription["latest_invoice"] = invoice["id"]
    invoices.finalize(world, invoice)
    if invoice["amount_due"] == 0:
        invoices.attempt(world, invoice, None, automatic=False)
        start(world, subscription)
    return subscription


def announce(world: World, subscription: StripeObject) -> None:
    world.events.emit("customer.subscription.created", subscription)
    review(world, subscription)


def _add_item(world: World, subscription: StripeObject, sale: Sale, trial_end: int | None) -> None:
    now = world.clock.now()
    period = (
        periods.containing(now, sale.price["recurring"], now)
        if trial_end is None
        else Period(now, trial_end)
    )
    item = subscription_items.add(
        world,
        subscription["id"],
        sale.price,
        quantity=sale.quantity,
        period=period,
        metadata=sale.metadata,
    )
    subscription["items"]["data"].append(item)


def _first_lines(world: World, subscription: StripeObject, order: Order) -> list[Line]:
    make = invoice_lines.for_item if order.trial_end is None else invoice_lines.for_trial
    lines = [
        make(item, subscription_items.period_of(item), product_name(world, item["price"]))
        for item in subscription["items"]["data"]
    ]
    once = [
        invoice_lines.for_one_time(
            sale.price, sale.quantity, world.clock.now(), product_name(world, sale.price)
        )
        for sale in order.one_time
    ]
    return lines + once


def product_name(world: World, price: StripeObject) -> str:
    return str(world.products[price["product"]].get("name", price["product"]))


def _record(world: World, order: Order) -> StripeObject:
    now = world.clock.now()
    subscription_id = ids.new("sub")
    terms = order.terms
    return {
        "id": subscription_id,
        **blanks.fresh(blanks.SUBSCRIPTION),
        "billing_cycle_anchor": order.trial_end or now,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": now,
        },
        "collection_method": terms.get("collection_method", "charge_automatically"),
        "created": now,
        "currency": order.recurring[0].price["currency"],
        "customer": order.customer_id,
        "items": list_of([], f"/v1/subscription_items?subscription={subscription_id}"),
        "metadata": merged({}, terms.get("metadata", {})),
        "start_date": now,
        "test_clock": world.customers[order.customer_id]["test_clock"],
        "trial_end": order.trial_end,
        "trial_settings": _trial_settings(terms.get("trial_settings")),
        "trial_start": None if order.trial_end is None else now,
        **picked(terms, "default_payment_method", "description"),
    }


def _trial_settings(given: Params | None) -> StripeObject:
    end_behavior = given["end_behavior"] if given else {}
    return {
        "end_behavior": {
            "billing_cycle_anchor": end_behavior.get("billing_cycle_anchor"),
            "missing_payment_method": end_behavior.get("missing_payment_method", "create_invoice"),
        }
    }


def start(world: World, subscription: StripeObject) -> None:
    """Let a paid subscription be what its dates say: trialing or active."""
    trial_end = subscription["trial_end"]
    trialing = trial_end is not None and trial_end > world.clock.now()
    subscription["status"] = "trialing" if trialing else "active"
    entitlements.grant(world, subscription)


def cancel(world: World, subscription: StripeObject, details: Params) -> None:
    """End it now."""
    now = world.clock.now()
    subscription["status"] = "canceled"
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["ended_at"] = now
    subscription["cancellation_details"] |= details
    world.events.emit("customer.subscription.deleted", subscription)
    invoices.stop_collecting(world, subscription)
    entitlements.withdraw(world, subscription)


def expire(world: World, subscription: StripeObject) -> None:
    """Give up on a first payment that never came."""
    with world.events.updating("customer.subscription.updated", subscription):
        subscription["status"] = "incomplete_expired"
        subscription["ended_at"] = world.clock.now()
    invoice = world.invoices[subscription["latest_invoice"]]
    if invoice["status"] == "open":
        invoices.void(world, invoice)


def review(world: World, subscription: StripeObject) -> None:
    """Have it looked at as soon as the present change is made."""
    world.agenda.wake("subscription", subscription["id"], world.clock.now())


def schedule(world: World, subscription: StripeObject) -> None:
    """Have it looked at whenever something will be due."""
    for moment in _moments(subscription):
        if moment is not None and moment > world.clock.now():
            world.agenda.wake("subscription", subscription["id"], moment)


def _moments(subscription: StripeObject) -> list[int | None]:
    trial_end = subscription["trial_end"]
    return [
        subscription["created"] + INCOMPLETE_FOR,
        subscription["cancel_at"],
        (subscription["pause_collection"] or {}).get("resumes_at"),
        trial_end and trial_end - REMINDER_BEFORE_TRIAL_END,
        trial_end,
        min(item["current_period_end"] for item in subscription["items"]["data"]),
    ]
