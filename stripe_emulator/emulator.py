"""The running emulator: a world that can be replaced, and what outlives it."""

from collections import Counter
from dataclasses import dataclass

from stripe_emulator import (
    due,
    payment_method_configurations,
    portal,
    test_clocks,
    webhook_endpoints,
)
from stripe_emulator.api_faults import ApiFaultDraws
from stripe_emulator.delivery import Deliveries
from stripe_emulator.errors import TOO_MANY_REQUESTS
from stripe_emulator.events import BY_ITSELF, Cause
from stripe_emulator.faults import Faults
from stripe_emulator.idempotency import IdempotencyKeys
from stripe_emulator.request_log import RequestLog
from stripe_emulator.routing import Answer
from stripe_emulator.settings import Settings
from stripe_emulator.tables import StripeObject
from stripe_emulator.webhook_faults import WebhookFaultDraws
from stripe_emulator.world import World

NO_FAULTS = Faults()


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """An endpoint named on the command line; `reset` does not forget it."""

    url: str
    secrets: tuple[str, ...]


class Emulator:
    def __init__(
        self,
        *,
        settings: Settings,
        webhooks: tuple[Webhook, ...],
        faults: Faults = NO_FAULTS,
    ) -> None:
        self.fault_counts: Counter[str] = Counter()
        self.requests = RequestLog()
        #: Counts what may have changed the world, for whoever saves it.
        self.changes = 0
        self.deliveries = Deliveries(self.fault_counts)
        self._first_settings = settings
        self._first_faults = faults
        self._webhooks = webhooks
        self._base_url = ""
        self._begin()

    def _begin(self) -> None:
        self.fault_counts.clear()
        self.requests.clear()
        self.set_faults(self._first_faults)
        self.keys = IdempotencyKeys()
        self.world = World(
            base_url=self._base_url, settings=self._first_settings, publish=self._publish
        )
        portal.add_default_configuration(self.world)
        payment_method_configurations.add_default(self.world)
        self.register_webhooks()

    def register_webhooks(self) -> None:
        """Have those of the command line; what a saved world knows of them is out of date."""
        for webhook in self._webhooks:
            known = self.world.webhook_endpoints.where(url=webhook.url)
            if known:
                webhook_endpoints.sign_with(self.world, known[0], webhook.secrets)
            else:
                webhook_endpoints.register(self.world, webhook.url, webhook.secrets, {})

    def _publish(self, event: StripeObject) -> None:
        self.changes += 1
        if self.faults.webhooks.same_second:
            event["created"] = self._webhook_faults.second(event["created"])
        self.deliveries.publish(self.world, event)

    def listening_at(self, base_url: str) -> None:
        self._base_url = self.world.base_url = base_url

    def set_faults(self, faults: Faults) -> None:
        self.faults = faults
        self.api_faults = ApiFaultDraws(faults.seed, self.fault_counts)
        self._webhook_faults = WebhookFaultDraws(faults.seed, self.fault_counts)
        self.deliveries.set_faults(faults.webhooks, self._webhook_faults)

    def count_failure_down(self, route: str) -> None:
        limited = self.faults.of(route).status == TOO_MANY_REQUESTS
        self.fault_counts["rate_limited" if limited else "failed"] += 1
        self.faults = self.faults.with_one_failure_less(route)

    async def reset(self) -> None:
        await self.deliveries.forget()
        self._begin()

    def perform(self, answer: Answer, *arguments: object, cause: Cause = BY_ITSELF) -> StripeObject:
        """
        Do one thing in the world, at one moment, with all that is due before and after.

        A read that is dated later than something due can then never have missed it.
        """
        due.run(self.world)
        try:
            with (
                self.world.clock.at(self.world.clock.now()),
                self.world.living_on(test_clocks.of_call(self.world, arguments)),
                self.world.events.caused_by(cause),
            ):
                return answer(self.world, *arguments)
        finally:
            due.run(self.world)
