from stripe import params as accepted

from stripe_emulator import ids
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.prices import LARGEST_AMOUNT
from stripe_emulator.routing import delete, get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/coupons"
WHOLE = 100
MOST_MONTHS = 36
LONGEST_NAME = 40


def create(world: World, params: Params) -> StripeObject:
    _check(world, params)
    coupon = world.coupons.add(
        {
            "id": params.get("id") or ids.opaque(8),
            "object": "coupon",
            "created": world.clock.now(),
            "duration": params.get("duration", "once"),
            "livemode": False,
            "metadata": merged({}, params.get("metadata") or {}),
            "times_redeemed": 0,
            "valid": True,
            **picked(
                params,
                "amount_off",
                "currency",
                "duration_in_months",
                "max_redemptions",
                "name",
                "percent_off",
                "redeem_by",
            ),
        }
    )
    world.events.emit("coupon.created", coupon)
    return coupon


def _check(world: World, params: Params) -> None:
    if ("amount_off" in params) == ("percent_off" in params):
        raise InvalidRequest(
            "You must specify exactly one of `amount_off` and `percent_off`.",
            code="parameter_missing",
            param="percent_off",
        )
    if not 0 < params.get("percent_off", WHOLE) <= WHOLE:
        raise InvalidRequest(f"Invalid percent_off: at most {WHOLE}.", param="percent_off")
    if not 0 < params.get("amount_off", 1) <= LARGEST_AMOUNT:
        raise InvalidRequest("Invalid amount_off: must be positive.", param="amount_off")
    if ("amount_off" in params) != ("currency" in params):
        raise InvalidRequest("`currency` belongs to `amount_off`.", param="currency")
    repeating = params.get("duration") == "repeating"
    if repeating != ("duration_in_months" in params):
        raise InvalidRequest(
            "`duration_in_months` belongs to `duration=repeating`.", param="duration_in_months"
        )
    if not 1 <= params.get("duration_in_months", 1) <= MOST_MONTHS:
        raise InvalidRequest(
            f"Invalid duration_in_months: 1 to {MOST_MONTHS}.", param="duration_in_months"
        )
    if world.coupons.find(params.get("id")) is not None:
        raise InvalidRequest("Coupon already exists.", code="resource_already_exists", param="id")
    if len(params.get("name", "")) > LONGEST_NAME:
        raise InvalidRequest(f"A name has at most {LONGEST_NAME} characters.", param="name")


def is_valid(world: World, coupon: StripeObject) -> bool:
    """Tell whether it can still be redeemed."""
    most, until = coupon["max_redemptions"], coupon["redeem_by"]
    return (most is None or coupon["times_redeemed"] < most) and (
        until is None or world.clock.now() < until
    )


def reduce(coupon: StripeObject, amounts: list[int]) -> list[int]:
    """Give what it takes off each amount; a fixed sum is spread over them."""
    total = sum(amounts)
    if coupon["percent_off"] is not None:
        return [_rounded(amount * coupon["percent_off"] / WHOLE) for amount in amounts]
    off = min(coupon["amount_off"], total)
    taken: list[int] = []
    for count in range(1, len(amounts) + 1):
        share = _rounded(off * sum(amounts[:count]) / total) if total else 0
        taken.append(share - sum(taken))
    return taken


def _rounded(amount: float) -> int:
    return int(amount + 0.5)


def retrieve(world: World, _params: Params, coupon: str) -> StripeObject:
    row = world.coupons.retrieve(coupon)
    if not row.get("deleted"):
        row["valid"] = is_valid(world, row)
    return row


def update(world: World, params: Params, coupon: str) -> StripeObject:
    row = world.coupons.existing(coupon)
    with world.events.updating("coupon.updated", row):
        write(row, params, ("name",))
    return row


def remove(world: World, _params: Params, coupon: str) -> StripeObject:
    row = world.coupons.existing(coupon)
    world.events.emit("coupon.deleted", row)
    return world.coupons.mark_deleted(row)


def list_(world: World, params: Params) -> StripeObject:
    return page(world.coupons, params, URL, matching(params))


ROUTES = (
    post(
        URL,
        create,
        accepted.CouponCreateParams,
        unsupported=("applies_to", "currency_options"),
    ),
    get(URL, list_, accepted.CouponListParams),
    get(f"{URL}/{{coupon}}", retrieve, accepted.CouponRetrieveParams),
    post(
        f"{URL}/{{coupon}}",
        update,
        accepted.CouponUpdateParams,
        unsupported=("currency_options",),
    ),
    delete(f"{URL}/{{coupon}}", remove, accepted.CouponDeleteParams),
)
