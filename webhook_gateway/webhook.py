"""`POST /webhooks/stripe`: from a stranger's request to a stored event."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson
from aiohttp import web

from subscription_state import request_ids, tracing
from subscription_state.errors import UnexpectedShape
from subscription_state.ingest import Delivery, Outcome, delivery_from_stripe
from webhook_gateway import answers, signature
from webhook_gateway.alarms import Alarms
from webhook_gateway.body import BodyReader
from webhook_gateway.inbox import Inbox, InboxFull, NotStored
from webhook_gateway.metrics import Metrics, type_label
from webhook_gateway.refusals import Reason, Refused
from webhook_gateway.signing_secrets import SigningSecrets

logger = logging.getLogger(__name__)

#: How long a request waits for its commit, in seconds. Stripe does not say how
#: long it waits itself; what is committed later is a duplicate when it comes again.
ANSWER_TIMEOUT = 15.0
#: How a delivery is called in traces.
RECEIVE = "POST /webhooks/stripe"


class StripeWebhook:
    """Takes one request: believes nothing before the signature, and forgets nothing after 200."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        secrets: SigningSecrets,
        bodies: BodyReader,
        metrics: Metrics,
        alarms: Alarms,
        now: Callable[[], datetime],
    ) -> None:
        self._inbox = inbox
        self._secrets = secrets
        self._bodies = bodies
        self._metrics = metrics
        self._alarms = alarms
        self._now = now

    async def receive(self, request: web.Request) -> web.Response:
        began = time.perf_counter()
        claimed = signature.parse(request.headers.getall(signature.HEADER, []))
        body = await self._bodies.read(request)
        self._verify(claimed, body)
        outcome = await self._take(_delivery(body, received=self._now()), began)
        return answers.outcome(outcome)

    async def _take(self, delivery: Delivery, began: float) -> Outcome:
        """Store what Stripe has signed; only from here on it is traced and told of one by one."""
        ago = time.perf_counter() - began
        with tracing.span(RECEIVE, _facts(delivery), kind="server", ago=ago) as span:
            with tracing.span("apply", {}) as applying:
                outcome = await self._store(replace(delivery, traceparent=applying.traceparent))
            span.note({"paidup.outcome": outcome.value})
            self._count(delivery, outcome)
            _log(delivery, outcome, time.perf_counter() - began)
        return outcome

    def _verify(self, claimed: signature.Signature, body: bytes) -> None:
        signature.verify(claimed, body, self._secrets.current)
        now = self._now()
        self._metrics.clock_skew.set(now.timestamp() - claimed.time)
        signature.verify_time(claimed, now)

    async def _store(self, delivery: Delivery) -> Outcome:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await self._inbox.take(delivery)
        except InboxFull as error:
            raise Refused(Reason.OVERLOADED) from error
        except (NotStored, TimeoutError) as error:
            raise Refused(Reason.NOT_STORED) from error

    def _count(self, delivery: Delivery, outcome: Outcome) -> None:
        self._metrics.events.labels(type_label(delivery.event.type), outcome.value).inc()
        if outcome is Outcome.FOREIGN:
            self._alarms.warn(
                "webhook_event_foreign",
                event_id=delivery.event.event_id,
                livemode=delivery.livemode,
                stripe_account_id=delivery.stripe_account_id,
            )


def _facts(delivery: Delivery) -> tracing.Facts:
    return {
        "paidup.event_id": delivery.event.event_id,
        "paidup.event_type": delivery.event.type,
        "paidup.customer_id": delivery.event.customer_id,
        "paidup.request_id": request_ids.current(),
    }


def _log(delivery: Delivery, outcome: Outcome, elapsed: float) -> None:
    facts = {
        "event_id": delivery.event.event_id,
        "event_type": delivery.event.type,
        "customer_id": delivery.event.customer_id,
        "outcome": outcome.value,
        "milliseconds": round(elapsed * 1000, 1),
    }
    logger.info("webhook_received", extra=facts)


def _delivery(body: bytes, *, received: datetime) -> Delivery:
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(Reason.NOT_JSON) from error
    if not isinstance(content, Mapping):
        raise Refused(Reason.NOT_AN_EVENT)
    try:
        return delivery_from_stripe(content, body, received=received)
    except UnexpectedShape as error:
        raise Refused(Reason.NOT_AN_EVENT) from error
