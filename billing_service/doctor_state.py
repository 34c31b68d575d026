"""Looks at the database: whose it is, and what waits in it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from billing_service.errors import StripeMisconfigured
from billing_service.findings import (
    MOST_NAMED,
    Finding,
    Patient,
    is_forbidden,
    named,
    ok,
    problem,
    warning,
)
from billing_service.migrate_command import left
from subscription_state import deployment, events, migrate, oddities, reencryption, touches

#: A touched customer is read within seconds while a service runs and Stripe answers.
SLOW = timedelta(minutes=1)
STUCK = timedelta(minutes=30)


async def schema(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    standing = await migrate.look(patient.database)
    if standing.pending:
        return warning(f"at version {standing.applied}. {left(standing.pending)}")
    return ok(f"at version {standing.applied}")


async def deployed(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        bound = await deployment.get(connection)
    if bound is None:
        return ok("not bound yet: the first start of the service binds it")
    if bound.livemode != patient.settings.livemode:
        return _of_another()
    if bound.stripe_account_id is None:
        return ok("bound to the key's mode; the account is not bound yet")
    return await _same_account(patient, bound.stripe_account_id)


async def _same_account(patient: Patient, bound: str) -> Finding:
    try:
        account_id = await patient.stripe.account_id()
    except StripeMisconfigured as refusal:
        if not is_forbidden(refusal):
            raise
        return warning(f"bound to {bound}; the key may not tell whether that is its account")
    return ok(f"bound to {bound}") if account_id == bound else _of_another()


def _of_another() -> Finding:
    return problem(
        "The database belongs to another account or mode than the key: set "
        "PAIDUP_DATABASE_URL or PAIDUP_STRIPE_API_KEY to the right one."
    )


async def backlog(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        found = await touches.backlog(connection)
    waiting = [each for each in (found.urgent, found.plain) if each.oldest is not None]
    if not waiting:
        return ok("nobody waits to be compared with Stripe")
    customers = sum(each.customers for each in waiting)
    age = datetime.now(UTC) - min(each.oldest for each in waiting if each.oldest)
    return _waiting(customers, age)


def _waiting(customers: int, age: timedelta) -> Finding:
    text = f"customers that wait to be compared with Stripe: {customers}"
    if age < SLOW:
        return ok(text)
    text += f", the longest for {int(age.total_seconds())} seconds"
    advice = "Does a service run? Its log tells what fails (verify_failed)."
    return problem(f"{text}. {advice}") if age >= STUCK else warning(f"{text}. {advice}")


async def failed_events(patient: Patient) -> Finding:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        failed = await events.count_failed(connection)
        parked = await _parked(connection)
    if failed.parked:
        return problem(
            f"{failed.parked} could not be applied and are not tried again: {parked}. Mend the "
            "cause, which the log tells (event_failed_again), then ReplayEvent."
        )
    if failed.waiting:
        return warning(f"{failed.waiting} could not be applied yet; they are tried again.")
    return ok("none failed")


async def _parked(connection: AsyncConnection) -> str:
    given_up = await oddities.given_up_events(connection, limit=MOST_NAMED + 1)
    return named([f"{each.event_id} ({each.type}, {each.error})" for each in given_up])


async def bodies(patient: Patient) -> Finding:
    """Say how the bodies of events are stored."""
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        stored = await reencryption.count_bodies(connection)
    keys = patient.database.keyring.keys
    in_the_clear = stored.pop(reencryption.IN_THE_CLEAR, 0)
    missing = sorted(stored.keys() - {key.key_id for key in keys})
    if missing:
        return problem(
            f"{sum(stored[each] for each in missing)} are encrypted with {', '.join(missing)}, "
            "which is not among the keys: they cannot be replayed. Bring it back."
        )
    if not keys:
        return ok("stored in the clear: no key is configured")
    if in_the_clear:
        return problem(
            f"{in_the_clear} are stored in the clear: see that the gateway has the keys, "
            "then run `reencrypt`."
        )
    return ok(f"{stored.total()} are encrypted")
