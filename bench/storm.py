"""A storm of webhooks: thousands of events at once, straight to the gateway, signed as by Stripe.

The customers that they are about exist at the emulator, where the service reads them.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.recorder import Call, Recorder
from demo.stack import API_KEY, Stack
from subscription_state import touches
from subscription_state.database import Database
from subscription_state.from_stripe import API_VERSION

Json = dict[str, Any]

#: Deliveries at a time; Stripe's own number is not known.
AT_ONCE = 100
MADE_AT_ONCE = 20


@dataclass
class Storm:
    """A stack whose calls to Stripe are recorded, and customers to send events about."""

    stack: Stack
    recorder: Recorder
    session: aiohttp.ClientSession
    #: By customer.
    subscriptions: dict[str, Json] = field(default_factory=dict)
    #: When events about a customer were answered.
    answered: dict[str, list[float]] = field(default_factory=dict)

    async def make_customers(self, count: int) -> None:
        """Make customers with a trial each, of which no webhook tells."""
        await self.stack.emulator.faults({"webhooks": {"blocked": True}})
        prices = await self._stripe("GET", "/v1/prices?lookup_keys[]=basic_monthly")
        price = prices["data"][0]["id"]
        await _at_most(MADE_AT_ONCE, (self._make(number, price) for number in range(count)))

    async def _make(self, number: int, price: str) -> None:
        account = {"metadata[account_id]": f"storm-{number}"}
        customer = await self._stripe("POST", "/v1/customers", account)
        form = {"customer": customer["id"], "items[0][price]": price, "trial_period_days": "7"}
        self.subscriptions[customer["id"]] = await self._stripe(
            "POST", "/v1/subscriptions", {**form, **account}
        )

    async def _stripe(self, method: str, path: str, form: Json | None = None) -> Json:
        url = f"http://{self.stack.emulator_process.address}{path}"
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with self.session.request(method, url, data=form, headers=headers) as answer:
            answer.raise_for_status()
            found: Json = await answer.json()
            return found

    async def send(self, events: int) -> list[int]:
        """Send so many events, evenly about all customers; give the answers' statuses."""
        customers = list(self.subscriptions)
        each = events // len(customers)
        bodies = [
            (customer, event(self.subscriptions[customer], f"evt_{customer}_{number}"))
            for number in range(each)
            for customer in customers
        ]
        return await _at_most(AT_ONCE, (self.deliver(*body) for body in bodies))

    async def deliver(self, customer: str, body: bytes) -> int:
        url = f"http://{self.stack.gateway.address}/webhooks/stripe"
        headers = {"Stripe-Signature": signature(body, self.stack.secret)}
        async with self.session.post(url, data=body, headers=headers) as answer:
            self.answered.setdefault(customer, []).append(time.monotonic())
            return answer.status

    async def until_over(self, *, within: float) -> None:
        """Wait until every customer that was touched has been read."""
        database = Database.at(self.stack.database_url)
        try:
            async with asyncio.timeout(within):
                while await _waiting(database):
                    await asyncio.sleep(0.1)
        finally:
            await database.close()

    def reads(self) -> list[Call]:
        """Give the reads of the storm's customers, as verifies begin with them."""
        return [call for call in self.recorder.calls if call.customer in self.subscriptions]

    def needless_reads(self) -> int:
        """Count reads of a customer of which no event was answered since its last read began."""
        began: dict[str, float] = {}
        needless = 0
        for read in self.reads():
            news = self.answered.get(read.customer, [])
            # A delivery may be committed a moment before its answer is noted here.
            last = began.get(read.customer)
            needless += last is not None and not any(at > last for at in news)
            began[read.customer] = read.at
        return needless


@asynccontextmanager
async def storm(database_url: str, **settings: str) -> AsyncIterator[Storm]:
    """Start everything, with the recorder between the service and the emulator."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        recorder = Recorder("")
        async with (
            recorder.serving(),
            Recorded(database_url=database_url, settings=settings, recorder=recorder) as stack,
        ):
            yield Storm(stack=stack, recorder=recorder, session=session)


@dataclass
class Recorded(Stack):
    """A stack whose service reaches the emulator through the recorder."""

    recorder: Recorder = field(default_factory=lambda: Recorder(""))

    @property
    def env(self) -> dict[str, str]:
        self.recorder.target = f"http://{self.emulator_process.address}"
        return {**super().env, "PAIDUP_STRIPE_API_BASE": self.recorder.url}


async def _waiting(database: Database) -> bool:
    async with database.read() as connection:
        return await touches.backlog(connection) != touches.Backlog()


def event(subscription: Mapping[str, Any], event_id: str) -> bytes:
    content = {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": subscription},
        "livemode": False,
        "type": "customer.subscription.updated",
    }
    return json.dumps(content).encode()


def signature(body: bytes, secret: str) -> str:
    moment = int(time.time())
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


async def _at_most(count: int, works: Iterable[Any]) -> list[Any]:
    """Do all, so many at a time; give what they gave, in no order."""
    left, done = iter(works), []

    async def worker() -> None:
        for work in left:
            given = await work
            done.append(given)

    await asyncio.gather(*(worker() for _ in range(count)))
    return done
