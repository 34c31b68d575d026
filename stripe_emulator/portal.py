"""The customer portal as a merchant sees it: configurations and sessions."""

from copy import deepcopy
from typing import Any

from stripe.params import billing_portal as accepted

from stripe_emulator import ids
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest, MissingParameter, UnsupportedByEmulator
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.subscriptions import ENDED
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

CONFIGURATIONS_URL = "/v1/billing_portal/configurations"
SESSIONS_URL = "/v1/billing_portal/sessions"

ALL_OFF: dict[str, Any] = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": [], "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {
        "duration": {"interval_options": [], "type": "indefinite"},
        "enabled": False,
    },
    "subscription_update": {
        "billing_cycle_anchor": "unchanged",
        "default_allowed_updates": [],
        "enabled": False,
        "products": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}
#: What the account's owner saved in the Dashboard. No products listed means all of them here.
BY_DEFAULT: Params = {
    "customer_update": {"allowed_updates": ["email", "name"], "enabled": True},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {
        "cancellation_reason": {
            "enabled": True,
            "options": [
                "too_expensive",
                "missing_features",
                "switched_service",
                "unused",
                "other",
            ],
        },
        "enabled": True,
    },
    "subscription_update": {
        "default_allowed_updates": ["price", "quantity"],
        "enabled": True,
        "proration_behavior": "always_invoice",
    },
}
#: Which feature of the configuration a flow needs.
FLOW_FEATURES = {
    "customer_update": "customer_update",
    "payment_method_update": "payment_method_update",
    "subscription_cancel": "subscription_cancel",
    "subscription_pause": "subscription_pause",
    "subscription_update": "subscription_update",
    "subscription_update_confirm": "subscription_update",
}
FLOWS_ON_SUBSCRIPTIONS = frozenset(
    {
        "subscription_cancel",
        "subscription_pause",
        "subscription_update",
        "subscription_update_confirm",
    }
)


def add_default_configuration(world: World) -> None:
    configuration = _configuration(world, {"features": BY_DEFAULT})
    world.portal_configurations.add({**configuration, "is_default": True})


def create_configuration(world: World, params: Params) -> StripeObject:
    configuration = world.portal_configurations.add(_configuration(world, params))
    world.events.emit("billing_portal.configuration.created", configuration)
    return configuration


def _configuration(world: World, params: Params) -> StripeObject:
    now = world.clock.now()
    profile = params.get("business_profile") or {}
    return {
        "id": ids.new("bpc"),
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": picked(
            profile, "headline", "privacy_policy_url", "terms_of_service_url"
        ),
        "created": now,
        "features": _features(ALL_OFF, params["features"]),
        "is_default": False,
        "livemode": False,
        "login_page": {
            "enabled": params.get("login_page", {}).get("enabled", False),
            "url": None,
        },
        "metadata": merged({}, params.get("metadata", {})),
        "updated": now,
        **picked(params, "default_return_url", "name"),
    }


def _laid_over(base: Params, changes: Params) -> Params:
    """Give `base` with the changes in it, object by object."""
    result = deepcopy(base)
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = _laid_over(result[name], value)
        elif value == "":
            result[name] = [] if isinstance(result.get(name), list) else None
        else:
            result[name] = value
    return result


def _features(base: Params, changes: Params) -> Params:
    features = _laid_over(base, changes)
    for product in features["subscription_update"]["products"]:
        given = product.get("adjustable_quantity", {})
        product["adjustable_quantity"] = {"enabled": False, "maximum": None, "minimum": 1, **given}
    return features


def retrieve_configuration(world: World, _params: Params, configuration: str) -> StripeObject:
    return world.portal_configurations.retrieve(configuration)


def update_configuration(world: World, params: Params, configuration: str) -> StripeObject:
    row = world.portal_configurations.retrieve(configuration)
    with world.events.updating("billing_portal.configuration.updated", row):
        write(row, params, ("active", "default_return_url", "name"))
        row["business_profile"] |= params.get("business_profile") or {}
        row["features"] = _features(row["features"], params.get("features", {}))
        row["updated"] = world.clock.now()
    return row


