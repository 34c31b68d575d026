"""What happens when a customer fills in a Checkout Session's form and presses the button."""

from dataclasses import dataclass, replace
from typing import Literal

from stripe_emulator import (
    attempts,
    checkout_completion,
    checkout_promotion,
    checkout_questions,
    collection,
    customers,
    invoices,
    one_time_checkout,
    payment_methods,
    payments,
    setups,
    subscriptions,
    trials,
)
from stripe_emulator.attempts import Attempt
from stripe_emulator.errors import InvalidRequest
from stripe_emulator.instruments import Debit, Decline, Instrument
from stripe_emulator.orders import Order
from stripe_emulator.tables import StripeObject
from stripe_emulator.world import World

REQUIRES_ACTION = Attempt(status="requires_action")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What the customer typed; no instrument where none was asked for."""

    email: str | None
    instrument: Instrument | None
    name: str | None = None
    #: What to answer if the bank asks; null leaves the question open for `authenticate`.
    authenticate: bool | None = None
    promotion_code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What the form shows; the codes are null unless it was declined."""

    outcome: Literal["complete", "declined", "requires_action"]
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    #: What was charged or waits for authentication; null where nothing is due today.
    payment_intent: str | None = None


def pay(world: World, session: StripeObject, answers: Answers) -> Outcome:
    """Fill in the form, and press the button."""
    with world.living_on(world.test_clock_of(session)):
        return _pay(world, session, answers)


def _pay(world: World, session: StripeObject, answers: Answers) -> Outcome:
    if answers.promotion_code is not None:
        checkout_promotion.apply(world, session, answers.promotion_code)
    _check_open(session)
    checkout_questions.check(world, session, email=answers.email, instrument=answers.instrument)
    if answers.authenticate is not None and _is_awaited(world, session, answers.instrument):
        return _authenticate(world, session, succeed=answers.authenticate)
    if session["mode"] == "payment":
        return _pay_once(world, session, answers)
    _take_down(world, session, answers)
    customer = _customer(world, session, answers)
    payment_method = _payment_method(world, customer, answers)
    refusal = _refusal_of_debit(world, payment_method)
    if refusal is not None:
        return _finish(world, session, attempts.failed(refusal))
    buy = _pay_now if session["amount_total"] > 0 else _pay_later
    attempt = buy(world, session, customer, payment_method)
    if attempt.status == "requires_action" and answers.authenticate is not None:
        return _authenticate(world, session, succeed=answers.authenticate)
    return _finish(world, session, attempt)


def _pay_once(world: World, session: StripeObject, answers: Answers) -> Outcome:
    details = {"email": answers.email, "name": answers.name}
    attempt = one_time_checkout.buy(world, session, answers.instrument, details)
    return _outcome(attempt, session["payment_intent"])


def authenticate(world: World, session: StripeObject, *, succeed: bool) -> Outcome:
    """Answer the bank's question that the last `pay` ended with."""
    with world.living_on(world.test_clock_of(session)):
        return _authenticate(world, session, succeed=succeed)


def _authenticate(world: World, session: StripeObject, *, succeed: bool) -> Outcome:
    purchase = world.purchases[session["id"]]
    awaited = world.payment_methods.find(purchase.awaited_id)
    if session["status"] != "open" or awaited is None:
        raise InvalidRequest(f"The Checkout Session {session['id']} waits for no authentication.")
    world.purchases[session["id"]] = replace(purchase, awaited_id=None)
    proceed = _authenticate_payment if session["amount_total"] > 0 else _authenticate_setup
    return _finish(world, session, proceed(world, session, awaited, succeed=succeed))


def _check_open(session: StripeObject) -> None:
    if session["status"] != "open":
        raise InvalidRequest(
            f"The Checkout Session {session['id']} is {session['status']}; "
            "only an open one can be paid."
        )


def _is_awaited(world: World, session: StripeObject, instrument: Instrument | None) -> bool:
    awaited = world.purchases[session["id"]].awaited_id
    return awaited is not None and world.instruments[awaited] == instrument


def _take_down(world: World, session: StripeObject, answers: Answers) -> None:
    purchase = world.purchases[session["id"]]
    world.purchases[session["id"]] = replace(purchase, email=answers.email, awaited_id=None)


def _customer(world: World, session: StripeObject, answers: Answers) -> StripeObject:
    purchase = world.purchases[session["id"]]
    if purchase.customer_id is not None:
        return world.customers.referenced(purchase.customer_id, "customer")
    given = {
        "email": checkout_questions.known_email(world, session) or answers.email,
        "name": answers.name,
    }
    customer = customers.create(world, {name: value for name, value in given.items() if value})
    world.purchases[session["id"]] = replace(purchase, customer_id=customer["id"])
    return customer


def _payment_method(world: World, customer: StripeObject, answers: Answers) -> StripeObject | None:
    if answers.instrument is None:
        return None
    details = {"email": customer["email"] or answers.email, "name": answers.name}
    return payment_methods.from_instrument(world, answers.instrument, details)


def _pay_now(
    world: World,
    session: StripeObject,
    customer: StripeObject,
    payment_method: StripeObject | None,
) -> Attempt:
    # Stripe shows a card that is then declined on no customer.
    if payment_method and _goes_through(world, payment_method):
        payment_methods.attach(world, payment_method, customer["id"])
    subscription = _unpaid_subscription(world, session) or _subscribe(world, session, customer)
    invoice = world.invoices[subscription["latest_invoice"]]
    if invoice["status"] == "paid":
        return attempts.SUCCEEDED
    attempt = collection.collect(world, invoice, payment_method, remember=True)
    _await(world, session, payment_method, attempt)
    return attempt


