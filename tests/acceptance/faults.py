"""What the tests of faults have in common: a system under a fault, and a witness of its answers."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
from prometheus_client.parser import text_string_to_metric_families

import paidup
from demo.stack import Stack
from paidup.v1 import billing_service_pb2 as pb
from paidup.v1 import billing_service_pb2_grpc
from subscription_state.tables import event
from tests.gateway.clients import Stripe, an_event
from tests.gateway.databases import stored
from tests.leaks import assert_nothing_leaked
from tests.service.administration import Administration
from tests.service.shop import EMAIL, Shop

#: How long a fault may take to show, and to be over, on a machine that is busy.
LONG = 60
#: How old what the service remembers may be: short, so that a fault soon shows.
BOUND = 2
SETTINGS = {
    "PAIDUP_CACHE_BOUND_SECONDS": str(BOUND),
    "PAIDUP_STRIPE_TIMEOUT_SECONDS": "1",
}


async def until(condition: Callable[[], Awaitable[bool]], *, within: float = LONG) -> None:
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.05)


@dataclass
class System:
    """A stack with somebody who buys, somebody who administers, and somebody who delivers."""

    stack: Stack
    shop: Shop
    administration: Administration
    stub: billing_service_pb2_grpc.BillingServiceStub
    stripe: Stripe
    #: Events that were answered with success.
    taken: set[str] = field(default_factory=set)
    _number: int = 0

    async def deliver(self) -> int:
        """Deliver an event that is new; give the status that it was answered with."""
        self._number += 1
        delivered = an_event(self._number)
        answer = await self.stripe.deliver(delivered, secret=self.stack.secret)
        if answer.status == 200:
            self.taken.add(delivered["id"])
        return answer.status

    async def until_answered(self, status: int) -> None:
        """Deliver events until one is answered so."""

        async def answered() -> bool:
            return await self.deliver() == status

        await until(answered)

    async def lost(self) -> set[str]:
        """Give the events that were answered with success and are not in the database."""
        held = {row.event_id for row in await stored(self.stack.database_url, event)}
        return self.taken - held

    async def of_gateway(self, name: str, **labels: str) -> float:
        return await _sample(self.stack.gateway.address, name, labels)

    async def of_service(self, name: str, **labels: str) -> float:
        return await _sample(self.stack.metrics_address, name, labels)

    async def until_ready(self) -> None:
        """Wait until both processes say that all is well."""

        async def ready() -> bool:
            return await _is_ready(self.stack.gateway.address) and await _is_ready(
                self.stack.metrics_address
            )

        await until(ready)


async def _sample(address: str, name: str, labels: dict[str, str]) -> float:
    """Add up a metric's samples that have the labels; 0 where there is none."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/metrics") as answer,
    ):
        text = await answer.text()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def _is_ready(address: str) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/readyz") as answer,
    ):
        return answer.status == 200


@asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[System]:
    """Run the system; in the end look for lost events and for what its logs must not hold."""
    async with (
        stack,
        paidup.BillingClient(stack.service.address) as client,
        grpc.aio.insecure_channel(stack.service.address) as channel,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        await client.wait_for_ready()
        system = System(
            stack=stack,
            shop=Shop(stack=stack, client=client, account="acme", email=EMAIL),
            administration=Administration(channel),
            stub=billing_service_pb2_grpc.BillingServiceStub(channel),
            stripe=Stripe(session, f"http://{stack.gateway.address}"),
        )
        yield system
        assert await system.lost() == set()
    assert_nothing_leaked(stack)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One answer to a check: when it was asked for and had, and what it was."""

    asked: float
    had: float
    code: grpc.StatusCode
    entitled: bool


@dataclass
class Witness:
    """Asks the same thing again and again, without a client that would try again by itself."""

    answers: list[Seen] = field(default_factory=list)

    def yes_asked_after(self, moment: float) -> list[Seen]:
        return [each for each in self.answers if each.entitled and each.asked > moment]

    def codes(self) -> set[grpc.StatusCode]:
        return {each.code for each in self.answers}


@asynccontextmanager
async def witness(system: System, feature: str) -> AsyncIterator[Witness]:
    watching = Witness()
    task = asyncio.create_task(_ask(system, feature, watching))
    try:
        yield watching
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert watching.answers


async def _ask(system: System, feature: str, watching: Witness) -> None:
    while True:
        watching.answers.append(await check(system, feature))
        await asyncio.sleep(0.02)


async def check(system: System, feature: str) -> Seen:
    """Ask once; an error is an answer too."""
    request = pb.CheckEntitlementRequest(account_id=system.shop.account, feature=feature)
    asked, code, entitled = time.time(), grpc.StatusCode.OK, False
    try:
        entitled = (await system.stub.CheckEntitlement(request, timeout=LONG)).entitlement.entitled
    except grpc.aio.AioRpcError as failed:
        code = failed.code()
    return Seen(asked=asked, had=time.time(), code=code, entitled=entitled)


class CannotMount(Exception):
    """Only the superuser may, and not in every container."""


@contextmanager
def small_disk(folder: Path, *, mebibytes: int) -> Iterator[Path]:
    """Mount a disk of so much room; raise `CannotMount`."""
    folder.mkdir()
    mount = shutil.which("mount")
    size = f"size={mebibytes}m"
    command = [mount or "mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        raise CannotMount
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
