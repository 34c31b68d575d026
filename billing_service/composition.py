"""The one place where the service's parts are put together."""

from dataclasses import dataclass
from datetime import timedelta

from billing_service import event_sweep, metrics, oldest_sweep
from billing_service.account_links import AccountLinks
from billing_service.account_refresh import AccountRefresh
from billing_service.admin_servicer import AdminServicer
from billing_service.background import Background
from billing_service.budget import Budget
from billing_service.checkout import Checkout
from billing_service.checks import Checks
from billing_service.erasure import Erasure
from billing_service.event_log import EventLog
from billing_service.event_retries import EventRetries
from billing_service.event_sweep import EventSweep
from billing_service.mirror import Mirror
from billing_service.oldest_sweep import OldestSweep
from billing_service.portal import Portal
from billing_service.servicer import BillingServicer
from billing_service.session_status import SessionStatuses
from billing_service.settings import ServiceSettings, split
from billing_service.stripe_api import LiveStripe
from billing_service.urls import AllowedOrigins
from billing_service.verifier import Verifier
from subscription_state.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Everything that a running service consists of."""

    database: Database
    stripe: LiveStripe
    verifier: Verifier
    mirror: Mirror
    background: Background
    servicer: BillingServicer
    admin_servicer: AdminServicer

    async def close(self) -> None:
        await self.stripe.close()
        await self.database.close()


def compose(settings: ServiceSettings) -> Parts:
    """Build the parts; nothing is connected yet."""
    database = Database.at(settings.database_url)
    stripe = open_stripe(settings)
    verifier = Verifier(database, stripe)
    interval = timedelta(seconds=settings.catalog_interval_seconds)
    by_itself = stripe.in_background()
    mirror = Mirror(database, by_itself, interval=interval)
    origins = AllowedOrigins(split(settings.allowed_origins), livemode=settings.livemode)
    servicer = BillingServicer(
        database=database,
        checkout=Checkout(database, stripe, verifier),
        session_statuses=SessionStatuses(database, stripe, verifier),
        portal=Portal(database, stripe, default_return_url=settings.portal_return_url),
        checks=Checks(database, settings.policy),
        origins=origins,
        publishable_key=settings.stripe_publishable_key,
    )
    event_log = EventLog(database, verifier)
    retries = EventRetries(database, event_log)
    refresh = AccountRefresh(database, stripe, verifier)
    admin_servicer = AdminServicer(
        event_log=event_log,
        refresh=refresh,
        links=AccountLinks(database, stripe, refresh),
        erasure=Erasure(database),
    )
    every = timedelta(seconds=settings.sweep_interval_seconds)
    verifier_by_itself = Verifier(database, by_itself)
    recurring = {
        event_sweep.NAME: EventSweep(database, by_itself, interval=every).run_if_due,
        oldest_sweep.NAME: OldestSweep(database, verifier_by_itself).run_if_due,
        "event_retries": retries.run_if_due,
    }
    return Parts(
        database=database,
        stripe=stripe,
        verifier=verifier,
        mirror=mirror,
        background=Background(database, verifier_by_itself, mirror, recurring=recurring),
        servicer=servicer,
        admin_servicer=admin_servicer,
    )


def open_stripe(settings: ServiceSettings) -> LiveStripe:
    budget = Budget(settings.stripe_calls_per_second)
    metrics.BUDGET_LEFT.set_function(budget.left)
    return LiveStripe(
        settings.stripe_api_key.get_secret_value(),
        api_base=settings.stripe_api_base,
        timeout=settings.stripe_timeout_seconds,
        budget=budget,
    )
