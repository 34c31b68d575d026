from stripe import params as accepted

from stripe_emulator import (
    cancellation,
    collection,
    collection_pauses,
    discounts,
    payment_methods,
    renewals,
    sales,
    subscription_changes,
    subscriptions,
    trials,
)
from stripe_emulator.attributes import write
from stripe_emulator.errors import InvalidRequest, ResourceMissing, UnsupportedByEmulator
from stripe_emulator.orders import Order
from stripe_emulator.pagination import matching, page
from stripe_emulator.parameters import Params
from stripe_emulator.routing import delete, get, post
from stripe_emulator.subscriptions import ENDED
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

URL = "/v1/subscriptions"
#: What each value of the status filter leaves; without one the canceled are hidden.
STATUS_GROUPS = {"all": None, "ended": ENDED}


def create(world: World, params: Params) -> StripeObject:
    world.customers.referenced(params["customer"], "customer")
    order = _order(world, params)
    behavior = params.get("payment_behavior", "allow_incomplete")
    _check_terms(params, behavior)
    if order.trial_end is None and behavior != "default_incomplete":
        _check_payable(world, order, behavior)
    subscription = subscriptions.begin(world, order)
    subscriptions.announce(world, subscription)
    if subscription["status"] == "incomplete" and behavior != "default_incomplete":
        collection.collect(world, world.invoices[subscription["latest_invoice"]])
    return subscription


def _check_terms(params: Params, behavior: str) -> None:
    if behavior == "pending_if_incomplete":
        raise InvalidRequest(
            "`pending_if_incomplete` can only be used to update a subscription.",
            param="payment_behavior",
        )
    if params.get("collection_method") == "send_invoice":
        raise UnsupportedByEmulator("collection_method=send_invoice")
    if params.get("billing_mode", {}).get("type", "flexible") != "flexible":
        raise UnsupportedByEmulator("billing_mode[type]=classic")


def _order(world: World, params: Params) -> Order:
    sold = sales.read(world, params["items"], "items")
    once = sales.read(world, params.get("add_invoice_items", []), "add_invoice_items")
    if not sold or not all(sale.price["recurring"] for sale in sold):
        raise InvalidRequest(
            "The price specified is set to `type=one_time` but this field only accepts prices "
            "with `type=recurring`.",
            param="items[0][price]",
        )
    if len({sale.price["id"] for sale in sold}) < len(sold):
        raise InvalidRequest("Cannot add the same price to a subscription twice.", param="items")
    terms = dict(params)
    default = params.get("default_payment_method")
    if default:
        row = payment_methods.resolve(world, default, "default_payment_method")
        payment_methods.attach(world, row, params["customer"])
        terms["default_payment_method"] = row["id"]
    return Order(
        customer_id=params["customer"],
        sales=(*sold, *once),
        trial_end=trials.end(world, params),
        redemptions=discounts.read(
            world,
            params.get("discounts"),
            customer_id=params["customer"],
            currency=sold[0].price["currency"],
        ),
        terms=terms,
    )


def _check_payable(world: World, order: Order, behavior: str) -> None:
    customer = world.customers[order.customer_id]
    default = (
        order.terms.get("default_payment_method")
        or customer["invoice_settings"]["default_payment_method"]
    )
    if world.payment_methods.find(default) is None:
        raise InvalidRequest(
            "This customer has no attached payment source or default payment method. Please "
            "consider adding a default payment method.",
            code="resource_missing",
        )
    decline = world.instruments[default].charge_decline
    if behavior == "error_if_incomplete" and decline is not None:
        raise decline.error()


def retrieve(world: World, _params: Params, subscription: str) -> StripeObject:
    return world.subscriptions.retrieve(subscription)


def list_(world: World, params: Params) -> StripeObject:
    # What lives on a test clock is listed only when that or its customer is asked for.
    hidden = {} if "customer" in params else {"test_clock": None}
    keep = matching({**hidden, **params}, "collection_method", "customer", "test_clock")
    price = params.get("price")

    def wanted(subscription: StripeObject) -> bool:
        return (
            keep(subscription)
            and _of_status(subscription["status"], params.get("status"))
            and (price is None or price in _price_ids(subscription))
        )

    rows = world.subscriptions.of(params["customer"]) if "customer" in params else None
    return page(world.subscriptions, params, URL, wanted, rows)


