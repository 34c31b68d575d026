from decimal import Decimal
from typing import Any

from stripe import params as accepted

from stripe_emulator import ids, products
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest, MissingParameter, UnsupportedByEmulator
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/prices"
LARGEST_AMOUNT = 99_999_999
LONGEST_INTERVALS = {"day": 1095, "week": 156, "month": 36, "year": 3}


def create(world: World, params: Params) -> StripeObject:
    _check(world, params)
    product_id = params.get("product") or products.add(world, params["product_data"])["id"]
    lookup_key = params.get("lookup_key")
    if lookup_key:
        _free_lookup_key(world, lookup_key, transfer=params.get("transfer_lookup_key", False))
    price = world.prices.add(_price(world, params, product_id))
    world.events.emit("price.created", price)
    return price


def _check(world: World, params: Params) -> None:
    if "product" in params and "product_data" in params:
        raise InvalidRequest("You may only specify one of these parameters: product, product_data.")
    if "product" in params:
        world.products.referenced(params["product"], "product")
    elif "product_data" not in params:
        raise MissingParameter("product")
    if ("unit_amount" in params) == ("unit_amount_decimal" in params):
        raise InvalidRequest(
            "You must specify exactly one of `unit_amount` and `unit_amount_decimal`.",
            code="parameter_missing",
            param="unit_amount",
        )
    if (
        not 0
        <= Decimal(params.get("unit_amount_decimal") or params["unit_amount"])
        <= LARGEST_AMOUNT
    ):
        raise InvalidRequest(
            f"Invalid amount: must be between 0 and {LARGEST_AMOUNT}.", param="unit_amount"
        )
    if params.get("billing_scheme") == "tiered":
        raise UnsupportedByEmulator("billing_scheme=tiered")
    _check_recurring(params.get("recurring"))


def _check_recurring(recurring: Params | None) -> None:
    if recurring is None:
        return
    if recurring.get("usage_type") == "metered":
        raise UnsupportedByEmulator("recurring[usage_type]=metered")
    longest = LONGEST_INTERVALS[recurring["interval"]]
    if not 1 <= recurring.get("interval_count", 1) <= longest:
        raise InvalidRequest(
            f"Invalid interval_count: must be between 1 and {longest}.",
            param="recurring[interval_count]",
        )


def _free_lookup_key(world: World, lookup_key: str, *, transfer: bool) -> None:
    for price in world.prices.where(lookup_key=lookup_key):
        if not transfer:
            raise InvalidRequest(
                f"A price (`{price['id']}`) already uses that lookup key.",
                code="resource_already_exists",
                param="lookup_key",
            )
        with world.events.updating("price.updated", price):
            price["lookup_key"] = None


def _price(world: World, params: Params, product_id: str) -> StripeObject:
    return {
        "id": ids.new("price"),
        "object": "price",
        "active": params.get("active", True),
        "billing_scheme": "per_unit",
        "created": world.clock.now(),
        "currency": params["currency"].lower(),
        "custom_unit_amount": None,
        "livemode": False,
        "metadata": merged({}, params.get("metadata", {})),
        "product": product_id,
        "recurring": _recurring(params.get("recurring")),
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if "recurring" in params else "one_time",
        **_unit_amounts(params),
        **picked(params, "lookup_key", "nickname"),
    }


def _recurring(recurring: Params | None) -> StripeObject | None:
    if recurring is None:
        return None
    return {
        "interval": recurring["interval"],
        "interval_count": recurring.get("interval_count", 1),
        "meter": None,
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": "licensed",
    }


def _unit_amounts(params: Params) -> StripeObject:
    amount = Decimal(params.get("unit_amount_decimal") or params["unit_amount"])
    whole = amount == amount.to_integral_value()
    return {
        "unit_amount": int(amount) if whole else None,
        "unit_amount_decimal": format(amount.normalize(), "f"),
    }


def retrieve(world: World, _params: Params, price: str) -> StripeObject:
    return world.prices.retrieve(price)


def update(world: World, params: Params, price: str) -> StripeObject:
    row = world.prices.retrieve(price)
    if params.get("lookup_key") not in (None, "", row["lookup_key"]):
        _free_lookup_key(
            world, params["lookup_key"], transfer=params.get("transfer_lookup_key", False)
        )
    with world.events.updating("price.updated", row):
        write(row, params, ("active", "lookup_key", "nickname", "tax_behavior"))
    return row


def list_(world: World, params: Params) -> StripeObject:
    keep = matching(params, "active", "currency", "product", "type")

    def wanted(price: StripeObject) -> bool:
        return (
            keep(price)
            and price["lookup_key"] in params.get("lookup_keys", [price["lookup_key"]])
            and _recurs_as(price["recurring"], params.get("recurring"))
        )

    return page(world.prices, params, URL, wanted)


def _recurs_as(recurring: StripeObject | None, wanted: dict[str, Any] | None) -> bool:
    if wanted is None:
        return True
    return recurring is not None and wanted.items() <= recurring.items()


UNSUPPORTED = (
    "custom_unit_amount",
    "tiers",
    "tiers_mode",
    "transform_quantity",
    "currency_options",
)

ROUTES = (
    post(
        URL,
        create,
        accepted.PriceCreateParams,
        requires=("currency",),
        unsupported=UNSUPPORTED,
    ),
    get(URL, list_, accepted.PriceListParams),
    get(f"{URL}/{{price}}", retrieve, accepted.PriceRetrieveParams),
    post(
        f"{URL}/{{price}}",
        update,
        accepted.PriceUpdateParams,
        unsupported=("currency_options",),
    ),
)
