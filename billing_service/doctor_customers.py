"""Looks at customers: given up, without an account, paying twice, unlike Stripe's."""

from datetime import UTC, datetime

from billing_service.customer_reader import read_customer
from billing_service.findings import MOST_NAMED, Finding, Patient, named, ok, problem, warning
from billing_service.stripe_errors import StripeRefused
from subscription_state import customers, migrate, oddities, subscriptions, touches
from subscription_state.model import TERMINAL

#: So many customers are compared with Stripe: those that nobody read for the longest time.
SAMPLE = 5


async def parked(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        given_up = await touches.parked(connection, limit=MOST_NAMED + 1)
    if not given_up:
        return ok("none was given up")
    told = [f"{each.customer_id} ({each.error}, {each.attempts} tries)" for each in given_up]
    return problem(
        f"Cannot be compared with Stripe: {named(told)}. Mend the cause, which the log tells "
        "(verify_failed), then RefreshAccount."
    )


async def unlinked(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        found = await oddities.paying_without_account(connection, limit=MOST_NAMED + 1)
    if not found:
        return ok("every customer with a live subscription belongs to one")
    return warning(
        f"Customers that pay and belong to no account: {named(found)}. Tie each to its "
        "account: LinkCustomer, or account_id in its metadata at Stripe."
    )


async def doubles(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        found = await oddities.paying_twice(connection)
    if not found:
        return ok("nobody pays twice for a product")
    told = [f"{each.customer_id} ({', '.join(each.subscription_ids)})" for each in found]
    return warning(
        f"Customers that pay more than once for a product: {named(told)}. Cancel one of the "
        "subscriptions at Stripe, and refund it."
    )


async def drift(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        sample = await customers.longest_unverified(
            connection, before=datetime.now(UTC), limit=SAMPLE
        )
    differing = [each for each in sample if await _differs(patient, each)]
    if not differing:
        return ok(f"none in {len(sample)} customers, those that were not read for the longest time")
    return warning(
        f"Not as Stripe has them: {named(differing)}. A running service mends it by itself; if it "
        "comes again, webhooks do not arrive."
    )


async def _differs(patient: Patient, customer_id: str) -> bool:
    """Compare as a verify does, and save nothing. One that Stripe refuses to tell of differs."""
    async with patient.database.read() as connection:
        known = await customers.get(connection, customer_id)
        stored = await subscriptions.of_customer(connection, customer_id)
    account = known.account_id if known else None
    try:
        read = await read_customer(patient.stripe, customer_id, ticket=0, known_account=account)
    except StripeRefused:
        return True
    here = {each.subscription.subscription_id: each.subscription for each in stored}
    there = {each.subscription_id: each for each in read.subscriptions}
    # What has ended may vanish from Stripe's list; it stays here.
    gone = [each for each in here.keys() - there.keys() if here[each].status not in TERMINAL]
    news = [each for each in there if here.get(each) != there[each]]
    return bool(read.deleted or gone or news)
