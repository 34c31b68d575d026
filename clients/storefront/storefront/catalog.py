"""What is sold, read from the same file that `catalog apply` makes real at Stripe."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERVALS = ("month", "year")


class CatalogInvalid(Exception):
    """The file is not a catalogue; the text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """A recurring price. What is charged is what Stripe has under the lookup key."""

    lookup_key: str
    currency: str
    #: In the currency's minor unit.
    amount: int
    interval: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A product that is sold by subscription."""

    product_id: str
    name: str
    description: str
    features: tuple[str, ...]
    prices: tuple[Price, ...]

    def price(self, currency: str, interval: str) -> Price | None:
        wanted = (currency, interval)
        return next((one for one in self.prices if (one.currency, one.interval) == wanted), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    plans: tuple[Plan, ...]
    #: Names of features by their lookup keys.
    features: dict[str, str]

    @property
    def currencies(self) -> tuple[str, ...]:
        """Every currency in which all plans can be had."""
        found = dict.fromkeys(price.currency for plan in self.plans for price in plan.prices)
        return tuple(each for each in found if all(_sells_in(plan, each) for plan in self.plans))

    def plan_of(self, lookup_key: str) -> Plan | None:
        return next((plan for plan in self.plans if _has(plan, lookup_key)), None)

    def price_of(self, lookup_key: str) -> Price | None:
        prices = (price for plan in self.plans for price in plan.prices)
        return next((price for price in prices if price.lookup_key == lookup_key), None)

    def plan_named(self, product_id: str) -> Plan | None:
        return next((plan for plan in self.plans if plan.product_id == product_id), None)

    def plans_with(self, feature: str) -> list[Plan]:
        return [plan for plan in self.plans if feature in plan.features]


def _sells_in(plan: Plan, currency: str) -> bool:
    return any(price.currency == currency for price in plan.prices)


def _has(plan: Plan, lookup_key: str) -> bool:
    return any(price.lookup_key == lookup_key for price in plan.prices)


def read(path: Path) -> Catalog:
    try:
        raw = tomllib.loads(path.read_text())
        plans = tuple(map(_plan, raw.get("product", ())))
        features = {one["lookup_key"]: one["name"] for one in raw.get("feature", ())}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise CatalogInvalid(f"{path} is not a catalogue: {error}") from error
    sold = tuple(plan for plan in plans if plan.prices)
    if not sold:
        raise CatalogInvalid(f"{path} has no product with a recurring price.")
    return Catalog(plans=sold, features=features)


def _plan(raw: dict[str, Any]) -> Plan:
    prices = (_price(one) for one in raw.get("price", ()) if one.get("interval") in INTERVALS)
    return Plan(
        product_id=raw["id"],
        name=raw["name"],
        description=raw.get("description", ""),
        features=tuple(raw.get("features", ())),
        prices=tuple(prices),
    )


def _price(raw: dict[str, Any]) -> Price:
    return Price(
        lookup_key=raw["lookup_key"],
        currency=raw["currency"],
        amount=raw["unit_amount"],
        interval=raw["interval"],
    )
