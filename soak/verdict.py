"""Judges the end: whether every decision is right, and every acknowledged event is there."""

import asyncio
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

import paidup
from demo.emulator import Emulator
from demo.stack import CATALOG
from paidup import EntitlementReason
from soak.lives import Life
from soak.oracle import ENTITLING, Truth, reason
from soak.stripe_truth import StripeTruth
from subscription_state.apply import is_of_interest
from subscription_state.database import Database
from subscription_state.tables import event

CONCURRENT = 8
#: Seconds for one answer: here it is judged what is said, not how fast.
PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Divergence:
    """A decision that is not what Stripe's objects say."""

    account: str
    feature: str
    decided: str
    right: str


def features() -> dict[str, set[str]]:
    """Read which products give each feature from the catalogue that the shop was made of."""
    catalog = tomllib.loads(CATALOG.read_text())
    return {
        feature["lookup_key"]: {
            product["id"]
            for product in catalog["product"]
            if feature["lookup_key"] in product.get("features", [])
        }
        for feature in catalog["feature"]
    }


async def divergences(
    client: paidup.BillingClient, truth: StripeTruth, lives: Iterable[Life]
) -> list[Divergence]:
    truths = await truth.by_customer()
    turn = asyncio.Semaphore(CONCURRENT)

    async def of(life: Life) -> list[Divergence]:
        async with turn:
            return [
                found
                for feature, products in features().items()
                if (
                    found := await _compare(
                        client, life, feature, products, truths[life.customer_id]
                    )
                )
            ]

    return [each for found in await asyncio.gather(*map(of, lives)) for each in found]


async def _compare(
    client: paidup.BillingClient,
    life: Life,
    feature: str,
    products: set[str],
    truths: list[Truth],
) -> Divergence | None:
    answer = await client.check_entitlement(
        account_id=life.account, feature=feature, timeout=PATIENCE
    )
    name = EntitlementReason.Name(answer.entitlement.reason)
    decided = name.removeprefix("ENTITLEMENT_REASON_")
    right = reason(truths, products, datetime.now(UTC))
    if decided == right and answer.entitlement.entitled == (right in ENTITLING):
        return None
    return Divergence(account=life.account, feature=feature, decided=decided, right=right)


async def lost_events(emulator: Emulator, database: Database) -> list[str]:
    """Name events that were answered with success and are not in the database."""
    deliveries = (await emulator.deliveries())["deliveries"]
    acknowledged = {
        each["event"]
        for each in deliveries
        if is_of_interest(each["type"])
        and any(_succeeded(attempt["status"]) for attempt in each["attempts"])
    }
    async with database.read() as connection:
        stored = set(await connection.scalars(select(event.c.event_id)))
    return sorted(acknowledged - stored)


def _succeeded(status: int | None) -> bool:
    return status is not None and status // 100 == 2  # noqa: PLR2004 - HTTP's successes
