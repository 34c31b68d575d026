"""Sending events to webhook endpoints: signed, concurrently, again and again until taken."""

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import aiohttp
import orjson

from stripe_emulator import ids, signing_secrets
from stripe_emulator.faults import WebhookFaults
from stripe_emulator.tables import StripeObject
from stripe_emulator.webhook_faults import WebhookFaultDraws
from stripe_emulator.world import World

TIMEOUT = aiohttp.ClientTimeout(total=10)
FIRST_WAIT = 0.2
LONGEST_WAIT = 5.0
MOST_ATTEMPTS = 100
CONCURRENT = 16
SUCCESSES = range(200, 300)
#: Nobody's; what it signs is refused everywhere.
WRONG_SECRET = "whsec_of_nobody"  # noqa: S105 -- meant to be wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    #: Real time, in seconds: retries do not follow the simulated clock.
    at: float
    status: int | None
    error: str | None

    @property
    def succeeded(self) -> bool:
        return self.status in SUCCESSES


@dataclass(kw_only=True, slots=True)
class Delivery:
    id: str
    event: StripeObject
    endpoint: StripeObject
    world: World
    #: Whether this is an injected repetition.
    repeats: bool = False
    #: One of pending, held, delivered, failed, dropped.
    state: str = "pending"
    attempts: list[Attempt] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "event": self.event["id"],
            "type": self.event["type"],
            "endpoint": self.endpoint["id"],
            "url": self.endpoint["url"],
            "state": self.state,
            "repeats": self.repeats,
            "attempts": [
                {"at": attempt.at, "status": attempt.status, "error": attempt.error}
                for attempt in self.attempts
            ],
        }


class Deliveries:
    def __init__(self, counts: Counter[str]) -> None:
        self._faults = WebhookFaults()
        self._draws = WebhookFaultDraws(0, counts)
        self._counts = counts
        self._log: list[Delivery] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(CONCURRENT)
        self._idle = asyncio.Event()
        self._idle.set()
        self._hurry = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None

    def publish(self, world: World, event: StripeObject) -> None:
        """Send an event to every endpoint that wants it."""
        for endpoint in world.webhook_endpoints.where(status="enabled"):
            if _wants(endpoint, event["type"]):
                event["pending_webhooks"] += 1
                self._enqueue(
                    Delivery(id=ids.new("whd"), event=event, endpoint=endpoint, world=world)
                )

    def _enqueue(self, delivery: Delivery) -> None:
        self._log.append(delivery)
        fate = self._draws.fate(self._faults)
        if fate.dropped:
            self._drop(delivery)
            return
        if not self._held_back(delivery):
            self._start(delivery, fate.wait_seconds)
        if fate.repeated_after_seconds is not None:
            self._repeat(delivery, fate.wait_seconds + fate.repeated_after_seconds)

    def _repeat(self, delivery: Delivery, wait_seconds: float) -> None:
        again = replace(delivery, id=ids.new("whd"), repeats=True, attempts=[])
        self._log.append(again)
        self._start(again, wait_seconds)

    def _held_back(self, delivery: Delivery) -> bool:
        if not self._faults.blocked:
            return False
        if self._faults.drop:
            self._drop(delivery)
        else:
            delivery.state = "held"
        return True

    def _drop(self, delivery: Delivery) -> None:
        delivery.state = "dropped"
        self._counts["dropped"] += 1

    def _start(self, delivery: Delivery, wait_seconds: float = 0.0) -> None:
        delivery.state = "pending"
        self._idle.clear()
        task = asyncio.get_running_loop().create_task(self._deliver(delivery, wait_seconds))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._idle.set()

    def set_faults(self, faults: WebhookFaults, draws: WebhookFaultDraws) -> None:
        """Let go of what was held back, one way or the other, and of what was delayed."""
        self._faults, self._draws = faults, draws
        self._hurry.set()
        self._hurry = asyncio.Event()
        if faults.blocked and not faults.drop:
            return
        for delivery in self._log:
            if delivery.state == "held":
                self._release(delivery, drop=faults.drop)

    def _release(self, delivery: Delivery, *, drop: bool) -> None:
        if drop:
            self._drop(delivery)
        else:
            self._start(delivery)

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 -- the caller's, in its request
        """Wait until nothing is under way; tell whether that came about in time."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            return False
        return True

    def to_json(self) -> list[dict[str, Any]]:
        return [delivery.to_json() for delivery in self._log]

    def count(self, state: str) -> int:
        return sum(delivery.state == state for delivery in self._log)

    def to_save(self) -> list[dict[str, Any]]:
        names = [field.name for field in fields(Delivery) if field.name != "world"]
        return [{name: getattr(delivery, name) for name in names} for delivery in self._log]

    def put_back(self, world: World, saved: list[dict[str, Any]]) -> None:
        """Go on with what was under way."""
        self._log = [Delivery(world=world, **one) for one in saved]
        for delivery in self._log:
            if delivery.state == "pending":
                self._start(delivery)

    async def forget(self) -> None:
        await _cancel(self._tasks)
        self._log.clear()

    async def close(self) -> None:
        await _cancel(self._tasks)
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, delivery: Delivery, wait_seconds: float) -> None:
        await self._wait(wait_seconds)
        wait = FIRST_WAIT
        for _ in range(MOST_ATTEMPTS):
            async with self._slots:
                if self._held_back(delivery):
                    return
                attempt = await self._attempt(delivery)
            delivery.attempts.append(attempt)
            if attempt.succeeded:
                self._succeeded(delivery)
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)
            if delivery.endpoint["status"] == "disabled":
                break
        delivery.state = "failed"

    async def _wait(self, seconds: float) -> None:
        if seconds == 0:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)

    def _succeeded(self, delivery: Delivery) -> None:
        delivery.state = "delivered"
        self._counts["delivered"] += 1
        if not delivery.repeats:
            delivery.event["pending_webhooks"] -= 1

    def _payload(self, event: StripeObject) -> bytes:
        if self._faults.api_version:
            event = {**event, "api_version": self._faults.api_version}
        return orjson.dumps(event)

    def _secrets(self, delivery: Delivery) -> tuple[str, ...]:
        if self._faults.wrong_secret:
            self._counts["wrongly_signed"] += 1
            return (WRONG_SECRET,)
        return signing_secrets.valid(delivery.world.signing_secrets[delivery.endpoint["id"]])

    async def _attempt(self, delivery: Delivery) -> Attempt:
        body = self._payload(delivery.event)
        at = time.time()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(body, self._secrets(delivery), int(at)),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            status = await self._post(delivery.endpoint["url"], body, headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Attempt(at=at, status=None, error=str(error) or type(error).__name__)
        return Attempt(at=at, status=status, error=None)

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as response:
            await response.read()
            return response.status


def signature(body: bytes, secrets: Iterable[str], moment: int) -> str:
    signed = str(moment).encode() + b"." + body
    digests = (hmac.new(secret.encode(), signed, hashlib.sha256) for secret in secrets)
    return ",".join([f"t={moment}", *(f"v1={digest.hexdigest()}" for digest in digests)])


def _wants(endpoint: StripeObject, event_type: str) -> bool:
    enabled = endpoint["enabled_events"]
    return "*" in enabled or event_type in enabled


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    await asyncio.gather(*cancelled, return_exceptions=True)
