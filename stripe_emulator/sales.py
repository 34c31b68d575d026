"""Reading which prices are sold from the parameters that name them."""

from stripe_emulator import catalog
from stripe_emulator.errors import InvalidRequest, MissingParameter
from stripe_emulator.orders import Sale
from stripe_emulator.parameters import Params
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

MOST_OF_ONE = 999_999


def read(world: World, items: list[Params], param: str) -> list[Sale]:
    return [_sale(world, item, f"{param}[{index}]") for index, item in enumerate(items)]


def _sale(world: World, item: Params, param: str) -> Sale:
    return Sale(
        price=price(world, item, param),
        quantity=_quantity(item, param),
        metadata=item.get("metadata") or {},
    )


def price(world: World, item: Params, param: str) -> StripeObject:
    if "price" in item and "price_data" in item:
        raise InvalidRequest(
            "You may only specify one of these parameters: price, price_data.",
            param=f"{param}[price]",
        )
    if "price_data" in item:
        return catalog.inline_price(world, item["price_data"])
    if "price" not in item:
        raise MissingParameter(f"{param}[price]")
    row = world.prices.referenced(item["price"], f"{param}[price]")
    if not row["active"]:
        raise InvalidRequest(
            f"The price specified is inactive. This field only accepts active prices: {row['id']}",
            param=f"{param}[price]",
        )
    return row


def _quantity(item: Params, param: str) -> int:
    quantity: int = item.get("quantity", 1)
    if not 1 <= quantity <= MOST_OF_ONE:
        raise InvalidRequest(
            f"Invalid quantity: must be between 1 and {MOST_OF_ONE}.", param=f"{param}[quantity]"
        )
    return quantity
