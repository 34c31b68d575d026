"""What a customer does in the portal."""

from stripe_emulator import (
    cancellation,
    collection,
    customers,
    payment_methods,
    setups,
    subscription_changes,
    subscriptions,
)
from stripe_emulator.checkout_payment import Outcome
from stripe_emulator.errors import InvalidRequest, ReferenceMissing
from stripe_emulator.instruments import Instrument
from stripe_emulator.parameters import Params
from stripe_emulator.subscriptions import ENDED
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


def cancel(
    world: World, session: StripeObject, subscription: StripeObject, *, immediately: bool
) -> None:
    feature = _enabled(world, session, "subscription_cancel")
    if immediately or feature["mode"] == "immediately":
        subscriptions.cancel(world, subscription, {"reason": "cancellation_requested"})
        return
    if subscription["cancel_at"] is not None:
        raise InvalidRequest("The subscription is already set to be canceled.")
    with world.events.updating("customer.subscription.updated", subscription):
        cancellation.at_period_end(world, subscription)
    subscriptions.review(world, subscription)


def leave_feedback(world: World, subscription: StripeObject, feedback: Params) -> None:
    """Answer the form after the cancellation, which Stripe reports as a second update."""
    with world.events.updating("customer.subscription.updated", subscription):
        subscription["cancellation_details"] |= feedback


def renew(world: World, session: StripeObject, subscription: StripeObject) -> None:
    _enabled(world, session, "subscription_cancel")
    if subscription["cancel_at"] is None:
        raise InvalidRequest("The subscription is not set to be canceled.")
    with world.events.updating("customer.subscription.updated", subscription):
        cancellation.schedule(world, subscription, None, at_period_end=False)


def update(
    world: World,
    session: StripeObject,
    subscription: StripeObject,
    *,
    price: str | None,
    quantity: int | None,
) -> None:
    asked = _asked(world, session, subscription, price=price, quantity=quantity)
    change = subscription_changes.plan(world, subscription, asked)
    with world.events.updating("customer.subscription.updated", subscription):
        subscription_changes.apply(world, subscription, change)
    subscription_changes.bill(world, subscription, change)
    subscriptions.review(world, subscription)


def cost_of_update(
    world: World,
    session: StripeObject,
    subscription: StripeObject,
    *,
    price: str | None,
    quantity: int | None,
) -> int:
    """Tell what `update` would charge for what is left of the period; negative is credit."""
    asked = _asked(world, session, subscription, price=price, quantity=quantity)
    if asked["proration_behavior"] == "none":
        return 0
    return subscription_changes.cost(world, subscription, asked)


def _asked(
    world: World,
    session: StripeObject,
    subscription: StripeObject,
    *,
    price: str | None,
    quantity: int | None,
) -> Params:
    """Give the change as the API would take it, if the configuration allows it."""
    feature = _enabled(world, session, "subscription_update")
    item = _only_item(subscription)
    wanted = {"price": price, "quantity": quantity}
    given = {name: value for name, value in wanted.items() if value is not None}
    _check_allowed(feature, given)
    if price is not None:
        _check_offered(world, feature, price)
        given = {"quantity": item["quantity"], **given}
    return {
        "items": [{"id": item["id"], **given}],
        "proration_behavior": feature["proration_behavior"],
    }


def _only_item(subscription: StripeObject) -> StripeObject:
    items: list[StripeObject] = subscription["items"]["data"]
    if len(items) > 1:
        raise InvalidRequest("The portal cannot update a subscription with several items.")
    return items[0]


def _check_allowed(feature: Params, given: Params) -> None:
    if not given:
        raise InvalidRequest("Say what to change: `price`, `quantity` or both.")
    for name in given:
        if name not in feature["default_allowed_updates"]:
            raise InvalidRequest(f"The portal's configuration allows no change of {name}.")


def _check_offered(world: World, feature: Params, price_id: str) -> None:
    world.prices.referenced(price_id, "price")
    offered = [price for product in feature["products"] or [] for price in product["prices"]]
    if offered and price_id not in offered:
        raise InvalidRequest(f"The portal's configuration does not offer {price_id}.")


