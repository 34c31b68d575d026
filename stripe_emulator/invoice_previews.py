"""What a subscription's next invoice would be, also after a change that is only thought of."""

from stripe import params as accepted

from stripe_emulator import (
    discounts,
    ids,
    invoice_lines,
    invoices,
    periods,
    subscription_changes,
    subscriptions,
)
from stripe_emulator.errors import InvalidRequest, MissingParameter, UnsupportedByEmulator
from stripe_emulator.invoice_lines import Line
from stripe_emulator.parameters import Params
from stripe_emulator.routing import post
from stripe_emulator.subscription_changes import Change
from stripe_emulator.subscriptions import RENEWING
from stripe_emulator.tables import StripeObject, snapshot
from stripe_emulator.world import World

FOLLOWED = frozenset({"items", "proration_behavior"})


def create(world: World, params: Params) -> StripeObject:
    if "subscription" not in params:
        raise MissingParameter("subscription")
    details = params.get("subscription_details", {})
    for name in sorted(details.keys() - FOLLOWED):
        raise UnsupportedByEmulator(f"subscription_details[{name}]")
    subscription = world.subscriptions.referenced(params["subscription"], "subscription")
    if params.get("customer", subscription["customer"]) != subscription["customer"]:
        raise InvalidRequest("The subscription belongs to another customer.", param="customer")
    _check_renews(subscription)
    if any("price_data" in item for item in details.get("items", [])):
        raise UnsupportedByEmulator("subscription_details[items][price_data]")
    imagined: StripeObject = snapshot(subscription)
    change = subscription_changes.plan(world, imagined, details)
    _imagine(world, imagined, change)
    if change.lines and change.proration_behavior == "always_invoice":
        return _preview(world, imagined, change.lines, world.clock.now())
    return _next(world, imagined, change)


def _check_renews(subscription: StripeObject) -> None:
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    cancel_at = subscription["cancel_at"]
    if subscription["status"] not in (*RENEWING, "trialing") or (
        cancel_at is not None and cancel_at <= min(ends)
    ):
        raise InvalidRequest(
            f"No upcoming invoices for customer: {subscription['customer']}",
            code="invoice_upcoming_none",
        )


def _imagine(world: World, subscription: StripeObject, change: Change) -> None:
    """Apply a change to a copy that, while nameless, nothing else is looked up by."""
    subscription_id, subscription["id"] = subscription["id"], ""
    subscription_changes.apply(world, subscription, change)
    subscription["id"] = subscription_id
    for item in subscription["items"]["data"]:
        if item["subscription"] == "":
            world.subscription_items.remove(item["id"])
            item["subscription"] = subscription_id


def _next(world: World, subscription: StripeObject, change: Change) -> StripeObject:
    items = subscription["items"]["data"]
    moment = min(item["current_period_end"] for item in items)
    anchor = subscription["billing_cycle_anchor"]
    pending = world.pending_lines.get(subscription["id"], [])
    prorated = [] if change.proration_behavior == "none" else change.lines
    renewed = [
        invoice_lines.for_item(
            item,
            periods.containing(anchor, item["price"]["recurring"], moment),
            subscriptions.product_name(world, item["price"]),
        )
        for item in items
        if item["current_period_end"] == moment
    ]
    return _preview(world, subscription, [*pending, *prorated, *renewed], moment)


def _preview(
    world: World, subscription: StripeObject, lines: list[Line], moment: int
) -> StripeObject:
    with world.clock.at(moment):
        taken_off = discounts.amounts_off(world, subscription, lines)
        row = invoices.compose(world, subscription, lines, taken_off, ids.new("upcoming_in"))
    start = min(item["current_period_start"] for item in subscription["items"]["data"])
    return {
        **row,
        "auto_advance": True,
        "automatically_finalizes_at": None,
        "billing_reason": "upcoming",
        "next_payment_attempt": moment + invoices.HOUR,
        "period_start": start,
    }


ROUTES = (
    post(
        "/v1/invoices/create_preview",
        create,
        accepted.InvoiceCreatePreviewParams,
        unsupported=(
            "currency",
            "customer_account",
            "customer_details",
            "discounts",
            "invoice_items",
            "schedule",
            "schedule_details",
        ),
    ),
)
