"""Coupons at work: redeemed for a subscription, taken off its invoices, used up."""

from stripe_emulator import coupons, ids, periods, promotion_codes
from stripe_emulator.errors import InvalidRequest, MissingParameter
from stripe_emulator.invoice_lines import Line
from stripe_emulator.orders import Redemption
from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def read(
    world: World, given: list[Params] | str | None, *, customer_id: str | None, currency: str
) -> tuple[Redemption, ...]:
    """Find what `discounts` names, and refuse what cannot be redeemed."""
    return tuple(
        _redemption(world, one, customer_id, currency, f"discounts[{index}]")
        for index, one in enumerate(given or [])
        if isinstance(one, dict)
    )


def _redemption(
    world: World, given: Params, customer_id: str | None, currency: str, param: str
) -> Redemption:
    if "promotion_code" in given:
        row = world.promotion_codes.referenced(given["promotion_code"], f"{param}[promotion_code]")
        return by_code(world, row, customer_id=customer_id, currency=currency, amount=None)
    if "coupon" not in given:
        raise MissingParameter(f"{param}[coupon]")
    coupon = world.coupons.referenced(given["coupon"], f"{param}[coupon]")
    obstacle = promotion_codes.coupon_obstacle(world, coupon, currency)
    if obstacle is not None:
        raise InvalidRequest(obstacle, param=f"{param}[coupon]")
    return Redemption(coupon=coupon)


def by_code(
    world: World,
    row: StripeObject,
    *,
    customer_id: str | None,
    currency: str,
    amount: int | None,
) -> Redemption:
    """Check a promotion code; with no `amount` its minimum is left for later."""
    enough = row["restrictions"]["minimum_amount"] or 0
    obstacle = promotion_codes.obstacle(
        world,
        row,
        customer_id=customer_id,
        currency=currency,
        amount=enough if amount is None else amount,
    )
    if obstacle is not None:
        raise InvalidRequest(obstacle, code="promotion_code_invalid", param="promotion_code")
    return Redemption(coupon=world.coupons[row["promotion"]["coupon"]], promotion_code=row)


def redeem(
    world: World,
    subscription: StripeObject,
    redemptions: tuple[Redemption, ...],
    session_id: str | None,
) -> None:
    for redemption in redemptions:
        discount = _discount(world, subscription, redemption, session_id)
        subscription["discounts"].append(world.discounts.add(discount)["id"])
        # Whoever has redeemed a coupon keeps it, even when it is deleted.
        world.coupons_as_redeemed[discount["id"]] = redemption.coupon
        redemption.coupon["times_redeemed"] += 1
        if redemption.promotion_code is not None:
            redemption.promotion_code["times_redeemed"] += 1
        world.events.emit("customer.discount.created", discount)


def _discount(
    world: World, subscription: StripeObject, redemption: Redemption, session_id: str | None
) -> StripeObject:
    code = redemption.promotion_code
    return {
        "id": ids.new("di"),
        "object": "discount",
        "checkout_session": session_id,
        "customer": subscription["customer"],
        "customer_account": None,
        "end": _end(world, redemption.coupon),
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code and code["id"],
        "source": {"coupon": redemption.coupon["id"], "type": "coupon"},
        "start": world.clock.now(),
        "subscription": subscription["id"],
        "subscription_item": None,
    }


def _end(world: World, coupon: StripeObject) -> int | None:
    if coupon["duration"] != "repeating":
        return None
    now = world.clock.now()
    months = {"interval": "month", "interval_count": coupon["duration_in_months"]}
    return periods.containing(now, months, now).end


def amounts_off(
    world: World, subscription: StripeObject, lines: list[Line]
) -> list[list[StripeObject]]:
    """
    Give what is taken off each line, as `discount_amounts`.

    Prorations are of prices before discounts, so nothing is taken off them.
    """
    taken: list[list[StripeObject]] = [[] for _ in lines]
    left = [0 if line.proration else max(0, line.amount) for line in lines]
    for discount_id in subscription["discounts"]:
        if _over(world, world.discounts[discount_id]):
            continue
        amounts = coupons.reduce(world.coupons_as_redeemed[discount_id], left)
        left = [before - amount for before, amount in zip(left, amounts, strict=True)]
        for of_line, amount in zip(taken, amounts, strict=True):
            if amount:
                of_line.append({"amount": amount, "discount": discount_id})
    return taken


def _over(world: World, discount: StripeObject) -> bool:
    return discount["end"] is not None and bool(discount["end"] <= world.clock.now())


def end_used_up(world: World, subscription: StripeObject, taken: list[list[StripeObject]]) -> None:
    """End the discounts whose time is over, and those for once that were just taken off."""
    used = {one["discount"] for one in total(taken)}
    for discount in [world.discounts[one] for one in subscription["discounts"]]:
        once = world.coupons_as_redeemed[discount["id"]]["duration"] == "once"
        if _over(world, discount) or (once and discount["id"] in used):
            _end_now(world, subscription, discount)


def _end_now(world: World, subscription: StripeObject, discount: StripeObject) -> None:
    discount["end"] = discount["end"] or world.clock.now()
    subscription["discounts"] = [one for one in subscription["discounts"] if one != discount["id"]]
    world.events.emit("customer.discount.deleted", discount)


def total(taken: list[list[StripeObject]]) -> list[StripeObject]:
    """Sum up per discount, as `total_discount_amounts`."""
    sums: dict[str, int] = {}
    for amount in (amount for of_line in taken for amount in of_line):
        sums[amount["discount"]] = sums.get(amount["discount"], 0) + amount["amount"]
    return [{"amount": amount, "discount": discount} for discount, amount in sums.items()]