def list_configurations(world: World, params: Params) -> StripeObject:
    keep = matching(params, "active", "is_default")
    return page(world.portal_configurations, params, CONFIGURATIONS_URL, keep)


def create_session(world: World, params: Params) -> StripeObject:
    if "customer" not in params:
        raise MissingParameter("customer")
    world.customers.referenced(params["customer"], "customer")
    configuration = _chosen(world, params.get("configuration"))
    session_id = ids.new("bps")
    session = world.portal_sessions.add(
        {
            "id": session_id,
            "object": "billing_portal.session",
            "after_expiration": params.get("after_expiration"),
            "configuration": configuration["id"],
            "created": world.clock.now(),
            "customer": params["customer"],
            "customer_account": None,
            "flow": _flow(world, params, configuration),
            "livemode": False,
            "locale": params.get("locale"),
            "on_behalf_of": None,
            "return_url": params.get("return_url") or configuration["default_return_url"],
            "url": f"{world.base_url}/p/session/{session_id}",
        }
    )
    world.events.emit("billing_portal.session.created", session)
    return session


def _chosen(world: World, configuration_id: str | None) -> StripeObject:
    if configuration_id is None:
        return world.portal_configurations.where(is_default=True)[0]
    configuration = world.portal_configurations.referenced(configuration_id, "configuration")
    if not configuration["active"]:
        raise InvalidRequest("The configuration is not active.", param="configuration")
    return configuration


def _flow(world: World, params: Params, configuration: StripeObject) -> StripeObject | None:
    given = params.get("flow_data")
    if given is None:
        return None
    kind = given["type"]
    if not configuration["features"][FLOW_FEATURES[kind]]["enabled"]:
        raise InvalidRequest(
            f"The flow `{kind}` is not possible: the configuration {configuration['id']} does not "
            f"enable the feature `{FLOW_FEATURES[kind]}`.",
            param="flow_data[type]",
        )
    if kind in FLOWS_ON_SUBSCRIPTIONS:
        _check_subscription(world, params["customer"], kind, given.get(kind))
    return {
        "after_completion": {
            "hosted_confirmation": None,
            "redirect": None,
            "type": "portal_homepage",
            **given.get("after_completion", {}),
        },
        "customer_update": None,
        "subscription_cancel": _detail(given, "subscription_cancel", {"retention": None}),
        "subscription_pause": _detail(given, "subscription_pause", {}),
        "subscription_update": _detail(given, "subscription_update", {}),
        "subscription_update_confirm": _detail(
            given, "subscription_update_confirm", {"discounts": None}
        ),
        "type": kind,
    }


def _detail(given: Params, kind: str, blank: Params) -> Params | None:
    return {**blank, **given[kind]} if kind in given else None


def _check_subscription(world: World, customer: str, kind: str, given: Params | None) -> None:
    param = f"flow_data[{kind}][subscription]"
    if given is None:
        raise MissingParameter(f"flow_data[{kind}]")
    subscription = world.subscriptions.referenced(given["subscription"], param)
    if subscription["customer"] != customer:
        raise InvalidRequest("The subscription belongs to another customer.", param=param)
    if subscription["status"] in ENDED:
        raise InvalidRequest("The subscription has already ended.", param=param)
    if kind == "subscription_cancel" and subscription["cancel_at"] is not None:
        raise InvalidRequest("The subscription is already set to be canceled.", param=param)
    if kind == "subscription_pause":
        raise UnsupportedByEmulator("flow_data[type]=subscription_pause")


ROUTES = (
    post(
        CONFIGURATIONS_URL,
        create_configuration,
        accepted.ConfigurationCreateParams,
        requires=("features",),
    ),
    get(CONFIGURATIONS_URL, list_configurations, accepted.ConfigurationListParams),
    get(
        f"{CONFIGURATIONS_URL}/{{configuration}}",
        retrieve_configuration,
        accepted.ConfigurationRetrieveParams,
    ),
    post(
        f"{CONFIGURATIONS_URL}/{{configuration}}",
        update_configuration,
        accepted.ConfigurationUpdateParams,
    ),
    post(
        SESSIONS_URL,
        create_session,
        accepted.SessionCreateParams,
        unsupported=("customer_account", "on_behalf_of"),
    ),
)
