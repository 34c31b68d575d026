from collections.abc import Callable

from stripe import params as accepted

from stripe_emulator import ids, mandates, payment_method_details, typed
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest, MissingParameter, UnsupportedByEmulator
from stripe_emulator.instruments import Card, Debit, Instrument
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


def from_instrument(
    world: World, instrument: Instrument, billing_details: Params | None = None
) -> StripeObject:
    payment_method = world.payment_methods.add(
        {
            "id": ids.new("pm"),
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": _billing_details(NO_DETAILS, billing_details or {}),
            "created": world.clock.now(),
            "customer": None,
            "livemode": False,
            "metadata": {},
            **payment_method_details.of_payment_method(world, instrument),
        }
    )
    world.instruments[payment_method["id"]] = instrument
    return payment_method


def resolve(world: World, reference: str, param: str) -> StripeObject:
    """Find a payment method, or make the one that a test token stands for."""
    instrument = typed.BY_TOKEN.get(reference)
    if instrument is not None:
        return from_instrument(world, instrument)
    return world.payment_methods.referenced(reference, param)


def attach(world: World, payment_method: StripeObject, customer_id: str) -> None:
    if payment_method["customer"] == customer_id:
        return
    if payment_method["customer"] is not None:
        raise InvalidRequest(
            "The payment method you provided has already been attached to a customer."
        )
    decline = world.instruments[payment_method["id"]].attach_decline
    if decline is not None:
        raise decline.error()
    payment_method["customer"] = customer_id
    mandates.accept(world, payment_method)
    world.events.emit("payment_method.attached", payment_method)


def create(world: World, params: Params) -> StripeObject:
    read = READERS.get(params["type"])
    if read is None:
        raise UnsupportedByEmulator(f"type={params['type']}")
    if params["type"] not in params:
        raise MissingParameter(params["type"])
    instrument = read(params[params["type"]])
    if isinstance(instrument, Debit) and instrument.attach_decline is not None:
        raise instrument.attach_decline.error()
    payment_method = from_instrument(world, instrument, params.get("billing_details"))
    payment_method["metadata"] = merged({}, params.get("metadata", {}))
    return payment_method


def _card(given: Params) -> Instrument:
    if "number" in given:
        return typed.card(given["number"], "card[number]")
    if "token" not in given:
        raise MissingParameter("card[token]")
    instrument = typed.BY_TOKEN.get(given["token"])
    if not isinstance(instrument, Card):
        raise InvalidRequest(
            f"No such token: '{given['token']}'", code="resource_missing", param="card[token]"
        )
    return instrument


#: By type: what reads the parameter of that name.
READERS: dict[str, Callable[[Params], Instrument]] = {
    "au_becs_debit": lambda given: typed.becs(
        given["bsb_number"], given["account_number"], "au_becs_debit"
    ),
    "card": _card,
    "sepa_debit": lambda given: typed.iban(given["iban"], "sepa_debit[iban]"),
}


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
