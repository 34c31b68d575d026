from stripe import params as accepted

from stripe_emulator import ids, instruments
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest, MissingParameter, UnsupportedByEmulator
from stripe_emulator.instruments import Card
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/payment_methods"
NO_ADDRESS = {
    "city": None,
    "country": None,
    "line1": None,
    "line2": None,
    "postal_code": None,
    "state": None,
}
NO_DETAILS: StripeObject = {
    "address": NO_ADDRESS,
    "email": None,
    "name": None,
    "phone": None,
    "tax_id": None,
}


def _billing_details(base: StripeObject, changes: Params) -> StripeObject:
    details = {**base, **picked(changes, *changes)}
    details["address"] = {**NO_ADDRESS, **(details["address"] or {})}
    return details


def from_card(world: World, card: Card, billing_details: Params | None = None) -> StripeObject:
    payment_method = world.payment_methods.add(
        {
            "id": ids.new("pm"),
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": _billing_details(NO_DETAILS, billing_details or {}),
            "card": _card(world, card),
            "created": world.clock.now(),
            "customer": None,
            "livemode": False,
            "metadata": {},
            "type": "card",
        }
    )
    world.cards[payment_method["id"]] = card
    return payment_method


def _card(world: World, card: Card) -> StripeObject:
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        "exp_month": 12,
        "exp_year": _year(world) + 4,
        "fingerprint": f"emulated{card.number[-8:]}",
        "funding": "credit",
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def _year(world: World) -> int:
    return 1970 + world.clock.now() // (365 * 24 * 60 * 60 + 6 * 60 * 60)


def resolve(world: World, reference: str, param: str) -> StripeObject:
    """Find a payment method, or make the one that a test token stands for."""
    card = instruments.BY_TOKEN.get(reference)
    if card is not None:
        return from_card(world, card)
    return world.payment_methods.referenced(reference, param)


def attach(world: World, payment_method: StripeObject, customer_id: str) -> None:
    if payment_method["customer"] == customer_id:
        return
    if payment_method["customer"] is not None:
        raise InvalidRequest(
            "The payment method you provided has already been attached to a customer."
        )
    decline = world.cards[payment_method["id"]].attach_decline
    if decline is not None:
        raise decline.error()
    payment_method["customer"] = customer_id
    world.events.emit("payment_method.attached", payment_method)


def create(world: World, params: Params) -> StripeObject:
    if params["type"] != "card":
        raise UnsupportedByEmulator(f"type={params['type']}")
    token = params.get("card", {}).get("token")
    if token is None:
        raise MissingParameter("card[token]")
    card = instruments.BY_TOKEN.get(token)
    if card is None:
        raise InvalidRequest(
            f"No such token: '{token}'", code="resource_missing", param="card[token]"
        )
    payment_method = from_card(world, card, params.get("billing_details"))
    payment_method["metadata"] = merged({}, params.get("metadata", {}))
    return payment_method


def retrieve(world: World, _params: Params, payment_method: str) -> StripeObject:
    return world.payment_methods.retrieve(payment_method)


def update(world: World, params: Params, payment_method: str) -> StripeObject:
    row = world.payment_methods.retrieve(payment_method)
    with world.events.updating("payment_method.updated", row):
        row["billing_details"] = _billing_details(
            row["billing_details"], params.get("billing_details", {})
        )
        write(row, params, ("allow_redisplay",))
    return row


def attach_to_customer(world: World, params: Params, payment_method: str) -> StripeObject:
    world.customers.referenced(params["customer"], "customer")
    row = resolve(world, payment_method, "payment_method")
    attach(world, row, params["customer"])
    return row


def detach(world: World, _params: Params, payment_method: str) -> StripeObject:
    row = world.payment_methods.retrieve(payment_method)
    if row["customer"] is None:
        raise InvalidRequest("The payment method you provided is not attached to a customer.")
    row["customer"] = None
    world.events.emit("payment_method.detached", row, {"customer": None})
    return row


def list_(world: World, params: Params) -> StripeObject:
    keep = matching(params, "type")
    customer = params.get("customer")
    return page(
        world.payment_methods,
        params,
        URL,
        lambda row: customer is not None and row["customer"] == customer and keep(row),
    )


def list_of_customer(world: World, params: Params, customer: str) -> StripeObject:
    world.customers.existing(customer)
    keep = matching(params, "type")
    return page(
        world.payment_methods,
        params,
        f"/v1/customers/{customer}/payment_methods",
        lambda row: row["customer"] == customer and keep(row),
    )


ROUTES = (
    post(URL, create, accepted.PaymentMethodCreateParams, requires=("type",)),
    get(URL, list_, accepted.PaymentMethodListParams),
    get(f"{URL}/{{payment_method}}", retrieve, accepted.PaymentMethodRetrieveParams),
    post(f"{URL}/{{payment_method}}", update, accepted.PaymentMethodUpdateParams),
    post(
        f"{URL}/{{payment_method}}/attach",
        attach_to_customer,
        accepted.PaymentMethodAttachParams,
        requires=("customer",),
    ),
    post(f"{URL}/{{payment_method}}/detach", detach, accepted.PaymentMethodDetachParams),
    get(
        "/v1/customers/{customer}/payment_methods",
        list_of_customer,
        accepted.CustomerPaymentMethodListParams,
    ),
)
