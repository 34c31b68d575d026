from dataclasses import dataclass

from stripe_emulator import amounts, ids
from stripe_emulator.periods import Period
from stripe_emulator.tables import StripeObject


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    price: StripeObject
    quantity: int
    amount: int
    period: Period
    description: str
    #: Null for what is sold once, beside a subscription.
    subscription_item_id: str | None = None
    invoice_item_id: str | None = None
    proration: bool = False


def for_item(item: StripeObject, period: Period, product_name: str) -> Line:
    price, quantity = item["price"], item["quantity"]
    recurring = price["recurring"]
    return Line(
        price=price,
        quantity=quantity,
        amount=amounts.of(price, quantity),
        period=period,
        description=f"{quantity} x {product_name} ({_cost(price)} / {_every(recurring)})",
        subscription_item_id=item["id"],
    )


def for_trial(item: StripeObject, period: Period, product_name: str) -> Line:
    return Line(
        price=item["price"],
        quantity=item["quantity"],
        amount=0,
        period=period,
        description=f"Free trial for {item['quantity']} x {product_name}",
        subscription_item_id=item["id"],
    )


def for_one_time(price: StripeObject, quantity: int, moment: int, product_name: str) -> Line:
    return Line(
        price=price,
        quantity=quantity,
        amount=amounts.of(price, quantity),
        period=Period(moment, moment),
        description=product_name,
    )


def _cost(price: StripeObject) -> str:
    return f"{amounts.of(price, 1) / 100:.2f} {price['currency'].upper()}"


def _every(recurring: StripeObject) -> str:
    count = recurring["interval_count"]
    return recurring["interval"] if count == 1 else f"{count} {recurring['interval']}s"


def line_item(
    line: Line, invoice_id: str, subscription: StripeObject, taken_off: list[StripeObject]
) -> StripeObject:
    return {
        "id": ids.new("il"),
        "object": "line_item",
        "amount": line.amount,
        "currency": line.price["currency"],
        "description": line.description,
        "discount_amounts": taken_off,
        "discountable": not line.proration,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": subscription["metadata"],
        "parent": _parent(line, subscription["id"]),
        "period": {"end": line.period.end, "start": line.period.start},
        "pretax_credit_amounts": [],
        "pricing": pricing(line.price),
        "quantity": line.quantity,
        "subscription": subscription["id"],
        "subtotal": line.amount,
        "taxes": [],
    }


def pricing(price: StripeObject) -> StripeObject:
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def _parent(line: Line, subscription_id: str) -> StripeObject:
    if line.subscription_item_id is None:
        return {
            "invoice_item_details": {
                "invoice_item": line.invoice_item_id or ids.new("ii"),
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription_id,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        }
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": line.invoice_item_id,
            "proration": line.proration,
            "proration_details": {"credited_items": None},
            "subscription": subscription_id,
            "subscription_item": line.subscription_item_id,
        },
        "type": "subscription_item_details",
    }
