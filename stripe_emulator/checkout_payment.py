"""What happens when a customer fills in a Checkout Session's form and presses the button."""

from dataclasses import dataclass, replace

from stripe_emulator import collection, customers, payment_methods, setups, subscriptions, trials
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Card, Decline
from stripe_emulator.orders import Order
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the customer typed; no card where none was asked for."""

    email: str | None
    card: Card | None


def pay(world: World, session: StripeObject, answers: Answers) -> Decline | None:
    _check(world, session, answers)
    customer = _customer(world, session, answers)
    payment_method = _payment_method(world, customer, answers)
    buy = _pay_now if session["amount_total"] > 0 else _pay_later
    decline = buy(world, session, customer, payment_method)
    if decline is None:
        _complete(world, session, customer, answers)
    return decline


def _check(world: World, session: StripeObject, answers: Answers) -> None:
    if session["status"] != "open":
        raise InvalidRequest(
            f"The Checkout Session {session['id']} is {session['status']}; "
            "only an open one can be paid."
        )
    if answers.card is None and not _card_is_optional(session):
        raise InvalidRequest("The form asks for a card: give its `number`.", param="number")
    if _email(world, session, answers) is None:
        raise InvalidRequest("The form asks for an e-mail address.", param="email")


def _card_is_optional(session: StripeObject) -> bool:
    free = bool(session["amount_total"] == 0)
    return free and session["payment_method_collection"] == "if_required"


def _email(world: World, session: StripeObject, answers: Answers) -> str | None:
    customer = world.customers.find(world.purchases[session["id"]].customer_id)
    known = customer["email"] if customer else session["customer_email"]
    return known or answers.email


def _customer(world: World, session: StripeObject, answers: Answers) -> StripeObject:
    purchase = world.purchases[session["id"]]
    if purchase.customer_id is not None:
        return world.customers.referenced(purchase.customer_id, "customer")
    email = _email(world, session, answers)
    customer = customers.create(world, {"email": email} if email else {})
    world.purchases[session["id"]] = replace(purchase, customer_id=customer["id"])
    return customer


def _payment_method(world: World, customer: StripeObject, answers: Answers) -> StripeObject | None:
    if answers.card is None:
        return None
    email = customer["email"] or answers.email
    return payment_methods.from_card(world, answers.card, {"email": email})


def _pay_now(
    world: World,
    session: StripeObject,
    customer: StripeObject,
    payment_method: StripeObject | None,
) -> Decline | None:
    # Stripe shows a card that is then declined on no customer.
    if payment_method and world.cards[payment_method["id"]].charge_decline is None:
        payment_methods.attach(world, payment_method, customer["id"])
    subscription = _unpaid_subscription(world, session) or _subscribe(world, session, customer)
    invoice = world.invoices[subscription["latest_invoice"]]
    if invoice["status"] == "paid":
        return None
    return collection.collect(world, invoice, payment_method, remember=True)


def _unpaid_subscription(world: World, session: StripeObject) -> StripeObject | None:
    """Find what an earlier, declined try on this session has left."""
    purchase = world.purchases[session["id"]]
    subscription = world.subscriptions.find(purchase.subscription_id)
    if subscription is None or subscription["status"] != "incomplete":
        return None
    return subscription


def _pay_later(
    world: World,
    session: StripeObject,
    customer: StripeObject,
    payment_method: StripeObject | None,
) -> Decline | None:
    """Nothing is due today, so the card is only put on file."""
    if payment_method is not None:
        decline = setups.confirm(world, payment_method, customer["id"])
        if decline is not None:
            return decline
        payment_methods.attach(world, payment_method, customer["id"])
    _subscribe(world, session, customer, payment_method)
    return None


def _subscribe(
    world: World,
    session: StripeObject,
    customer: StripeObject,
    default: StripeObject | None = None,
) -> StripeObject:
    purchase = world.purchases[session["id"]]
    terms = dict(purchase.subscription_data)
    if default is not None:
        terms["default_payment_method"] = default["id"]
    order = Order(
        customer_id=customer["id"],
        sales=purchase.sales,
        trial_end=trials.end(world, terms),
        terms=terms,
    )
    subscription = subscriptions.begin(world, order)
    subscriptions.announce(world, subscription)
    world.purchases[session["id"]] = replace(purchase, subscription_id=subscription["id"])
    return subscription


def _complete(
    world: World, session: StripeObject, customer: StripeObject, answers: Answers
) -> None:
    subscription = world.subscriptions[world.purchases[session["id"]].subscription_id or ""]
    with world.events.updating("customer.updated", customer):
        customer["currency"] = subscription["currency"]
        customer["email"] = customer["email"] or answers.email
    session.update(
        customer=customer["id"],
        customer_details=_customer_details(customer),
        invoice=subscription["latest_invoice"],
        payment_status="paid" if session["amount_total"] > 0 else "no_payment_required",
        status="complete",
        subscription=subscription["id"],
        url=None,
    )
    world.events.emit("checkout.session.completed", session)


def _customer_details(customer: StripeObject) -> StripeObject:
    shown = ("address", "business_name", "email", "individual_name", "name", "phone", "tax_exempt")
    return {**{name: customer[name] for name in shown}, "tax_ids": []}
