"""Finds the prices that callers name by id or by lookup key."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from billing_service.errors import InvalidRequest, PriceNotFound, Violation
from billing_service.stripe_api import Json, LiveStripe
from billing_service.stripe_errors import StripeRefused
from subscription_state.from_stripe import id_of

_ID_PREFIX = "price_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """An active price of Stripe's."""

    price_id: str
    product_id: str
    recurring: bool
    #: Billed by reported use: sold without a quantity.
    metered: bool


async def resolve(stripe: LiveStripe, names: Iterable[str]) -> list[Price]:
    """Find the prices in the order of their names.

    Raise `PriceNotFound` for the first that is missing or archived, and
    `InvalidRequest` where none of them recurs.
    """
    prices = await asyncio.gather(*(_find(stripe, name) for name in names))
    if not any(price.recurring for price in prices):
        raise InvalidRequest(
            Violation(field="line_items", description="At least one price must be recurring.")
        )
    return prices


async def _find(stripe: LiveStripe, name: str) -> Price:
    raw = await _by_id(stripe, name) if name.startswith(_ID_PREFIX) else None
    raw = raw or await stripe.price_by_lookup_key(name)
    if raw is None or not raw.get("active"):
        raise PriceNotFound(name)
    recurring = raw.get("recurring") or {}
    return Price(
        price_id=raw["id"],
        product_id=id_of(raw["product"]) or "",
        recurring=bool(recurring),
        metered=recurring.get("usage_type") == "metered",
    )


async def _by_id(stripe: LiveStripe, price_id: str) -> Json | None:
    try:
        return await stripe.price(price_id)
    except StripeRefused as refusal:
        if refusal.is_missing:
            return None
        raise