def _refusal_of_debit(world: World, payment_method: StripeObject | None) -> Decline | None:
    """Find what Stripe knows of a bank account before it debits it."""
    instrument = payment_method and world.instruments[payment_method["id"]]
    return instrument.attach_decline if isinstance(instrument, Debit) else None


def _goes_through(world: World, payment_method: StripeObject) -> bool:
    instrument = world.instruments[payment_method["id"]]
    return isinstance(instrument, Debit) or (
        instrument.charge_decline is None
        and not payments.needs_authentication(world, payment_method, on_session=True)
    )


def _await(
    world: World, session: StripeObject, payment_method: StripeObject | None, attempt: Attempt
) -> None:
    if payment_method is not None and attempt.status == "requires_action":
        purchase = world.purchases[session["id"]]
        world.purchases[session["id"]] = replace(purchase, awaited_id=payment_method["id"])


def _unpaid_subscription(world: World, session: StripeObject) -> StripeObject | None:
    """Find what an earlier, declined try on this session has left."""
    purchase = world.purchases[session["id"]]
    subscription = world.subscriptions.find(purchase.subscription_id)
    if subscription is None or subscription["status"] != "incomplete":
        return None
    return subscription


def _authenticate_payment(
    world: World, session: StripeObject, payment_method: StripeObject, *, succeed: bool
) -> Attempt:
    subscription = world.subscriptions[world.purchases[session["id"]].subscription_id or ""]
    if subscription["status"] != "incomplete":
        raise InvalidRequest("It is too late to authenticate: the payment has been given up.")
    if succeed and world.instruments[payment_method["id"]].charge_decline is None:
        payment_methods.attach(world, payment_method, subscription["customer"])
    invoice = world.invoices[subscription["latest_invoice"]]
    return collection.authenticate(world, invoice, succeed=succeed, remember=True)


def _pay_later(
    world: World,
    session: StripeObject,
    customer: StripeObject,
    payment_method: StripeObject | None,
) -> Attempt:
    """Nothing is due today, so the instrument is only put on file."""
    if payment_method is None:
        _subscribe(world, session, customer)
        return attempts.SUCCEEDED
    intent = setups.confirm(world, payment_method, customer["id"])
    purchase = world.purchases[session["id"]]
    world.purchases[session["id"]] = replace(purchase, setup_intent_id=intent["id"])
    return _after_setup(world, session, customer, payment_method, intent)


def _authenticate_setup(
    world: World, session: StripeObject, payment_method: StripeObject, *, succeed: bool
) -> Attempt:
    purchase = world.purchases[session["id"]]
    intent = world.setup_intents[purchase.setup_intent_id or ""]
    setups.authenticate(world, intent, succeed=succeed)
    customer = world.customers.referenced(purchase.customer_id or "", "customer")
    return _after_setup(world, session, customer, payment_method, intent)


def _after_setup(
    world: World,
    session: StripeObject,
    customer: StripeObject,
    payment_method: StripeObject,
    intent: StripeObject,
) -> Attempt:
    if intent["status"] == "requires_action":
        _await(world, session, payment_method, REQUIRES_ACTION)
        return REQUIRES_ACTION
    if intent["status"] != "succeeded":
        return attempts.failed(_decline_of(intent["last_setup_error"]))
    payment_methods.attach(world, payment_method, customer["id"])
    _subscribe(world, session, customer, payment_method)
    return attempts.SUCCEEDED


def _decline_of(error: StripeObject) -> Decline:
    return Decline(
        code=error["code"], decline_code=error.get("decline_code"), message=error["message"]
    )


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
        redemptions=purchase.redemptions,
        checkout_session_id=session["id"],
        trial_end=trials.end(world, terms),
        terms=terms,
    )
    subscription = subscriptions.begin(world, order)
    subscriptions.announce(world, subscription)
    world.purchases[session["id"]] = replace(purchase, subscription_id=subscription["id"])
    return subscription


def _finish(world: World, session: StripeObject, attempt: Attempt) -> Outcome:
    if attempt.status in ("succeeded", "processing"):
        checkout_completion.complete(world, session, attempt)
    payment_intent = _payment_intent_id(world, session)
    if attempt.status == "requires_action":
        return Outcome(outcome="requires_action", payment_intent=payment_intent)
    return _outcome(attempt, payment_intent)


def _outcome(attempt: Attempt, payment_intent: str | None) -> Outcome:
    if attempt.decline is None:
        return Outcome(outcome="complete", payment_intent=payment_intent)
    return Outcome(
        outcome="declined",
        code=attempt.decline.code,
        decline_code=attempt.decline.decline_code,
        message=attempt.decline.message,
        payment_intent=payment_intent,
    )


def _payment_intent_id(world: World, session: StripeObject) -> str | None:
    subscription = world.subscriptions.find(world.purchases[session["id"]].subscription_id)
    if subscription is None or not world.invoice_payments.of(subscription["latest_invoice"]):
        return None
    intent = invoices.intent_of(world, world.invoices[subscription["latest_invoice"]])
    return str(intent["id"])
