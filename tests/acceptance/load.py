"""What goes on while processes are replaced: calls, purchases, streams and webhooks."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import aiohttp
import grpc

import paidup
from paidup import EntitlementCache, Source
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from soak.fleet import Fleet
from tests.builders import Json, a_stripe_event
from tests.gateway.clients import signed
from tests.service.shop import EMAIL, Shop

FEATURE = "api_access"
#: Here it is judged what is answered, not how fast.
PATIENT = 30.0
#: As in `docs/integrate-any-language.md`, and nothing that is refused is repeated.
BALANCED_WITHOUT_RETRIES = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
}


@dataclass(kw_only=True)
class Load:
    """Counts what succeeded, and keeps what did not."""

    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    async def repeat(self, what: str, work: Callable[[], Awaitable[object]], pause: float) -> None:
        """Do it again and again, until cancelled."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - whatever a caller would have met
                self.failed.append(f"{what}: {error!r}")
            else:
                self.done[what] += 1
            await asyncio.sleep(pause)


class Watcher:
    """Follows all accounts and resumes where it was; it must miss nothing."""

    def __init__(self, stub: billing_service_pb2_grpc.BillingServiceStub, load: Load) -> None:
        self._stub = stub
        self._load = load
        self.revision = ""
        self.entitled: set[str] = set()

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except grpc.aio.AioRpcError as error:
                self._load.failed.append(f"stream: {error.code()} {error.details()}")
                await asyncio.sleep(0.1)

    async def _follow(self) -> None:
        request = pb.WatchEntitlementsRequest(resume_revision=self.revision)
        async for message in self._stub.WatchEntitlements(request, wait_for_ready=True):
            self.revision = message.revision or self.revision
            kind = message.WhichOneof("kind") or "heartbeat"
            self._load.done[f"stream {kind}"] += 1
            if kind == "account" and message.account.entitlements:
                self.entitled.add(message.account.account_id)
            if kind == "reset":
                self._load.failed.append("stream: changes were missed")
            if kind == "goodbye":
                await asyncio.sleep(message.goodbye.retry_delay_millis / 1000)


class Sender:
    """Sends webhooks as Stripe does: one that was not answered with success comes again."""

    def __init__(
        self, fleet: Fleet, session: aiohttp.ClientSession, load: Load, *, customer: Json
    ) -> None:
        self._fleet = fleet
        self._session = session
        self._load = load
        self._customer = customer
        self._numbers = count()
        #: What Stripe signs with.
        self.secret = fleet.secret
        self.acknowledged: set[str] = set()

    async def send(self) -> None:
        event = a_stripe_event(
            "customer.updated",
            self._customer,
            id=f"evt_rolling_{next(self._numbers)}",
            created=int(time.time()),
        )
        body = json.dumps(event).encode()
        while not await self._is_acknowledged(body):
            self._load.done["events sent again"] += 1
            await asyncio.sleep(0.1)
        self.acknowledged.add(event["id"])

    async def _is_acknowledged(self, body: bytes) -> bool:
        headers = signed(body, secret=self.secret)
        try:
            async with self._session.post(
                self._fleet.webhook, data=body, headers=headers
            ) as answer:
                if answer.status == 200:
                    return True
                self._load.failed.append(f"event: {answer.status}")
        except (aiohttp.ClientError, ConnectionError) as error:
            self._load.failed.append(f"event: {error!r}")
        return False


@dataclass(kw_only=True)
class Callers:
    """Everybody who calls, and what they have seen so far."""

    load: Load
    client: paidup.BillingClient
    cache: EntitlementCache
    watcher: Watcher
    sender: Sender
    bought: list[str]


@asynccontextmanager
async def callers(fleet: Fleet) -> AsyncIterator[Callers]:
    """Have everybody call until the end of the block."""
    load = Load()
    async with AsyncExitStack() as opened:
        client = await opened.enter_async_context(paidup.BillingClient(fleet.services))
        channel = await opened.enter_async_context(_channel(fleet.services))
        await client.wait_for_ready()
        stub = billing_service_pb2_grpc.BillingServiceStub(channel)
        first = Shop(stack=fleet, client=client, account="account-0", email=EMAIL)
        customer_id = (await first.checkout()).customer_id
        session = await opened.enter_async_context(aiohttp.ClientSession())
        cache = await opened.enter_async_context(EntitlementCache(client, rpc_timeout=PATIENT))
        await cache.wait_until_ready(timeout=PATIENT)
        customer = {
            "id": customer_id,
            "object": "customer",
            "metadata": {"account_id": "account-0"},
        }
        everybody = Callers(
            load=load,
            client=client,
            cache=cache,
            watcher=Watcher(stub, load),
            sender=Sender(fleet, session, load, customer=customer),
            bought=["account-0"],
        )
        await first.subscribe()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(everybody.watcher.run())]
            # Those who watch all are told from then on.
            while not everybody.watcher.revision:
                await asyncio.sleep(0.01)
            work = _all_that_goes_on(fleet, everybody, stub)
            tasks += [group.create_task(each) for each in work]
            yield everybody
            for task in tasks:
                task.cancel()


def _channel(target: str) -> grpc.aio.Channel:
    config = json.dumps(BALANCED_WITHOUT_RETRIES)
    options = [("grpc.service_config", config), ("grpc.enable_retries", 0)]
    return grpc.aio.insecure_channel(target, options=options)


def _all_that_goes_on(
    fleet: Fleet, everybody: Callers, stub: billing_service_pb2_grpc.BillingServiceStub
) -> list[Coroutine[None, None, None]]:
    client, load, bought = everybody.client, everybody.load, everybody.bought
    names = count(1)

    async def list_() -> None:
        await client.list_entitlements(account_id=bought[-1], timeout=PATIENT)

    async def check_once() -> None:
        request = pb.CheckEntitlementRequest(account_id=bought[-1], feature=FEATURE)
        await stub.CheckEntitlement(request, timeout=PATIENT)

    async def batch() -> None:
        checks = [
            paidup.EntitlementCheck(account_id=each, feature=FEATURE) for each in bought[-20:]
        ]
        await client.batch_check_entitlements(checks=checks, timeout=PATIENT)

    async def check_in_memory() -> None:
        decision = await everybody.cache.check(bought[0], feature=FEATURE)
        if decision.source not in {Source.MEMORY, Source.RPC}:
            load.failed.append(f"cache: answered from {decision.source}")

    async def buy() -> None:
        account = f"account-{next(names)}"
        shop = Shop(stack=fleet, client=client, account=account, email=EMAIL)
        await shop.subscribe()
        bought.append(account)

    return [
        load.repeat("lists", list_, 0.01),
        load.repeat("checks without retries", check_once, 0.01),
        load.repeat("batches", batch, 0.05),
        load.repeat("answers of the cache", check_in_memory, 0.05),
        *(load.repeat("purchases", buy, 0.2) for _ in range(2)),
        *(load.repeat("events", everybody.sender.send, 0.05) for _ in range(2)),
    ]
