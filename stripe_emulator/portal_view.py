"""What the portal's pages show, picked from the world."""

from stripe_emulator import amounts, payment_view, subscriptions
from stripe_emulator.subscriptions import ENDED
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

MOST_INVOICES = 24
#: What each status is called, and how it looks.
STATUSES = {
    "active": ("Active", ""),
    "trialing": ("Trial", ""),
    "past_due": ("Past due", "bad"),
    "unpaid": ("Unpaid", "bad"),
    "incomplete": ("Incomplete", "warn"),
    "incomplete_expired": ("Expired", "quiet"),
    "paused": ("Paused", "warn"),
    "canceled": ("Canceled", "quiet"),
}
INVOICE_STATUSES = {
    "draft": ("Draft", "quiet"),
    "open": ("Open", "warn"),
    "paid": ("Paid", ""),
    "uncollectible": ("Uncollectible", "bad"),
    "void": ("Void", "quiet"),
}


def features_of(world: World, session: StripeObject) -> StripeObject:
    configuration: StripeObject = world.portal_configurations[session["configuration"]]
    features: StripeObject = configuration["features"]
    return features


def home(world: World, session: StripeObject) -> StripeObject:
    features = features_of(world, session)
    owned = [row for row in world.subscriptions.of(session["customer"]) if _shown(row)]
    return {
        "customer": world.customers[session["customer"]],
        "invoices": _invoices(world, owned) if features["invoice_history"]["enabled"] else [],
        "payment_method": _payment_method(world, session["customer"], owned),
        "subscriptions": [plan(world, session, row) for row in reversed(owned)],
    }


def _shown(subscription: StripeObject) -> bool:
    """Leave out what a customer never had."""
    return subscription["status"] not in ("incomplete", "incomplete_expired")


def plan(world: World, session: StripeObject, subscription: StripeObject) -> StripeObject:
    """Give a subscription as a customer sees it."""
    features = features_of(world, session)
    items = subscription["items"]["data"]
    ended = subscription["status"] in ENDED
    ending = subscription["cancel_at"] is not None
    may_cancel = features["subscription_cancel"]["enabled"] and not ended
    return {
        "id": subscription["id"],
        "status": STATUSES.get(subscription["status"], (subscription["status"], "quiet")),
        "items": [_item(world, item) for item in items],
        "total": sum(amounts.of(item["price"], item["quantity"]) for item in items),
        "currency": subscription["currency"],
        "recurring": items[0]["price"]["recurring"],
        "ended_at": subscription["ended_at"],
        "cancel_at": subscription["cancel_at"],
        "trial_end": subscription["trial_end"] if subscription["status"] == "trialing" else None,
        "renews_at": min(item["current_period_end"] for item in items),
        "may_cancel": may_cancel and not ending,
        "may_renew": may_cancel and ending,
        "may_update": features["subscription_update"]["enabled"] and not ended and len(items) == 1,
    }


def _item(world: World, item: StripeObject) -> StripeObject:
    price = item["price"]
    return {
        "price": price["id"],
        "name": subscriptions.product_name(world, price),
        "quantity": item["quantity"],
        "amount": amounts.of(price, item["quantity"]),
        "unit": amounts.of(price, 1),
        "currency": price["currency"],
        "recurring": price["recurring"],
    }


def offers(world: World, session: StripeObject, subscription: StripeObject) -> list[StripeObject]:
    """List the prices that a subscription may change to, its own among them."""
    feature = features_of(world, session)["subscription_update"]
    current = subscription["items"]["data"][0]["price"]
    if "price" not in feature["default_allowed_updates"]:
        return [_offer(world, current)]
    named = [price for product in feature["products"] or [] for price in product["prices"]]
    prices = [world.prices[price] for price in named] or _on_sale(world)
    fitting = [price for price in prices if _fits(price, current) or price is current]
    return [_offer(world, price) for price in fitting]


def _on_sale(world: World) -> list[StripeObject]:
    return [
        price
        for price in world.prices.where(active=True)
        if world.products[price["product"]].get("active")
    ]


def _fits(price: StripeObject, current: StripeObject) -> bool:
    return bool(price["recurring"]) and price["currency"] == current["currency"]


def _offer(world: World, price: StripeObject) -> StripeObject:
    return _item(world, {"price": price, "quantity": 1})


def _payment_method(world: World, customer_id: str, owned: list[StripeObject]) -> str | None:
    """Say what the next renewal will be charged to."""
    customer = world.customers[customer_id]
    live = [row["default_payment_method"] for row in owned if row["status"] not in ENDED]
    candidates = [*live, customer["invoice_settings"]["default_payment_method"]]
    named = next((candidate for candidate in candidates if candidate), None)
    payment_method = world.payment_methods.find(named)
    return None if payment_method is None else label_of(payment_method)


def label_of(payment_method: StripeObject) -> str:
    kind = payment_method["type"]
    detail = payment_method[kind]
    brand = detail["brand"].title() if kind == "card" else payment_view.METHODS[kind]
    return f"{brand} •••• {detail['last4']}"


def _invoices(world: World, owned: list[StripeObject]) -> list[StripeObject]:
    found = [
        {**invoice, "shown_status": INVOICE_STATUSES[invoice["status"]]}
        for subscription in owned
        for invoice in world.invoices.of(subscription["id"])
        if invoice["status"] != "draft"
    ]
    newest_first = sorted(found, key=lambda invoice: invoice["created"], reverse=True)
    return newest_first[:MOST_INVOICES]


def after_change(
    world: World, subscription: StripeObject, *, price: str | None, quantity: int | None
) -> StripeObject:
    """Give the plan's item as it would be."""
    item = subscription["items"]["data"][0]
    changed = {
        "price": world.prices[price] if price else item["price"],
        "quantity": item["quantity"] if quantity is None else quantity,
    }
    return _item(world, changed)
