import secrets

from stripe import params as accepted

from stripe_emulator import ids, payment_methods, subscriptions
from stripe_emulator.attributes import merged, picked, unset_if_empty, write
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import delete, get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/customers"
ATTRIBUTES = (
    "address",
    "business_name",
    "description",
    "email",
    "individual_name",
    "name",
    "phone",
    "shipping",
)
MOST_ON_TEST_CLOCK = 3
UNSUPPORTED = ("cash_balance", "source", "tax_id_data")


def create(world: World, params: Params) -> StripeObject:
    _check_email(params)
    _check_test_clock(world, params)
    on_file = _payment_methods(world, params)
    customer = world.customers.add(_customer(world, params))
    world.events.emit("customer.created", customer)
    _put_on_file(world, customer, on_file)
    return customer


def _customer(world: World, params: Params) -> StripeObject:
    prefix = params.get("invoice_prefix") or secrets.token_hex(4).upper()
    return {
        "id": ids.new("cus"),
        "object": "customer",
        "balance": params.get("balance", 0),
        "created": world.clock.now(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "discount": None,
        "invoice_prefix": prefix,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merged({}, params.get("metadata", {})),
        "next_invoice_sequence": params.get("next_invoice_sequence", 1),
        "preferred_locales": params.get("preferred_locales", []),
        "tax_exempt": params.get("tax_exempt") or "none",
        "test_clock": params.get("test_clock"),
        **picked(_with_whole_addresses(params), *ATTRIBUTES),
    }


def _with_whole_addresses(params: Params) -> Params:
    """Name an address's missing lines, as Stripe does, with null."""
    whole = dict(params)
    if params.get("address"):
        whole["address"] = {**payment_methods.NO_ADDRESS, **params["address"]}
    if params.get("shipping"):
        address = {**payment_methods.NO_ADDRESS, **params["shipping"].get("address", {})}
        whole["shipping"] = {"phone": None, **params["shipping"], "address": address}
    return whole


def _check_email(params: Params) -> None:
    email = params.get("email")
    if email and not _plausible(email):
        raise InvalidRequest(f"Invalid email address: {email}", code="email_invalid", param="email")


def _check_test_clock(world: World, params: Params) -> None:
    if "test_clock" not in params:
        return
    clock = world.test_clocks.referenced(params["test_clock"], "test_clock")
    if len(world.customers.where(test_clock=clock["id"])) >= MOST_ON_TEST_CLOCK:
        raise InvalidRequest(
            f"A test clock has at most {MOST_ON_TEST_CLOCK} customers.", param="test_clock"
        )


def _plausible(email: str) -> bool:
    name, _, host = email.rpartition("@")
    return bool(name) and bool(host) and not any(character.isspace() for character in email)


def _payment_methods(world: World, params: Params) -> dict[str, StripeObject]:
    """Find what is to be attached and what is to be the default, before anything changes."""
    default = params.get("invoice_settings", {}).get("default_payment_method")
    given = {
        "payment_method": params.get("payment_method"),
        "invoice_settings[default_payment_method]": default,
    }
    return {
        param: payment_methods.resolve(world, reference, param)
        for param, reference in given.items()
        if reference
    }


def _put_on_file(world: World, customer: StripeObject, on_file: dict[str, StripeObject]) -> None:
    for payment_method in on_file.values():
        payment_methods.attach(world, payment_method, customer["id"])
    default = on_file.get("invoice_settings[default_payment_method]")
    if default is not None:
        set_default_payment_method(world, customer, default)


def set_default_payment_method(
    world: World, customer: StripeObject, payment_method: StripeObject
) -> None:
    with world.events.updating("customer.updated", customer):
        customer["invoice_settings"]["default_payment_method"] = payment_method["id"]


def retrieve(world: World, _params: Params, customer: str) -> StripeObject:
    return world.customers.retrieve(customer)


def update(world: World, params: Params, customer: str) -> StripeObject:
    _check_email(params)
    row = world.customers.existing(customer)
    on_file = _payment_methods(world, params)
    for payment_method in on_file.values():
        payment_methods.attach(world, payment_method, customer)
    with world.events.updating("customer.updated", row):
        names = ("balance", "preferred_locales", "tax_exempt", *ATTRIBUTES)
        write(row, _with_whole_addresses(params), names)
        _write_invoice_settings(row, params.get("invoice_settings", {}), on_file)
    return row


def _write_invoice_settings(
    customer: StripeObject, given: Params, on_file: dict[str, StripeObject]
) -> None:
    settings = {name: unset_if_empty(value) for name, value in given.items()}
    default = on_file.get("invoice_settings[default_payment_method]")
    if default is not None:
        settings["default_payment_method"] = default["id"]
    customer["invoice_settings"] |= settings


def list_(world: World, params: Params) -> StripeObject:
    # Who lives on a test clock is listed only when asked for.
    keep = matching({"test_clock": None, **params}, "email", "test_clock")
    return page(world.customers, params, URL, keep)


def remove(world: World, _params: Params, customer: str) -> StripeObject:
    row = world.customers.existing(customer)
    for subscription in world.subscriptions.of(customer):
        if subscription["status"] not in subscriptions.ENDED:
            subscriptions.cancel(world, subscription, {})
    world.events.emit("customer.deleted", row)
    return world.customers.mark_deleted(row)


ROUTES = (
    post(URL, create, accepted.CustomerCreateParams, unsupported=UNSUPPORTED),
    get(URL, list_, accepted.CustomerListParams),
    get(f"{URL}/{{customer}}", retrieve, accepted.CustomerRetrieveParams),
    post(
        f"{URL}/{{customer}}",
        update,
        accepted.CustomerUpdateParams,
        unsupported=("cash_balance", "default_source", "source"),
    ),
    delete(f"{URL}/{{customer}}", remove, accepted.CustomerDeleteParams),
)
