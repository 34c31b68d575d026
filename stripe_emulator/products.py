from stripe import params as accepted

from stripe_emulator import ids
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import delete, get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/products"
ATTRIBUTES = (
    "description",
    "images",
    "marketing_features",
    "package_dimensions",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
)


LISTS = ("images", "marketing_features")


def add(world: World, params: Params) -> StripeObject:
    if world.products.find(params.get("id")):
        raise InvalidRequest("Product already exists.", code="resource_already_exists", param="id")
    product = world.products.add(_product(world, params))
    world.events.emit("product.created", product)
    return product


def _product(world: World, params: Params) -> StripeObject:
    now = world.clock.now()
    return {
        "id": params.get("id") or ids.new("prod"),
        "object": "product",
        "active": params.get("active", True),
        "created": now,
        "default_price": None,
        "livemode": False,
        "metadata": merged({}, params.get("metadata", {})),
        "name": params["name"],
        "type": params.get("type", "service"),
        "updated": now,
        **picked(params, *ATTRIBUTES),
        **_lists(params),
    }


def _lists(params: Params) -> StripeObject:
    """Give what is a list also where it is unset, and never null."""
    return {name: params.get(name) or [] for name in LISTS}


def retrieve(world: World, _params: Params, product: str) -> StripeObject:
    return world.products.retrieve(product)


def update(world: World, params: Params, product: str) -> StripeObject:
    row = world.products.existing(product)
    if "default_price" in params:
        world.prices.referenced(params["default_price"], "default_price")
    with world.events.updating("product.updated", row):
        write(row, params, ("active", "default_price", "name", *ATTRIBUTES))
        row.update(_lists({**row, **params}))
        row["updated"] = world.clock.now()
    return row


def list_(world: World, params: Params) -> StripeObject:
    keep = matching(params, "active", "shippable", "url")
    wanted = params.get("ids")
    return page(
        world.products,
        params,
        URL,
        lambda row: keep(row) and (wanted is None or row["id"] in wanted),
    )


def remove(world: World, _params: Params, product: str) -> StripeObject:
    row = world.products.existing(product)
    if world.prices.of(product):
        raise InvalidRequest(
            "This product cannot be deleted because it has one or more user-created prices."
        )
    world.events.emit("product.deleted", row)
    return world.products.mark_deleted(row)


ROUTES = (
    get(URL, list_, accepted.ProductListParams),
    get(f"{URL}/{{product}}", retrieve, accepted.ProductRetrieveParams),
    post(f"{URL}/{{product}}", update, accepted.ProductUpdateParams),
    delete(f"{URL}/{{product}}", remove, accepted.ProductDeleteParams),
)
