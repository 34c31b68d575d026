"""Changing what a subscription is for: its items, their quantities, its trial."""

from dataclasses import dataclass, field

from stripe_emulator import (
    collection,
    collection_pauses,
    entitlements,
    invoices,
    periods,
    prorations,
    sales,
    subscription_items,
    trials,
)
from stripe_emulator.attributes import merged
from stripe_emulator.errors import InvalidRequest, ReferenceMissing
from stripe_emulator.invoice_lines import Line
from stripe_emulator.parameters import Params
from stripe_emulator.periods import Period
from stripe_emulator.tables import StripeObject, snapshot
from stripe_emulator.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemChange:
    #: Null for an item to be added.
    item: StripeObject | None
    price: StripeObject
    quantity: int
    remove: bool = False
    metadata: Params = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    items: tuple[ItemChange, ...] = ()
    trial_end: int | None = None
    proration_behavior: str = "create_prorations"
    #: What applying the change costs and gives back.
    lines: list[Line] = field(default_factory=list)


def plan(world: World, subscription: StripeObject, params: Params) -> Change:
    """Check a change through before anything of it happens."""
    items = tuple(
        _item_change(world, subscription, given, f"items[{index}]")
        for index, given in enumerate(params.get("items", []))
    )
    if items and not _left(subscription, items):
        raise InvalidRequest("A subscription must have at least one active item.", param="items")
    return Change(
        items=items,
        trial_end=_trial_end(world, params),
        proration_behavior=params.get("proration_behavior", "create_prorations"),
    )


def _left(subscription: StripeObject, items: tuple[ItemChange, ...]) -> bool:
    removed = {change.item["id"] for change in items if change.item and change.remove}
    kept = {item["id"] for item in subscription["items"]["data"]} - removed
    return bool(kept) or any(change.item is None for change in items)


def _item_change(world: World, subscription: StripeObject, given: Params, param: str) -> ItemChange:
    item = _existing_item(subscription, given.get("id"), param)
    kept = None if {"price", "price_data"} & given.keys() else item
    price = sales.price(world, given, param) if kept is None else kept["price"]
    if not price["recurring"]:
        raise InvalidRequest("Subscription items need recurring prices.", param=f"{param}[price]")
    if item is None and price["id"] in {
        one["price"]["id"] for one in subscription["items"]["data"]
    }:
        raise InvalidRequest("Cannot add the same price to a subscription twice.", param=param)
    return ItemChange(
        item=item,
        price=price,
        # A new price starts over at one, unless told otherwise.
        quantity=_quantity(given, kept, param),
        remove=given.get("deleted", False),
        metadata=given.get("metadata") or {},
    )


def _quantity(given: Params, kept: StripeObject | None, param: str) -> int:
    quantity = int(given["quantity"] if "quantity" in given else kept["quantity"] if kept else 1)
    if not 0 <= quantity <= sales.MOST_OF_ONE:
        raise InvalidRequest(
            f"Invalid quantity: must be between 0 and {sales.MOST_OF_ONE}.",
            param=f"{param}[quantity]",
        )
    return quantity


def _existing_item(
    subscription: StripeObject, item_id: str | None, param: str
) -> StripeObject | None:
    if item_id is None:
        return None
    for item in subscription["items"]["data"]:
        if item["id"] == item_id:
            found: StripeObject = item
            return found
    raise ReferenceMissing("subscription item", item_id, f"{param}[id]")


def _trial_end(world: World, params: Params) -> int | None:
    trial_end = params.get("trial_end")
    if not isinstance(trial_end, int):
        return None
    return trials.future(world, trial_end, "trial_end")


def apply(world: World, subscription: StripeObject, change: Change) -> None:
    """Make the change; the caller announces it."""
    for item_change in change.items:
        _apply(world, subscription, item_change, change.lines)
    if change.trial_end is not None:
        _set_trial(world, subscription, change.trial_end)
    if change.items and subscription["id"] in world.granted_features:
        entitlements.grant(world, subscription)


def cost(world: World, subscription: StripeObject, params: Params) -> int:
    """Tell what a change of items that exist would cost now, without making it."""
    imagined = snapshot(subscription)
    change = plan(world, imagined, params)
    for item_change in change.items:
        _apply(world, imagined, item_change, change.lines)
    return sum(line.amount for line in change.lines)


def _apply(world: World, subscription: StripeObject, change: ItemChange, lines: list[Line]) -> None:
    data = subscription["items"]["data"]
    charged = subscription["status"] in ("active", "past_due")
    if change.item is not None and charged:
        lines.append(
            prorations.credit(world, change.item, _period(world, subscription, change.item))
        )
    if change.remove:
        data[:] = [item for item in data if item is not change.item]
        return
    item = change.item
    if item is None:
        item = _new_item(world, subscription, change)
        data.append(item)
    else:
        _rewrite(world, subscription, item, change)
    if charged:
        lines.append(prorations.debit(world, item, _period(world, subscription, item)))


def _period(world: World, subscription: StripeObject, item: StripeObject) -> Period:
    """Give the whole period around now, which the item may have joined in its middle."""
    anchor = subscription["billing_cycle_anchor"]
    return periods.containing(anchor, item["price"]["recurring"], world.clock.now())


def _new_item(world: World, subscription: StripeObject, change: ItemChange) -> StripeObject:
    now = world.clock.now()
    recurring = change.price["recurring"]
    end = periods.containing(subscription["billing_cycle_anchor"], recurring, now).end
    return subscription_items.add(
        world,
        subscription["id"],
        change.price,
        quantity=change.quantity,
        period=Period(now, end),
        metadata=change.metadata,
    )


def _rewrite(
    world: World, subscription: StripeObject, item: StripeObject, change: ItemChange
) -> None:
    same_rhythm = _rhythm(item["price"]) == _rhythm(change.price)
    item["price"] = change.price
    item["plan"] = subscription_items.plan(change.price)
    item["quantity"] = change.quantity
    item["metadata"] = merged(item["metadata"], change.metadata)
    if not same_rhythm and subscription["status"] != "trialing":
        end = _period(world, subscription, item).end
        subscription_items.set_period(item, Period(world.clock.now(), end))


def _rhythm(price: StripeObject) -> tuple[str, int]:
    return price["recurring"]["interval"], price["recurring"]["interval_count"]


def _set_trial(world: World, subscription: StripeObject, trial_end: int) -> None:
    now = world.clock.now()
    if subscription["status"] != "trialing":
        subscription["trial_start"] = now
        subscription["status"] = "trialing"
    subscription["trial_end"] = trial_end
    subscription["billing_cycle_anchor"] = trial_end
    for item in subscription["items"]["data"]:
        item["current_period_end"] = trial_end


def bill(world: World, subscription: StripeObject, change: Change) -> None:
    """Charge for the change now or with the next invoice, as asked."""
    if change.proration_behavior == "none" or not change.lines:
        return
    prorations.hold(world, subscription, change.lines)
    if change.proration_behavior == "always_invoice":
        _invoice_now(world, subscription)


def _invoice_now(world: World, subscription: StripeObject) -> None:
    lines = prorations.sweep(world, subscription)
    invoice = invoices.draft(world, subscription, lines, "subscription_update")
    with world.events.updating("customer.subscription.updated", subscription):
        subscription["latest_invoice"] = invoice["id"]
    if subscription["pause_collection"] is not None:
        collection_pauses.dispose(world, subscription, invoice)
        return
    invoices.finalize(world, invoice)
    collection.collect(world, invoice)