def _of_status(status: str, wanted: str | None) -> bool:
    if wanted is None:
        return status != "canceled"
    if wanted in STATUS_GROUPS:
        group = STATUS_GROUPS[wanted]
        return group is None or status in group
    return status == wanted


def _price_ids(subscription: StripeObject) -> set[str]:
    return {item["price"]["id"] for item in subscription["items"]["data"]}


def update(world: World, params: Params, subscription: str) -> StripeObject:
    row = world.subscriptions.retrieve(subscription)
    if row["status"] in ENDED:
        _refuse_more_than_notes(params)
    if params.get("default_payment_method"):
        world.payment_methods.referenced(params["default_payment_method"], "default_payment_method")
    collection_pauses.check(world, params)
    change = subscription_changes.plan(world, row, params)
    with world.events.updating("customer.subscription.updated", row):
        write(row, params, ("default_payment_method", "description"))
        cancellation.apply(world, row, params)
        collection_pauses.write(row, params)
        subscription_changes.apply(world, row, change)
    subscription_changes.bill(world, row, change)
    if params.get("trial_end") == "now" and row["status"] == "trialing":
        renewals.end_trial_now(world, row)
    subscriptions.review(world, row)
    return row


def _refuse_more_than_notes(params: Params) -> None:
    if params.keys() - {"metadata", "cancellation_details", "expand"}:
        raise InvalidRequest(
            "A canceled subscription can only update its cancellation_details and metadata."
        )


def cancel(world: World, params: Params, subscription: str) -> StripeObject:
    row = world.subscriptions.retrieve(subscription)
    if row["status"] in ENDED:
        raise ResourceMissing(world.subscriptions.label, subscription)
    details = cancellation.details(params.get("cancellation_details", {}))
    subscriptions.cancel(world, row, {"reason": "cancellation_requested", **details})
    return row


def pause(world: World, params: Params, subscription: str) -> StripeObject:
    row = world.subscriptions.retrieve(subscription)
    if row["status"] not in ("active", "trialing", "past_due"):
        raise InvalidRequest(
            f"Only a subscription that is billed can be paused; this one is {row['status']}."
        )
    for name, given in params.get("bill_for", {}).items():
        if given["type"] != "none":
            raise UnsupportedByEmulator(f"bill_for[{name}][type]={given['type']}")
    renewals.pause(world, row, "pause_requested")
    return row


def resume(world: World, params: Params, subscription: str) -> StripeObject:
    row = world.subscriptions.retrieve(subscription)
    if row["status"] != "paused":
        raise InvalidRequest(
            f"Only paused subscriptions can be resumed; this one is {row['status']}."
        )
    if params.get("billing_cycle_anchor", {}).get("type", "now") != "now":
        raise UnsupportedByEmulator("billing_cycle_anchor[type]")
    renewals.resume(world, row)
    subscriptions.review(world, row)
    return row


ROUTES = (
    post(
        URL,
        create,
        accepted.SubscriptionCreateParams,
        requires=("customer", "items"),
        unsupported=(
            "billing_cycle_anchor",
            "billing_cycle_anchor_config",
            "cancel_at",
            "cancel_at_period_end",
            "days_until_due",
            "default_tax_rates",
            "pending_invoice_item_interval",
        ),
    ),
    get(URL, list_, accepted.SubscriptionListParams),
    get(f"{URL}/{{subscription}}", retrieve, accepted.SubscriptionRetrieveParams),
    post(
        f"{URL}/{{subscription}}",
        update,
        accepted.SubscriptionUpdateParams,
        unsupported=(
            "add_invoice_items",
            "billing_cycle_anchor",
            "collection_method",
            "default_tax_rates",
            "discounts",
            "payment_behavior",
            "pending_invoice_item_interval",
            "proration_date",
        ),
    ),
    delete(
        f"{URL}/{{subscription}}",
        cancel,
        accepted.SubscriptionCancelParams,
        unsupported=("invoice_now", "prorate"),
    ),
    post(f"{URL}/{{subscription}}/pause", pause, accepted.SubscriptionPauseParams),
    post(
        f"{URL}/{{subscription}}/resume",
        resume,
        accepted.SubscriptionResumeParams,
        unsupported=("payment_behavior", "proration_behavior", "proration_date"),
    ),
)
