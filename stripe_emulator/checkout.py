"""Checkout Sessions as a merchant sees them; what a customer does in one is elsewhere."""

from stripe.params import checkout as accepted

from stripe_emulator import (
    amounts,
    blanks,
    checkout_promotion,
    checkout_rules,
    discounts,
    ids,
    payable_with,
    payment_method_configurations,
    sales,
    subscriptions,
)
from stripe_emulator.attributes import merged, picked, write
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.orders import Purchase, Sale
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import get, post
from stripe_emulator.settings import DAY
from stripe_emulator.tables import StripeObject, Table, list_of
from stripe_emulator.world import World

URL = "/v1/checkout/sessions"
#: Echoed on the session as they were given.
ATTRIBUTES = (
    "allow_promotion_codes",
    "allowed_payment_method_types",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "customer",
    "customer_account",
    "customer_email",
    "excluded_payment_method_types",
    "integration_identifier",
    "locale",
    "origin_context",
    "return_url",
    "saved_payment_method_options",
    "shipping_address_collection",
    "submit_type",
    "success_url",
    "tax_id_collection",
    "wallet_options",
)

#: The account's own, where a session has none.
BRANDING = {
    "background_color": "#ffffff",
    "border_style": "rounded",
    "button_color": "#0074d4",
    "display_name": "Paidup emulator",
    "font_family": "default",
    "icon": None,
    "logo": None,
}


def create(world: World, params: Params) -> StripeObject:
    checkout_rules.check(world, params)
    sold = sales.read(world, params["line_items"], "line_items")
    checkout_rules.check_sales(sold, params["mode"])
    redemptions = discounts.read(
        world,
        params.get("discounts"),
        customer_id=params.get("customer"),
        currency=sold[0].price["currency"],
    )
    session = world.checkout_sessions.add(_session(world, params, sold))
    world.purchases[session["id"]] = Purchase(
        sales=tuple(sold),
        line_items=[_line_item(world, sale, session) for sale in sold],
        subscription_data=params.get("subscription_data", {}),
        payment_intent_data=params.get("payment_intent_data", {}),
        redemptions=redemptions,
        customer_id=params.get("customer"),
    )
    checkout_promotion.price(world, session)
    world.agenda.wake("checkout.session", session["id"], session["expires_at"])
    return session


def _session(world: World, params: Params, sold: list[Sale]) -> StripeObject:
    session_id = ids.new("cs_test").replace("cs_test_", "cs_test_a1", 1)
    now = world.clock.now()
    configuration = payment_method_configurations.of_session(world, params)
    return {
        "id": session_id,
        **blanks.fresh(blanks.CHECKOUT_SESSION),
        "adaptive_pricing": params.get("adaptive_pricing", {"enabled": False}),
        "amount_subtotal": 0,
        "amount_total": 0,
        "automatic_tax": {
            "enabled": params.get("automatic_tax", {}).get("enabled", False),
            "liability": None,
            "provider": None,
            "status": None,
        },
        "created": now,
        "currency": sold[0].price["currency"],
        "custom_text": _custom_text(params.get("custom_text") or {}),
        "customer_creation": _customer_creation(params),
        "expires_at": params.get("expires_at", now + DAY),
        "metadata": merged({}, params.get("metadata", {})),
        "mode": params["mode"],
        "payment_method_collection": params.get("payment_method_collection", "always"),
        "payment_method_configuration_details": {"id": configuration["id"], "parent": None},
        "payment_method_types": payable_with.offered(
            params,
            sold[0].price["currency"],
            payment_method_configurations.switched_on(configuration),
        ),
        "phone_number_collection": params.get("phone_number_collection", {"enabled": False}),
        **picked(params, *ATTRIBUTES),
        "after_expiration": _after_expiration(params.get("after_expiration") or {}),
        "branding_settings": {**BRANDING, **params.get("branding_settings", {})},
        "name_collection": _name_collection(params.get("name_collection") or {}),
        **_how_shown(world, params, session_id),
    }


def _after_expiration(given: Params) -> StripeObject | None:
    if "recovery" not in given:
        return None
    blank = {"allow_promotion_codes": False, "expires_at": None, "url": None}
    return {"recovery": {**blank, **given["recovery"]}}