def put_on_file(
    world: World,
    session: StripeObject,
    instrument: Instrument,
    *,
    authenticate: bool | None = None,
) -> Outcome:
    """Make an instrument the default; `authenticate` says what to answer if the bank asks."""
    _enabled(world, session, "payment_method_update")
    customer = world.customers.referenced(session["customer"], "customer")
    outcome = put_on_file_of(world, customer, instrument)
    if outcome.outcome == "requires_action" and authenticate is not None:
        return authenticate_setup(world, session, succeed=authenticate)
    return outcome


def put_on_file_of(world: World, customer: StripeObject, instrument: Instrument) -> Outcome:
    details = {"email": customer["email"]}
    payment_method = payment_methods.from_instrument(world, instrument, details)
    intent = setups.confirm(world, payment_method, customer["id"])
    return _after_setup(world, customer, payment_method, intent)


def authenticate_setup(world: World, session: StripeObject, *, succeed: bool) -> Outcome:
    """Answer the bank's question that the last `put_on_file` ended with."""
    _enabled(world, session, "payment_method_update")
    awaited = world.setup_intents.where(customer=session["customer"], status="requires_action")
    if not awaited:
        raise InvalidRequest("No payment method waits for authentication.")
    payment_method = world.payment_methods[awaited[-1]["payment_method"]]
    setups.authenticate(world, awaited[-1], succeed=succeed)
    customer = world.customers.referenced(session["customer"], "customer")
    return _after_setup(world, customer, payment_method, awaited[-1])


def _after_setup(
    world: World, customer: StripeObject, payment_method: StripeObject, intent: StripeObject
) -> Outcome:
    if intent["status"] == "requires_action":
        return Outcome(outcome="requires_action")
    if intent["status"] != "succeeded":
        error = intent["last_setup_error"]
        return Outcome(
            outcome="declined",
            code=error["code"],
            decline_code=error.get("decline_code"),
            message=error["message"],
        )
    payment_methods.attach(world, payment_method, customer["id"])
    customers.set_default_payment_method(world, customer, payment_method)
    for subscription in world.subscriptions.of(customer["id"]):
        if subscription["status"] not in ENDED:
            _use(world, subscription, payment_method)
    return Outcome(outcome="complete")


def _use(world: World, subscription: StripeObject, payment_method: StripeObject) -> None:
    with world.events.updating("customer.subscription.updated", subscription):
        subscription["default_payment_method"] = payment_method["id"]
    invoice = world.invoices[subscription["latest_invoice"]]
    overdue = subscription["status"] in ("past_due", "unpaid") and invoice["status"] == "open"
    if overdue and world.settings.retry_on_new_payment_method:
        collection.collect(world, invoice)


def _enabled(world: World, session: StripeObject, name: str) -> Params:
    configuration = world.portal_configurations[session["configuration"]]
    feature: Params = configuration["features"][name]
    if not feature["enabled"]:
        raise InvalidRequest(f"The portal's configuration does not enable `{name}`.")
    return feature


def subscription_of(
    world: World, session: StripeObject, subscription_id: str | None
) -> StripeObject:
    """Find the one that the customer means: named, the flow's, or the only one there is."""
    named = subscription_id or _of_flow(session["flow"])
    if named is not None:
        subscription = world.subscriptions.referenced(named, "subscription")
        if subscription["customer"] != session["customer"]:
            # Whose it is instead is nobody's business here.
            raise ReferenceMissing("subscription", named, "subscription")
        return subscription
    live = [
        subscription
        for subscription in world.subscriptions.of(session["customer"])
        if subscription["status"] not in ENDED
    ]
    if len(live) != 1:
        raise InvalidRequest(
            f"The customer has {len(live)} subscriptions: name one as `subscription`.",
            param="subscription",
        )
    return live[0]


def _of_flow(flow: StripeObject | None) -> str | None:
    detail = flow and flow.get(flow["type"])
    return str(detail["subscription"]) if detail and "subscription" in detail else None
