"""Where products and prices are made together."""

from stripe import params as accepted

from stripe_emulator import prices, products
from stripe_emulator.parameters import Params
from stripe_emulator.routing import post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def create_product(world: World, params: Params) -> StripeObject:
    product = products.add(world, params)
    if "default_price_data" in params:
        price = prices.create(world, {**params["default_price_data"], "product": product["id"]})
        with world.events.updating("product.updated", product):
            product["default_price"] = price["id"]
    return product


def inline_price(world: World, price_data: Params) -> StripeObject:
    """Make the price that a line item describes in place; it is not for sale elsewhere."""
    return prices.create(world, {**price_data, "active": False})


ROUTES = (post(products.URL, create_product, accepted.ProductCreateParams, requires=("name",)),)
