"""All parts of the gateway, put together once."""

from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from subscription_state.database import Database
from subscription_state.stopping import Stopping
from subscription_state.wakeups import Announcer
from webhook_gateway.alarms import Alarms
from webhook_gateway.application import application
from webhook_gateway.body import READ_TIMEOUT, BodyReader
from webhook_gateway.connections import Connections, most_connections
from webhook_gateway.inbox import Inbox
from webhook_gateway.metrics import Metrics
from webhook_gateway.readiness import Readiness
from webhook_gateway.signing_secrets import SigningSecrets
from webhook_gateway.webhook import StripeWebhook


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """What the process serves, and what it has to look after."""

    application: web.Application
    connections: Connections
    inbox: Inbox
    secrets: SigningSecrets
    metrics: Metrics
    stopping: Stopping


def assemble(
    database: Database,
    secrets: str,
    *,
    read_timeout: float = READ_TIMEOUT,
    wakeups: bool = True,
) -> Gateway:
    metrics, alarms, stopping = Metrics(), Alarms(), Stopping()
    signing_secrets = SigningSecrets(secrets, metrics=metrics)
    inbox = Inbox(database, Announcer(database, enabled=wakeups), metrics=metrics)
    webhook = StripeWebhook(
        inbox=inbox,
        secrets=signing_secrets,
        bodies=BodyReader(timeout=read_timeout),
        metrics=metrics,
        alarms=alarms,
        now=lambda: datetime.now(UTC),
    )
    readiness = Readiness(database=database, secrets=signing_secrets, stopping=stopping)
    return Gateway(
        application=application(
            webhook=webhook,
            readiness=readiness,
            metrics=metrics,
            alarms=alarms,
            stopping=stopping,
        ),
        connections=Connections(metrics, most=most_connections()),
        inbox=inbox,
        secrets=signing_secrets,
        metrics=metrics,
        stopping=stopping,
    )
