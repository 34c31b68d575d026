"""`doctor`: looks for what is wrong, and says what to do about it."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from billing_service.composition import open_stripe
from billing_service.errors import BillingError
from billing_service.settings import ServiceSettings
from billing_service.stripe_api import LiveStripe
from billing_service.stripe_errors import StripeRefused
from subscription_state import catalog, deployment, migrate, reencryption, touches
from subscription_state.database import Database
from subscription_state.errors import StateError
from subscription_state.opening import open_database
from subscription_state.settings import PREFIX

#: So many customers that were given up are named.
MOST_NAMED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one look found."""

    subject: str
    ok: bool
    #: What is, or what to do.
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """What is examined."""

    settings: ServiceSettings
    database: Database
    stripe: LiveStripe


Look = Callable[[Patient], Awaitable[str]]


class Ill(Exception):
    """Something is wrong; the text says what to do."""


async def examine(settings: ServiceSettings) -> bool:
    """Print a table of findings; True where all is well."""
    patient = Patient(
        settings=settings,
        database=open_database(settings),
        stripe=open_stripe(settings),
    )
    try:
        findings = [await _find(subject, look, patient) for subject, look in LOOKS.items()]
    finally:
        await patient.stripe.close()
        await patient.database.close()
    _show(findings)
    return all(finding.ok for finding in findings)


async def _find(subject: str, look: Look, patient: Patient) -> Finding:
    try:
        return Finding(subject=subject, ok=True, text=await look(patient))
    except (Ill, StateError, BillingError, StripeRefused) as problem:
        return Finding(subject=subject, ok=False, text=str(problem))


def _show(findings: list[Finding]) -> None:
    table = Table("", "What", "Finding")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]no[/]"
        table.add_row(mark, finding.subject, escape(finding.text))
    Console().print(table)


async def _key(patient: Patient) -> str:
    mode = "live" if patient.settings.livemode else "test"
    return f"{mode} mode, of account {await patient.stripe.account_id()}"


async def _schema(patient: Patient) -> str:
    await migrate.check(patient.database)
    return f"at version {migrate.newest()}"


async def _deployment(patient: Patient) -> str:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        bound = await deployment.get(connection)
    if bound is None or bound.stripe_account_id is None:
        return "not bound yet: the first start of the service binds it"
    account_id = await patient.stripe.account_id()
    if (bound.livemode, bound.stripe_account_id) != (patient.settings.livemode, account_id):
        raise Ill("The database belongs to another account or mode than the key.")
    return f"bound to {bound.stripe_account_id}"


async def _secret(_patient: Patient) -> str:
    names = (f"{PREFIX}WEBHOOK_SECRETS", f"{PREFIX}WEBHOOK_SECRETS_FILE")
    if not any(os.environ.get(name) for name in names):
        raise Ill(f"{names[0]} is not set here; the gateway needs it.")
    return "present"


async def _products(patient: Patient) -> str:
    at_stripe = len(await patient.stripe.products())
    if at_stripe == 0:
        raise Ill("Stripe has no product: run `catalog apply FILE`.")
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        known = await catalog.count_products(connection)
    if known != at_stripe:
        raise Ill(f"Stripe has {at_stripe} products, {known} are known here: start the service.")
    return f"{known} known"


async def _bodies(patient: Patient) -> str:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        bodies = await reencryption.count_bodies(connection)
    in_the_clear = bodies.pop(reencryption.IN_THE_CLEAR, 0)
    missing = sorted(bodies.keys() - {key.key_id for key in patient.database.keyring.keys})
    if missing:
        raise Ill(
            f"{sum(bodies[each] for each in missing)} are encrypted with {', '.join(missing)}, "
            "which is not among the keys: they cannot be replayed. Bring it back."
        )
    if not patient.database.keyring.keys:
        return "stored in the clear: no key is configured"
    if in_the_clear:
        raise Ill(
            f"{in_the_clear} are stored in the clear: see that the gateway has the keys, "
            "then run `reencrypt`."
        )
    return f"{bodies.total()} are encrypted"


async def _customers(patient: Patient) -> str:
    await migrate.check(patient.database)
    async with patient.database.read() as connection:
        parked = await touches.parked(connection, limit=MOST_NAMED + 1)
    if parked:
        named = ", ".join(_parked(each) for each in parked[:MOST_NAMED])
        more = " and more" if len(parked) > MOST_NAMED else ""
        raise Ill(
            f"Cannot be compared with Stripe: {named}{more}. Mend the cause, which the log "
            "tells (verify_failed), then RefreshAccount."
        )
    return "none was given up"


def _parked(customer: touches.Parked) -> str:
    return f"{customer.customer_id} ({customer.error}, {customer.attempts} tries)"


LOOKS: dict[str, Look] = {
    "Stripe's key": _key,
    "database's schema": _schema,
    "database's deployment": _deployment,
    "endpoint's secret": _secret,
    "products": _products,
    "bodies of events": _bodies,
    "customers": _customers,
}
