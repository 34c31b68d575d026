"""Features, and which products have them."""

from stripe import params as accepted
from stripe.params import entitlements as accepted_entitlements

from stripe_emulator import ids
from stripe_emulator.attributes import merged, write
from stripe_emulator.errors import InvalidRequest, ResourceMissing
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import delete, get, post
from stripe_emulator.tables import StripeObject, deleted
from stripe_emulator.world import World

URL = "/v1/entitlements/features"
PRODUCT_URL = "/v1/products/{product}/features"


def create(world: World, params: Params) -> StripeObject:
    if world.features.where(lookup_key=params["lookup_key"], active=True):
        raise InvalidRequest(
            f"An active feature with lookup key '{params['lookup_key']}' already exists.",
            code="resource_already_exists",
            param="lookup_key",
        )
    return world.features.add(
        {
            "id": ids.new("feat"),
            "object": "entitlements.feature",
            "active": True,
            "livemode": False,
            "lookup_key": params["lookup_key"],
            "metadata": merged({}, params.get("metadata", {})),
            "name": params["name"],
        }
    )


def retrieve(world: World, _params: Params, feature: str) -> StripeObject:
    return world.features.retrieve(feature)


def update(world: World, params: Params, feature: str) -> StripeObject:
    row = world.features.retrieve(feature)
    if params.get("active") and not row["active"]:
        raise InvalidRequest("An archived feature cannot be made active again.", param="active")
    write(row, params, ("active", "name"))
    return row


def list_(world: World, params: Params) -> StripeObject:
    keep = matching(params, "lookup_key")
    archived = params.get("archived")
    return page(
        world.features,
        params,
        URL,
        lambda row: keep(row) and archived in (None, not row["active"]),
    )


def attach(world: World, params: Params, product: str) -> StripeObject:
    world.products.existing(product)
    feature = world.features.referenced(params["entitlement_feature"], "entitlement_feature")
    if feature["id"] in feature_ids(world, product):
        raise InvalidRequest(
            "This feature is already attached to the product.", param="entitlement_feature"
        )
    product_feature = world.product_features.add(
        {
            "id": ids.new("prodft"),
            "object": "product_feature",
            "entitlement_feature": feature,
            "livemode": False,
        }
    )
    world.products_of_features[product_feature["id"]] = product
    return product_feature


def feature_ids(world: World, product_id: str) -> tuple[str, ...]:
    """List a product's features in the order they were attached."""
    return tuple(
        world.product_features[product_feature_id]["entitlement_feature"]["id"]
        for product_feature_id, owner in world.products_of_features.items()
        if owner == product_id
    )


def retrieve_attached(
    world: World, _params: Params, product: str, product_feature: str
) -> StripeObject:
    world.products.existing(product)
    if world.products_of_features.get(product_feature) != product:
        raise ResourceMissing(world.product_features.label, product_feature)
    return world.product_features[product_feature]


def list_attached(world: World, params: Params, product: str) -> StripeObject:
    world.products.existing(product)
    return page(
        world.product_features,
        params,
        f"/v1/products/{product}/features",
        lambda row: world.products_of_features.get(row["id"]) == product,
    )


def detach(world: World, params: Params, product: str, product_feature: str) -> StripeObject:
    row = retrieve_attached(world, params, product, product_feature)
    world.product_features.remove(product_feature)
    del world.products_of_features[product_feature]
    return deleted(row)


ROUTES = (
    post(
        URL,
        create,
        accepted_entitlements.FeatureCreateParams,
        requires=("lookup_key", "name"),
    ),
    get(URL, list_, accepted_entitlements.FeatureListParams),
    get(f"{URL}/{{feature}}", retrieve, accepted_entitlements.FeatureRetrieveParams),
    post(f"{URL}/{{feature}}", update, accepted_entitlements.FeatureUpdateParams),
    post(
        PRODUCT_URL,
        attach,
        accepted.ProductFeatureCreateParams,
        requires=("entitlement_feature",),
    ),
    get(PRODUCT_URL, list_attached, accepted.ProductFeatureListParams),
    get(
        f"{PRODUCT_URL}/{{product_feature}}",
        retrieve_attached,
        accepted.ProductFeatureRetrieveParams,
    ),
    delete(f"{PRODUCT_URL}/{{product_feature}}", detach, accepted.ProductFeatureDeleteParams),
)
