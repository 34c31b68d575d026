"""What Stripe lacks of the catalog file: a plan, shown before it is carried out.

Prices cannot be changed at Stripe. One that differs is replaced: the new price
takes the lookup key over and the old one is archived; who pays it already
goes on paying it.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from billing_service.catalog_file import CatalogFile, PriceEntry, ProductEntry
from billing_service.stripe_api import Json, LiveStripe


@dataclass(frozen=True, kw_only=True, slots=True)
class AtStripe:
    """The catalogue as Stripe has it."""

    #: By lookup key; archived ones are left out.
    features: dict[str, Json]
    products: dict[str, Json]
    #: By lookup key; active ones only.
    prices: dict[str, Json]
    #: Lookup keys of each product's features, by product id.
    product_features: dict[str, frozenset[str]]


Work = Callable[[LiveStripe, "AtStripe"], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing to change at Stripe."""

    #: For the operator who is asked.
    description: str
    carry_out: Work


async def read_stripe(stripe: LiveStripe) -> AtStripe:
    products = {each["id"]: each for each in await stripe.products()}
    features = await stripe.features()
    return AtStripe(
        features={each["lookup_key"]: each for each in features if each["active"]},
        products=products,
        prices={
            each["lookup_key"]: each
            for each in await stripe.prices()
            if each["lookup_key"] and each["active"]
        },
        product_features={
            product_id: frozenset(
                each["entitlement_feature"]["lookup_key"]
                for each in await stripe.product_features(product_id)
            )
            for product_id in products
        },
    )


def plan(wanted: CatalogFile, present: AtStripe) -> Sequence[Change]:
    """Give the changes that make Stripe hold the file; what else Stripe has is left alone."""
    return [
        *_features(wanted, present),
        *(change for product in wanted.product for change in _product(product, present)),
    ]


def _features(wanted: CatalogFile, present: AtStripe) -> Iterator[Change]:
    for feature in wanted.feature:
        if feature.lookup_key not in present.features:
            params = {"lookup_key": feature.lookup_key, "name": feature.name}
            yield Change(
                description=f"create feature {feature.lookup_key}",
                carry_out=_create_feature(params),
            )


def _product(product: ProductEntry, present: AtStripe) -> Iterator[Change]:
    known = present.products.get(product.id)
    params = {"name": product.name}
    if product.description:
        params["description"] = product.description
    if known is None:
        yield Change(
            description=f"create product {product.id} ({product.name})",
            carry_out=_create_product(params | {"id": product.id}),
        )
    elif not known["active"] or any(known.get(name) != value for name, value in params.items()):
        yield Change(
            description=f"update product {product.id} ({product.name})",
            carry_out=_update_product(product.id, params | {"active": True}),
        )
    yield from _product_features(product, present)
    yield from _prices(product, present)


def _product_features(product: ProductEntry, present: AtStripe) -> Iterator[Change]:
    held = present.product_features.get(product.id, frozenset())
    for feature in product.features:
        if feature not in held:
            yield Change(
                description=f"give feature {feature} with product {product.id}",
                carry_out=_attach(product.id, feature),
            )


def _prices(product: ProductEntry, present: AtStripe) -> Iterator[Change]:
    for price in product.price:
        known = present.prices.get(price.lookup_key)
        if known is None:
            yield Change(
                description=f"create price {price.lookup_key}: {_words(price)}",
                carry_out=_create_price(_price_params(product.id, price)),
            )
        elif not _is_same(price, product.id, known):
            yield Change(
                description=f"replace price {price.lookup_key}: {_words(price)}",
                carry_out=_replace_price(_price_params(product.id, price), known["id"]),
            )


def _is_same(price: PriceEntry, product_id: str, known: Json) -> bool:
    recurring = known.get("recurring") or {}
    return (
        known["product"] == product_id
        and known["currency"] == price.currency
        and known["unit_amount"] == price.unit_amount
        and recurring.get("interval") == price.interval
        and recurring.get("interval_count", 1) == price.interval_count
    )


def _words(price: PriceEntry) -> str:
    often = f" every {price.interval_count} {price.interval}" if price.interval else " once"
    return f"{price.unit_amount} {price.currency.upper()} (minor units){often}"


def _price_params(product_id: str, price: PriceEntry) -> Json:
    params: Json = {
        "product": product_id,
        "lookup_key": price.lookup_key,
        "currency": price.currency,
        "unit_amount": price.unit_amount,
    }
    if price.interval:
        params["recurring"] = {"interval": price.interval, "interval_count": price.interval_count}
    return params


def _create_feature(params: Json) -> Work:
    async def work(stripe: LiveStripe, present: AtStripe) -> None:
        made = await stripe.post(stripe.v1.entitlements.features, "create", params)
        present.features[params["lookup_key"]] = made

    return work


def _create_product(params: Json) -> Work:
    return _post(lambda v1: v1.products, "create", params)


def _update_product(product_id: str, params: Json) -> Work:
    return _post(lambda v1: v1.products, "update", product_id, params)


def _create_price(params: Json) -> Work:
    # An archived price may still have the lookup key.
    return _post(lambda v1: v1.prices, "create", params | {"transfer_lookup_key": True})


def _attach(product_id: str, lookup_key: str) -> Work:
    async def work(stripe: LiveStripe, present: AtStripe) -> None:
        feature = {"entitlement_feature": present.features[lookup_key]["id"]}
        await stripe.post(stripe.v1.products.features, "create", product_id, feature)

    return work


def _replace_price(params: Json, old_id: str) -> Work:
    async def work(stripe: LiveStripe, _present: AtStripe) -> None:
        await stripe.post(stripe.v1.prices, "create", params | {"transfer_lookup_key": True})
        await stripe.post(stripe.v1.prices, "update", old_id, {"active": False})

    return work


def _post(service: Callable[[Any], Any], method: str, *arguments: Any) -> Work:
    async def work(stripe: LiveStripe, _present: AtStripe) -> None:
        await stripe.post(service(stripe.v1), method, *arguments)

    return work
