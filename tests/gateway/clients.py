"""Stripe as the gateway sees it: signed requests over HTTP, and what is answered."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from stripe import WebhookSignature

from tests.builders import Json, a_stripe_event, a_stripe_subscription

SECRET = "whsec_right"
PATH = "/webhooks/stripe"


def an_event(number: int = 1, **overrides: Any) -> Json:
    """Make the event that a subscription of its own customer was created."""
    held = a_stripe_subscription(
        id=f"sub_{number}", customer=f"cus_{number}", metadata={"account_id": f"account_{number}"}
    )
    return a_stripe_event(
        "customer.subscription.created", held, **{"id": f"evt_{number}"} | overrides
    )


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    seconds = int(time.time() if at is None else at)
    header = WebhookSignature.generate_signature_header(body.decode(), secret, seconds)
    return {"Stripe-Signature": header}


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    content: Any
    headers: Mapping[str, str] = field(repr=False)

    @property
    def reason(self) -> str:
        return self.content["error"]["reason"]

    @property
    def outcome(self) -> str:
        return self.content["outcome"]


class Stripe:
    """Sends to one gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def deliver(self, event: Mapping[str, Any], **signing: Any) -> Answer:
        return await self.send(json.dumps(event).encode(), **signing)

    async def send(self, body: bytes, **signing: Any) -> Answer:
        """Send a body that is signed as Stripe signs."""
        return await self.post(body, signed(body, **signing))

    async def post(self, body: bytes | AsyncIterator[bytes], headers: Mapping[str, str]) -> Answer:
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        return await self.request("POST", PATH, data=data, headers=headers)

    async def request(self, method: str, path: str, **options: Any) -> Answer:
        async with self._session.request(method, self.url + path, **options) as answer:
            return Answer(status=answer.status, content=await answer.json(), headers=answer.headers)

    async def metric(self, name: str, **labels: str) -> float:
        async with self._session.get(f"{self.url}/metrics") as answer:
            text = await answer.text()
        samples = (
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        )
        return next(samples, 0.0)

    async def until_waiting(self, events: int) -> None:
        """Return once the gateway has accepted so many that it has not answered."""

        async def all_are_waiting() -> bool:
            return await self.metric("paidup_webhook_queue_depth") == events

        await until(all_are_waiting)


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.01)
