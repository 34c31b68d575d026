"""`doctor`: looks for what is wrong, and says what to do about it."""

import asyncio
import json
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from billing_service import (
    doctor_access,
    doctor_catalog,
    doctor_customers,
    doctor_key,
    doctor_state,
    doctor_webhooks,
)
from billing_service.composition import open_stripe
from billing_service.errors import BillingError, StripeMisconfigured
from billing_service.findings import (
    Finding,
    Level,
    Look,
    Patient,
    is_forbidden,
    problem,
    warning,
    worst,
)
from billing_service.stripe_errors import StripeRefused
from billing_service.webhook_settings import WebhookSettings
from subscription_state.errors import StateError
from subscription_state.opening import open_database

#: How long one look may take, in seconds. All of them go on at the same time.
LOOK_TIMEOUT = 20.0

MARKS = {
    Level.OK: "[green]ok[/]",
    Level.WARNING: "[yellow]warning[/]",
    Level.PROBLEM: "[red]problem[/]",
}

#: Every look there is, by what it looks at. A new one is a line here.
LOOKS: dict[str, Look] = {
    "Stripe's key": doctor_key.key,
    "key's permissions": doctor_key.permissions,
    "clock": doctor_key.clock,
    "who may call": doctor_access.files,
    "database's schema": doctor_state.schema,
    "database's deployment": doctor_state.deployed,
    "backlog": doctor_state.backlog,
    "events": doctor_state.failed_events,
    "bodies of events": doctor_state.bodies,
    "webhook endpoint": doctor_webhooks.endpoint,
    "signing secrets": doctor_webhooks.secrets,
    "gateway": doctor_webhooks.gateway,
    "products": doctor_catalog.products,
    "features": doctor_catalog.features,
    "portal": doctor_catalog.portal,
    "customers": doctor_customers.parked,
    "accounts": doctor_customers.unlinked,
    "second subscriptions": doctor_customers.doubles,
    "drift": doctor_customers.drift,
}

Findings = dict[str, Finding]


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where the gateway is; empty for what the settings say."""

    webhook_url: str = ""
    gateway_url: str = ""


async def examine(settings: WebhookSettings, where: Where, *, as_json: bool = False) -> bool:
    """Print what was found; True where nothing is a problem."""
    webhook_url = where.webhook_url or settings.webhook_url
    patient = Patient(
        settings=settings,
        webhook_url=webhook_url,
        gateway_url=where.gateway_url or webhook_url,
        database=open_database(settings),
        stripe=open_stripe(settings),
    )
    try:
        findings = await look(patient, LOOKS)
    finally:
        await patient.stripe.close()
        await patient.database.close()
    (show_json if as_json else show)(findings)
    return worst(findings.values()) is not Level.PROBLEM


async def look(patient: Patient, looks: dict[str, Look]) -> Findings:
    """Take every look; one that fails says so, and hides no other."""
    found = await asyncio.gather(*(_find(each, patient) for each in looks.values()))
    return dict(zip(looks, found, strict=True))


async def _find(look: Look, patient: Patient) -> Finding:
    try:
        async with asyncio.timeout(LOOK_TIMEOUT):
            return await look(patient)
    except TimeoutError:
        return problem(f"Not known: there was no answer within {LOOK_TIMEOUT:.0f} seconds.")
    except StripeMisconfigured as refusal:
        return _refused(refusal)
    except (StateError, BillingError, StripeRefused) as failure:
        return problem(str(failure))
    except Exception as fault:  # noqa: BLE001 - a fault of this look must not hide the others
        return problem(f"Not known: the look itself failed ({type(fault).__name__}).")


def _refused(refusal: StripeMisconfigured) -> Finding:
    if is_forbidden(refusal):
        return warning("Not looked at: the key may not. See the key's permissions.")
    return problem(
        "Stripe does not accept the key: set PAIDUP_STRIPE_API_KEY to one that is valid."
    )


def show(findings: Findings) -> None:
    table = Table("", "What", "Finding")
    for subject, finding in findings.items():
        table.add_row(MARKS[finding.level], subject, escape(finding.text))
    Console().print(table)


def show_json(findings: Findings) -> None:
    """Print one object, for scripts: the worst level, and each finding."""
    told = [
        {"subject": subject, "level": finding.level.value, "text": finding.text}
        for subject, finding in findings.items()
    ]
    level = worst(findings.values()).value
    Console().print_json(json.dumps({"level": level, "findings": told}))
