"""Looks at Stripe's key: whose it is, what it may do, and whether our clocks agree."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from billing_service.errors import StripeMisconfigured
from billing_service.findings import Finding, Patient, is_forbidden, ok, problem, warning

#: What the service reads, by the permission's name in Stripe's form for restricted keys.
NEEDED: dict[str, Callable[[Any], Any]] = {
    "Customers": lambda v1: v1.customers,
    "Checkout Sessions": lambda v1: v1.checkout.sessions,
    "Prices": lambda v1: v1.prices,
    "Products": lambda v1: v1.products,
    "Entitlements features": lambda v1: v1.entitlements.features,
    "Subscriptions": lambda v1: v1.subscriptions,
    "Invoices": lambda v1: v1.invoices,
    "Events": lambda v1: v1.events,
}
#: What only this command reads.
USEFUL: dict[str, Callable[[Any], Any]] = {
    "Webhook Endpoints": lambda v1: v1.webhook_endpoints,
    "Customer portal": lambda v1: v1.billing_portal.configurations,
}

#: Beyond it the gateway refuses every webhook: signatures hold the time.
TOLERANCE = timedelta(seconds=300)
#: Stripe tells whole seconds, and an answer takes its time.
NOTEWORTHY = timedelta(seconds=10)


async def key(patient: Patient) -> Finding:
    settings = patient.settings
    mode = "live" if settings.livemode else "test"
    text = f"{mode} mode, {await _whose(patient)}"
    if settings.stripe_api_key.get_secret_value().startswith("sk_"):
        return warning(
            f"{text}. It is a secret key, which may do anything: take a restricted one, rk_…, "
            "with the permissions that docs/go-live.md lists."
        )
    return ok(f"{text}, restricted")


async def _whose(patient: Patient) -> str:
    try:
        return f"of account {await patient.stripe.account_id()}"
    except StripeMisconfigured as refusal:
        if not is_forbidden(refusal):
            raise
        return "of an account that it may not tell"


async def permissions(patient: Patient) -> Finding:
    """Try each read once. Writes are not tried: they would change something."""
    needed = await _forbidden(patient, NEEDED)
    useful = await _forbidden(patient, USEFUL)
    if needed:
        return problem(
            f"The key may not read {', '.join(needed)}: give it these permissions at Stripe."
        )
    if useful:
        return warning(
            f"The key may not read {', '.join(useful)}: the service needs none of it, but what "
            "belongs to it cannot be looked at here."
        )
    return ok("may read all that it has to; writes were not tried")


async def _forbidden(patient: Patient, reads: dict[str, Callable[[Any], Any]]) -> list[str]:
    tried = await asyncio.gather(*(_may(patient, read) for read in reads.values()))
    return [name for name, may in zip(reads, tried, strict=True) if not may]


async def _may(patient: Patient, read: Callable[[Any], Any]) -> bool:
    try:
        await patient.stripe.first("permission", read(patient.stripe.v1))
    except StripeMisconfigured as refusal:
        if not is_forbidden(refusal):
            raise
        return False
    return True


async def clock(patient: Patient) -> Finding:
    """Compare with the `Date` of an answer."""
    answer = await patient.stripe.first("clock", patient.stripe.v1.products)
    now = datetime.now(UTC)
    if answer.start <= now <= answer.end + timedelta(seconds=1):
        return ok("agrees with Stripe's")
    off = now - answer.end if now > answer.end else now - answer.start
    text = (
        f"This machine's clock is about {abs(off.total_seconds()):.0f} seconds "
        f"{'ahead of' if off > timedelta(0) else 'behind'} Stripe's"
    )
    if abs(off) >= TOLERANCE:
        return problem(f"{text}: the gateway refuses webhooks beyond 300. Set it by NTP.")
    if abs(off) >= NOTEWORTHY:
        return warning(f"{text}. Set it by NTP: beyond 300 the gateway refuses webhooks.")
    return ok("agrees with Stripe's")
