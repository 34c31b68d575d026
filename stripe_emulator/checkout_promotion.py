"""Discounts on a Checkout Session: given by the merchant, or by a code that the customer types."""

from dataclasses import replace

from stripe_emulator import amounts, coupons, discounts, promotion_codes, subscriptions
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.orders import Purchase, Redemption, Sale
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def apply(world: World, session: StripeObject, code: str | None) -> None:
    """Redeem the code that was typed, instead of another one; without one, none."""
    if session["status"] != "open" or not session["allow_promotion_codes"]:
        raise InvalidRequest(
            "This Checkout Session takes no promotion codes.", param="promotion_code"
        )
    purchase = world.purchases[session["id"]]
    redemptions = () if code is None else (_redemption(world, session, purchase, code),)
    if redemptions == purchase.redemptions:
        return
    _give_up_earlier_try(world, purchase)
    world.purchases[session["id"]] = replace(purchase, redemptions=redemptions)
    price(world, session)


def _redemption(world: World, session: StripeObject, purchase: Purchase, code: str) -> Redemption:
    row = promotion_codes.find(world, code)
    if row is None:
        raise InvalidRequest(
            "This code is invalid.", code="promotion_code_invalid", param="promotion_code"
        )
    return discounts.by_code(
        world,
        row,
        customer_id=purchase.customer_id,
        currency=session["currency"],
        amount=session["amount_subtotal"],
    )


def _give_up_earlier_try(world: World, purchase: Purchase) -> None:
    """Let the next one begin with an invoice at the new price."""
    subscription = world.subscriptions.find(purchase.subscription_id)
    if subscription is not None and subscription["status"] == "incomplete":
        subscriptions.expire(world, subscription)


def price(world: World, session: StripeObject) -> None:
    """Write on the session what is due today, and what is taken off it."""
    purchase = world.purchases[session["id"]]
    due = [_due_today(purchase, sale) for sale in purchase.sales]
    taken = [0] * len(due)
    for redemption in purchase.redemptions:
        taken = coupons.reduce(redemption.coupon, due)
    for item, amount in zip(purchase.line_items, taken, strict=True):
        item["amount_discount"] = amount
        item["amount_total"] = item["amount_subtotal"] - amount
    session["amount_subtotal"] = sum(due)
    session["amount_total"] = sum(due) - sum(taken)
    session["total_details"]["amount_discount"] = sum(taken)
    session["discounts"] = [_shown(redemption) for redemption in purchase.redemptions]


def _due_today(purchase: Purchase, sale: Sale) -> int:
    data = purchase.subscription_data
    trial = "trial_end" in data or "trial_period_days" in data
    if trial and sale.price["recurring"]:
        return 0
    return amounts.of(sale.price, sale.quantity)


def _shown(redemption: Redemption) -> StripeObject:
    code = redemption.promotion_code
    return {"coupon": redemption.coupon["id"], "promotion_code": code and code["id"]}
