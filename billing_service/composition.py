"""The one place where the service's parts are put together."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from billing_service import event_sweep, metrics, oldest_sweep
from billing_service.account_links import AccountLinks
from billing_service.account_refresh import AccountRefresh
from billing_service.admin_servicer import AdminServicer
from billing_service.answer_cache import AnswerCache, answer_caches
from billing_service.audit import AuditLog, AuditRetention
from billing_service.background import Background
from billing_service.budget import Budget
from billing_service.caller_limits import CallerLimits
from billing_service.checkout import Checkout
from billing_service.checks import Checks
from billing_service.disk_space import free_ratio
from billing_service.erasure import Erasure
from billing_service.event_log import EventLog
from billing_service.event_retries import EventRetries
from billing_service.event_sweep import EventSweep
from billing_service.explanations import Explanations
from billing_service.feed import Feed
from billing_service.grants import Grants
from billing_service.memory import Memory
from billing_service.mirror import Mirror
from billing_service.oldest_sweep import OldestSweep
from billing_service.portal import Portal
from billing_service.retention import Retention
from billing_service.servicer import BillingServicer
from billing_service.session_status import SessionStatuses
from billing_service.settings import ServiceSettings, split
from billing_service.stripe_api import LiveStripe
from billing_service.urls import AllowedOrigins
from billing_service.verifier import Verifier
from billing_service.watchers import Watchers
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable
from subscription_state.key_files import KeyFollower
from subscription_state.opening import open_database
from subscription_state.wakeups import Announcer, Listener


@dataclass(frozen=True, kw_only=True, slots=True)
class Hints:
    """What replicas tell each other beside the database."""

    announcer: Announcer
    listener: Listener


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Everything that a running service consists of."""

    database: Database
    stripe: LiveStripe
    hints: Hints
    background: Background
    feed: Feed
    answers: dict[str, AnswerCache]
    watchers: Watchers
    key_follower: KeyFollower
    limits: CallerLimits
    servicer: BillingServicer
    admin_servicer: AdminServicer

    async def close(self) -> None:
        await self.feed.close()
        await self.stripe.close()
        await self.hints.announcer.close()
        with suppress(StateUnavailable):
            await self.database.flush()
        await self.database.close()


def compose(settings: ServiceSettings) -> Parts:
    """Build the parts; nothing is connected yet."""
    database = open_database(settings)
    stripe = open_stripe(settings)
    hints = _hints(settings, database)
    verifier = Verifier(database, stripe, changed=hints.announcer.changed)
    event_log = EventLog(database, verifier, changed=hints.announcer.changed)
    memory = Memory(most=settings.cache_accounts)
    feed = Feed(
        database,
        memory,
        bound=timedelta(seconds=settings.cache_bound_seconds),
        pause=hints.listener.waiter().wait,
    )
    metrics.FEED_LAG.set_function(feed.lag)
    metrics.DISK_FREE.set_function(free_ratio(settings.database_url))
    checks = Checks(feed, memory, settings.policy)
    watchers = Watchers(database, feed, memory, checks, settings.policy)
    background = _background(settings, database, stripe.in_background(), event_log, hints)
    feed.listen(background.hear)
    return Parts(
        database=database,
        stripe=stripe,
        hints=hints,
        background=background,
        feed=feed,
        answers=answer_caches(feed, memory),
        watchers=watchers,
        key_follower=_key_follower(settings, database),
        limits=CallerLimits(settings.caller_limits),
        servicer=_servicer(settings, database, stripe, verifier, checks=checks, watchers=watchers),
        admin_servicer=_admin_servicer(
            settings, database, stripe, verifier, event_log=event_log, hints=hints
        ),
    )


def _key_follower(settings: ServiceSettings, database: Database) -> KeyFollower:
    return KeyFollower(
        settings.encryption_key_files,
        database.keyring,
        told=lambda result: metrics.KEY_RELOADS.labels(result).inc(),
    )


def _hints(settings: ServiceSettings, database: Database) -> Hints:
    listener = Listener(settings.address_to_listen_at)
    metrics.LISTENING.set_function(lambda: listener.listening)
    return Hints(
        announcer=Announcer(database, enabled=settings.database_wakeups), listener=listener
    )


def _servicer(
    settings: ServiceSettings,
    database: Database,
    stripe: LiveStripe,
    verifier: Verifier,
    *,
    checks: Checks,
    watchers: Watchers,
) -> BillingServicer:
    return BillingServicer(
        database=database,
        checkout=Checkout(database, stripe, verifier),
        session_statuses=SessionStatuses(database, stripe, verifier),
        portal=Portal(database, stripe, default_return_url=settings.portal_return_url),
        checks=checks,
        watchers=watchers,
        origins=AllowedOrigins(split(settings.allowed_origins), livemode=settings.livemode),
        publishable_key=settings.stripe_publishable_key,
    )


def _admin_servicer(
    settings: ServiceSettings,
    database: Database,
    stripe: LiveStripe,
    verifier: Verifier,
    *,
    event_log: EventLog,
    hints: Hints,
) -> AdminServicer:
    changed = hints.announcer.changed
    refresh = AccountRefresh(database, stripe, verifier)
    return AdminServicer(
        event_log=event_log,
        refresh=refresh,
        links=AccountLinks(database, stripe, refresh, changed=changed),
        erasure=Erasure(database),
        explanations=Explanations(database, settings.policy),
        grants=Grants(database, changed=changed),
        audit_log=AuditLog(database),
    )


def _background(
    settings: ServiceSettings,
    database: Database,
    stripe: LiveStripe,
    event_log: EventLog,
    hints: Hints,
) -> Background:
    """Put together what goes on by itself; its calls to Stripe let those of callers go first."""
    verifier = Verifier(database, stripe, changed=hints.announcer.changed)
    catalog_every = timedelta(seconds=settings.catalog_interval_seconds)
    sweep_every = timedelta(seconds=settings.sweep_interval_seconds)
    bodies_kept = timedelta(days=settings.event_retention_days)
    recurring = {
        event_sweep.NAME: EventSweep(database, stripe, interval=sweep_every).run_if_due,
        oldest_sweep.NAME: OldestSweep(database, verifier).run_if_due,
        "event_retries": EventRetries(database, event_log).run_if_due,
        "retention": Retention(database, bodies_kept=bodies_kept).run_if_due,
    }
    if settings.audit_retention_days:
        audit_kept = timedelta(days=settings.audit_retention_days)
        recurring["audit_retention"] = AuditRetention(database, kept=audit_kept).run_if_due
    mirror = Mirror(database, stripe, interval=catalog_every, changed=hints.announcer.changed)
    waiter = hints.listener.waiter()
    return Background(database, verifier, mirror, recurring=recurring, waiter=waiter)


def open_stripe(settings: ServiceSettings) -> LiveStripe:
    budget = Budget(settings.stripe_calls_per_second)
    metrics.BUDGET_LEFT.set_function(budget.left)
    return LiveStripe(
        settings.stripe_api_key.get_secret_value(),
        api_base=settings.stripe_api_base,
        timeout=settings.stripe_timeout_seconds,
        budget=budget,
    )
