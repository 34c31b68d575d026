"""What a customer is entitled to: the features of all their entitling subscriptions."""

from stripe.params import entitlements as accepted

from stripe_emulator import features, ids
from stripe_emulator.events import BY_ITSELF
from stripe_emulator.pagination import page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get
from stripe_emulator.tables import StripeObject, list_of, snapshot
from stripe_emulator.world import World

URL = "/v1/entitlements/active_entitlements"
#: A summary shows no more; the rest has to be listed.
MOST_IN_SUMMARY = 10


def grant(world: World, subscription: StripeObject) -> None:
    """
    Take down the features that the subscription's products have now.

    Until its next period a subscription keeps these, whatever its products gain or lose.
    """
    world.granted_features[subscription["id"]] = tuple(
        feature_id
        for item in subscription["items"]["data"]
        for feature_id in features.feature_ids(world, item["price"]["product"])
    )
    world.unsettled_customers[subscription["customer"]] = None


def withdraw(world: World, subscription: StripeObject) -> None:
    world.granted_features.pop(subscription["id"], None)
    world.unsettled_customers[subscription["customer"]] = None


def settle(world: World) -> None:
    """Bring the entitlements in line with the subscriptions, as Stripe does a moment later."""
    with world.events.caused_by(BY_ITSELF):
        for customer_id in list(world.unsettled_customers):
            with world.living_on(world.test_clock_of(world.customers[customer_id])):
                _settle(world, customer_id)
    world.unsettled_customers.clear()


def _settle(world: World, customer_id: str) -> None:
    held = world.entitlements.setdefault(customer_id, {})
    wanted = _wanted(world, customer_id)
    if wanted.keys() == held.keys():
        return
    before = list(held.values())
    for feature_id in held.keys() - wanted.keys():
        world.active_entitlements.remove(held.pop(feature_id)["id"])
    for feature_id in wanted.keys() - held.keys():
        held[feature_id] = _entitlement(world, feature_id)
    _announce(world, customer_id, before)


def _wanted(world: World, customer_id: str) -> dict[str, None]:
    return {
        feature_id: None
        for subscription in world.subscriptions.of(customer_id)
        for feature_id in world.granted_features.get(subscription["id"], ())
    }


def _entitlement(world: World, feature_id: str) -> StripeObject:
    return world.active_entitlements.add(
        {
            "id": ids.new("ent"),
            "object": "entitlements.active_entitlement",
            "feature": feature_id,
            "livemode": False,
            "lookup_key": world.features[feature_id]["lookup_key"],
        }
    )


def _announce(world: World, customer_id: str, before: list[StripeObject]) -> None:
    previous = {"entitlements": {"data": snapshot(before[:MOST_IN_SUMMARY])}}
    after = list(world.entitlements[customer_id].values())
    summary = {
        "object": "entitlements.active_entitlement_summary",
        "customer": customer_id,
        "entitlements": list_of(
            after[:MOST_IN_SUMMARY],
            f"/v1/customer/{customer_id}/entitlements",
            has_more=len(after) > MOST_IN_SUMMARY,
        ),
        "livemode": False,
    }
    world.events.emit("entitlements.active_entitlement_summary.updated", summary, previous)


def retrieve(world: World, _params: Params, entitlement: str) -> StripeObject:
    return world.active_entitlements.retrieve(entitlement)


def list_(world: World, params: Params) -> StripeObject:
    world.customers.referenced(params["customer"], "customer")
    held = world.entitlements.get(params["customer"], {}).values()
    shown = {entitlement["id"] for entitlement in held}
    return page(world.active_entitlements, params, URL, lambda row: row["id"] in shown)


ROUTES = (
    get(URL, list_, accepted.ActiveEntitlementListParams),
    get(f"{URL}/{{entitlement}}", retrieve, accepted.ActiveEntitlementRetrieveParams),
)
