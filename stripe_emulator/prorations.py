"""What a change in the middle of a period costs and gives back."""

from stripe_emulator import amounts, blanks, ids, invoice_lines, subscriptions
from stripe_emulator.invoice_lines import Line
from stripe_emulator.periods import Period
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def credit(world: World, item: StripeObject, period: Period) -> Line:
    return _prorated(world, item, period, -1, "Unused time on")


def debit(world: World, item: StripeObject, period: Period) -> Line:
    return _prorated(world, item, period, 1, "Remaining time on")


def _prorated(world: World, item: StripeObject, period: Period, sign: int, words: str) -> Line:
    now = world.clock.now()
    price, quantity = item["price"], item["quantity"]
    amount = round(amounts.of(price, quantity) * period.remaining(now))
    return Line(
        price=price,
        quantity=quantity,
        amount=sign * amount,
        period=Period(now, period.end),
        description=f"{words} {quantity} x {subscriptions.product_name(world, price)}",
        subscription_item_id=item["id"],
        invoice_item_id=ids.new("ii"),
        proration=True,
    )


def hold(world: World, subscription: StripeObject, lines: list[Line]) -> None:
    """Keep them as invoice items until the next invoice."""
    world.pending_lines.setdefault(subscription["id"], []).extend(lines)
    for line in lines:
        invoice_item = world.invoice_items.add(_invoice_item(world, subscription, line))
        world.events.emit("invoiceitem.created", invoice_item)


def sweep(world: World, subscription: StripeObject) -> list[Line]:
    return world.pending_lines.pop(subscription["id"], [])


def _invoice_item(world: World, subscription: StripeObject, line: Line) -> StripeObject:
    return {
        "id": line.invoice_item_id,
        **blanks.fresh(blanks.INVOICE_ITEM),
        "amount": line.amount,
        "currency": line.price["currency"],
        "customer": subscription["customer"],
        "date": world.clock.now(),
        "description": line.description,
        "net_amount": line.amount,
        "parent": {
            "subscription_details": {
                "subscription": subscription["id"],
                "subscription_item": line.subscription_item_id,
            },
            "type": "subscription_details",
        },
        "period": {"end": line.period.end, "start": line.period.start},
        "pricing": invoice_lines.pricing(line.price),
        "quantity": line.quantity,
        "test_clock": subscription["test_clock"],
        "quantity_decimal": str(line.quantity),
    }
