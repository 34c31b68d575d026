"""Whether the service may be asked: told to gRPC's health service and to `/readyz`."""

import asyncio
import logging

from grpc_health.v1 import health, health_pb2

from billing_service import metrics
from billing_service.errors import StripeMisconfigured, StripeUnavailable
from billing_service.stripe_api import LiveStripe
from billing_service.stripe_errors import StripeRefused
from subscription_state import deployment, migrate
from subscription_state.database import Database
from subscription_state.errors import (
    NotPermitted,
    SchemaOutdated,
    StateUnavailable,
    VersionOutdated,
)

log = logging.getLogger(__name__)

SERVICES = ("", "paidup.v1.BillingService", "paidup.v1.AdminService")
STARTING = "starting"
CHECK_EVERY = 1.0
#: Being ready does not wait longer for Stripe, in seconds.
ACCOUNT_TIMEOUT = 3.0
#: How often Stripe is asked again for the account while it is away, in seconds.
BIND_EVERY = 10.0


class Readiness:
    """Serving only while the database answers, is migrated, and is this deployment's."""

    def __init__(
        self, database: Database, stripe: LiveStripe, health_servicer: health.aio.HealthServicer
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._health = health_servicer
        self._bind_at = 0.0
        #: Set once the database is known to belong to the key's account.
        self.bound = asyncio.Event()
        self.problem: str | None = STARTING

    async def begin(self) -> None:
        """Say that nothing is served yet; gRPC's health service begins with the contrary."""
        await self._set_health(serving=False)

    async def follow(self, *, livemode: bool) -> None:
        """Keep health up to date until cancelled; raise `WrongDeployment` at once."""
        while True:
            await self._tell(await self._look(livemode=livemode))
            await asyncio.sleep(CHECK_EVERY)

    async def drain(self) -> None:
        """Say for good that no more calls should come."""
        await self._tell("draining")
        await self._health.enter_graceful_shutdown()

    async def _look(self, *, livemode: bool) -> str | None:
        try:
            await migrate.check(self._database)
            await self._bind_if_due(livemode=livemode)
        except (NotPermitted, SchemaOutdated, VersionOutdated) as error:
            return str(error)
        except StateUnavailable:
            return "the database does not answer"
        return None

    async def _bind_if_due(self, *, livemode: bool) -> None:
        now = asyncio.get_running_loop().time()
        if self.bound.is_set() or now < self._bind_at:
            return
        if await bind(self._database, self._stripe, livemode=livemode):
            self.bound.set()
        self._bind_at = now + BIND_EVERY

    async def _tell(self, problem: str | None) -> None:
        if problem == self.problem:
            return
        log.info("readiness_changed", extra={"ready": problem is None, "problem": problem})
        self.problem = problem
        metrics.READY.set(problem is None)
        await self._set_health(serving=problem is None)

    async def _set_health(self, *, serving: bool) -> None:
        statuses = health_pb2.HealthCheckResponse.ServingStatus
        status = statuses.SERVING if serving else statuses.NOT_SERVING
        for service in SERVICES:
            await self._health.set(service, status)


async def bind(database: Database, stripe: LiveStripe, *, livemode: bool) -> bool:
    """Bind the database to the key's mode and account; False where Stripe was away.

    Raise `WrongDeployment` where the database belongs to another.
    """
    await database.write(lambda connection: deployment.bind(connection, livemode=livemode))
    try:
        async with asyncio.timeout(ACCOUNT_TIMEOUT):
            account_id = await stripe.account_id()
    except (StripeUnavailable, TimeoutError):
        log.warning("stripe_account_not_read")
        return False
    except (StripeMisconfigured, StripeRefused):
        # A restricted key may not read it: then the mode is all that can be known.
        log.warning("stripe_account_not_told")
        return True
    await database.write(
        lambda connection: deployment.bind(
            connection, livemode=livemode, stripe_account_id=account_id
        )
    )
    return True
