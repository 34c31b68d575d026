"""Codes that customers type to redeem a coupon."""

import re

from stripe import params as accepted

from stripe_emulator import coupons, ids
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest, MissingParameter
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/promotion_codes"
CODE = re.compile(r"[A-Za-z0-9-]{1,500}")


def create(world: World, params: Params) -> StripeObject:
    promotion = params["promotion"]
    if "coupon" not in promotion:
        raise MissingParameter("promotion[coupon]")
    world.coupons.referenced(promotion["coupon"], "promotion[coupon]")
    if "customer" in params:
        world.customers.referenced(params["customer"], "customer")
    code = params.get("code") or ids.opaque(8).upper()
    _check_code(world, code)
    row = world.promotion_codes.add(
        {
            "id": ids.new("promo"),
            "object": "promotion_code",
            "active": params.get("active", True),
            "code": code,
            "created": world.clock.now(),
            "livemode": False,
            "metadata": merged({}, params.get("metadata", {})),
            "promotion": {"coupon": promotion["coupon"], "type": "coupon"},
            "restrictions": _restrictions(params.get("restrictions", {})),
            "times_redeemed": 0,
            **picked(params, "customer", "customer_account", "expires_at", "max_redemptions"),
        }
    )
    world.events.emit("promotion_code.created", row)
    return row


def _check_code(world: World, code: str) -> None:
    if CODE.fullmatch(code) is None:
        raise InvalidRequest("A code has letters, digits and dashes only.", param="code")
    if find(world, code) is not None:
        raise InvalidRequest(
            f"An active promotion code with `code: {code}` already exists.", param="code"
        )


def _restrictions(given: Params) -> StripeObject:
    return {
        "first_time_transaction": given.get("first_time_transaction", False),
        **picked(given, "minimum_amount", "minimum_amount_currency"),
    }


def find(world: World, code: str) -> StripeObject | None:
    """Find the active one; case does not matter."""
    wanted = code.casefold()
    active = world.promotion_codes.where(active=True)
    return next((row for row in active if row["code"].casefold() == wanted), None)


def obstacle(
    world: World, row: StripeObject, *, customer_id: str | None, currency: str, amount: int
) -> str | None:
    """Say why it cannot be redeemed for this; null if it can."""
    most, until, minimum = row["max_redemptions"], row["expires_at"], row["restrictions"]
    coupon = world.coupons[row["promotion"]["coupon"]]
    reasons = {
        "This code is not active.": not row["active"] or bool(coupon.get("deleted")),
        "This code has expired.": until is not None and until <= world.clock.now(),
        "This code has been used up.": most is not None and row["times_redeemed"] >= most,
        "This code is for somebody else.": row["customer"] not in (None, customer_id),
        "This code is for a first purchase only.": minimum["first_time_transaction"]
        and bool(customer_id)
        and any(one["amount_paid"] for one in world.invoices.where(customer=customer_id)),
        "This code is for larger purchases.": (minimum["minimum_amount"] or 0) > amount,
        "This code is for another currency.": minimum["minimum_amount_currency"]
        not in (None, currency),
    }
    found = next((reason for reason, holds in reasons.items() if holds), None)
    return found or coupon_obstacle(world, coupon, currency)


def coupon_obstacle(world: World, coupon: StripeObject, currency: str) -> str | None:
    if not coupons.is_valid(world, coupon):
        return "This coupon can no longer be redeemed."
    if coupon["currency"] not in (None, currency):
        return "This coupon is for another currency."
    return None


def retrieve(world: World, _params: Params, promotion_code: str) -> StripeObject:
    return world.promotion_codes.retrieve(promotion_code)


def update(world: World, params: Params, promotion_code: str) -> StripeObject:
    row = world.promotion_codes.retrieve(promotion_code)
    with world.events.updating("promotion_code.updated", row):
        write(row, params, ("active",))
    return row


def list_(world: World, params: Params) -> StripeObject:
    keep = matching(params, "active", "customer")
    code, coupon = params.get("code"), params.get("coupon")

    def wanted(row: StripeObject) -> bool:
        return (
            keep(row)
            and (code is None or row["code"].casefold() == code.casefold())
            and coupon in (None, row["promotion"]["coupon"])
        )

    return page(world.promotion_codes, params, URL, wanted)


ROUTES = (
    post(URL, create, accepted.PromotionCodeCreateParams, requires=("promotion",)),
    get(URL, list_, accepted.PromotionCodeListParams),
    get(f"{URL}/{{promotion_code}}", retrieve, accepted.PromotionCodeRetrieveParams),
    post(
        f"{URL}/{{promotion_code}}",
        update,
        accepted.PromotionCodeUpdateParams,
        unsupported=("restrictions",),
    ),
)