def _name_collection(given: Params) -> StripeObject | None:
    return {kind: {"optional": False, **asked} for kind, asked in given.items()} or None


def _customer_creation(params: Params) -> str | None:
    if "customer" in params:
        return None
    return "always" if params["mode"] == "subscription" else "if_required"


def _how_shown(world: World, params: Params, session_id: str) -> StripeObject:
    if params.get("ui_mode", "hosted_page") == "hosted_page":
        return {
            "client_secret": None,
            "redirect_on_completion": None,
            "ui_mode": "hosted_page",
            "url": f"{world.base_url}/c/pay/{session_id}",
        }
    return {
        "client_secret": ids.client_secret(session_id),
        "redirect_on_completion": params.get("redirect_on_completion", "always"),
        "ui_mode": params["ui_mode"],
        "url": None,
    }


def _custom_text(given: Params) -> StripeObject:
    names = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
    return {name: given.get(name) or None for name in names}


def _line_item(world: World, sale: Sale, session: StripeObject) -> StripeObject:
    amount = amounts.of(sale.price, sale.quantity)
    return {
        "id": ids.new("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": session["currency"],
        "description": subscriptions.product_name(world, sale.price),
        "metadata": merged({}, sale.metadata),
        "price": sale.price,
        "quantity": sale.quantity,
    }


def retrieve(world: World, _params: Params, session: str) -> StripeObject:
    return world.checkout_sessions.retrieve(session)


def update(world: World, params: Params, session: str) -> StripeObject:
    row = world.checkout_sessions.retrieve(session)
    write(row, params, ())
    return row


def list_(world: World, params: Params) -> StripeObject:
    keep = matching(params, "customer", "payment_link", "status", "subscription")
    email = params.get("customer_details", {}).get("email")

    def wanted(session: StripeObject) -> bool:
        details = session["customer_details"] or {}
        return keep(session) and (email is None or details.get("email") == email)

    return page(world.checkout_sessions, params, URL, wanted)


def list_line_items(world: World, params: Params, session: str) -> StripeObject:
    world.checkout_sessions.retrieve(session)
    items = Table("line item")
    # Unlike everything else these are listed in the order they were given.
    for item in reversed(world.purchases[session].line_items):
        items.add(item)
    return page(items, params, f"{URL}/{session}/line_items", lambda _item: True)


def line_items_of(world: World, session: StripeObject) -> StripeObject:
    url = f"{URL}/{session['id']}/line_items"
    return list_of(world.purchases[session["id"]].line_items, url)


def expire(world: World, _params: Params, session: str) -> StripeObject:
    row = world.checkout_sessions.retrieve(session)
    if row["status"] != "open":
        raise InvalidRequest(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{row['status']}`."
        )
    _expire(world, row)
    return row


def wake(world: World, session_id: str) -> None:
    session = world.checkout_sessions[session_id]
    if session["status"] == "open":
        _expire(world, session)


def _expire(world: World, session: StripeObject) -> None:
    session["status"] = "expired"
    session["url"] = None
    world.events.emit("checkout.session.expired", session)
    subscription = world.subscriptions.find(world.purchases[session["id"]].subscription_id)
    if subscription is not None and subscription["status"] == "incomplete":
        subscriptions.expire(world, subscription)


ROUTES = (
    post(
        URL,
        create,
        accepted.SessionCreateParams,
        requires=("mode", "line_items"),
        unsupported=(
            "custom_fields",
            "managed_payments",
            "optional_items",
            "shipping_options",
        ),
    ),
    get(URL, list_, accepted.SessionListParams),
    get(f"{URL}/{{session}}", retrieve, accepted.SessionRetrieveParams),
    post(
        f"{URL}/{{session}}",
        update,
        accepted.SessionUpdateParams,
        unsupported=("collected_information", "line_items", "shipping_options"),
    ),
    get(f"{URL}/{{session}}/line_items", list_line_items, accepted.SessionLineItemListParams),
    post(f"{URL}/{{session}}/expire", expire, accepted.SessionExpireParams),
)
