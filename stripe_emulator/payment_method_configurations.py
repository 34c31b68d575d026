"""Which payment methods an account's owner has switched on, as Checkout's dynamic offer asks."""

from typing import Any

from stripe import params as accepted

from stripe_emulator import ids
from stripe_emulator.errors import UnsupportedByEmulator
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/payment_method_configurations"
KINDS = ("card", "sepa_debit", "au_becs_debit")
ATTRIBUTES = frozenset({"active", "expand", "name"})


def add_default(world: World) -> None:
    _add(world, {"name": "Default"}, is_default=True)


def create(world: World, params: Params) -> StripeObject:
    return _add(world, params, is_default=False)


def _add(world: World, params: Params, *, is_default: bool) -> StripeObject:
    _refuse_others(params)
    preferences: dict[str, Any] = {kind: _preference(kind, params, "on") for kind in KINDS}
    return world.payment_method_configurations.add(
        {
            "id": ids.new("pmc"),
            "object": "payment_method_configuration",
            "active": True,
            "application": None,
            "is_default": is_default,
            "livemode": False,
            "name": params.get("name", "Configuration"),
            "parent": None,
            **preferences,
        }
    )


def _refuse_others(params: Params) -> None:
    for name in sorted(params.keys() - ATTRIBUTES - set(KINDS)):
        raise UnsupportedByEmulator(name)


def _preference(kind: str, params: Params, before: str) -> StripeObject:
    asked = params.get(kind, {}).get("display_preference", {}).get("preference", before)
    # `none` leaves it to Stripe, which switches on what is available.
    value = "off" if asked == "off" else "on"
    return {
        "available": value == "on",
        "display_preference": {"overridable": None, "preference": asked, "value": value},
    }


def retrieve(world: World, _params: Params, configuration: str) -> StripeObject:
    return world.payment_method_configurations.retrieve(configuration)


def update(world: World, params: Params, configuration: str) -> StripeObject:
    row = world.payment_method_configurations.retrieve(configuration)
    _refuse_others(params)
    row |= {name: params[name] for name in ("active", "name") if name in params}
    for kind in KINDS:
        row[kind] = _preference(kind, params, row[kind]["display_preference"]["preference"])
    return row


def list_(world: World, params: Params) -> StripeObject:
    return page(world.payment_method_configurations, params, URL, matching(params, "active"))


def of_session(world: World, params: Params) -> StripeObject:
    """Find the configuration that a Checkout Session is made with: the one named or the default."""
    named = params.get("payment_method_configuration")
    if named is not None:
        return world.payment_method_configurations.referenced(named, "payment_method_configuration")
    (default,) = world.payment_method_configurations.where(is_default=True)
    return default


def switched_on(configuration: StripeObject) -> list[str]:
    return [kind for kind in KINDS if configuration[kind]["display_preference"]["value"] == "on"]


ROUTES = (
    post(URL, create, accepted.PaymentMethodConfigurationCreateParams),
    get(URL, list_, accepted.PaymentMethodConfigurationListParams),
    get(f"{URL}/{{configuration}}", retrieve, accepted.PaymentMethodConfigurationRetrieveParams),
    post(f"{URL}/{{configuration}}", update, accepted.PaymentMethodConfigurationUpdateParams),
)
