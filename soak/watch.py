"""Measures how long what is stored differs from what Stripe has, while everything happens."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import select

from soak.oracle import Json
from soak.stripe_truth import StripeTruth
from subscription_state.database import Database
from subscription_state.errors import StateUnavailable
from subscription_state.tables import subscription

EVERY = 1.0

#: A subscription's status, when it will end, and its prices with their quantities.
Version: TypeAlias = tuple[str, int | None, frozenset[tuple[str, int]]]


@dataclass(kw_only=True)
class Watch:
    """Looks every second; durations are exact to about that."""

    database: Database
    truth: StripeTruth
    #: Since when each subscription has differed, by the monotonic clock.
    differing: dict[str, float] = field(default_factory=dict)
    #: How long each difference lasted, in seconds.
    lasted: list[float] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            # While the database is down there is nothing to look at.
            with suppress(StateUnavailable):
                await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        stored = await self._stored()
        said = {name: _said(each) for name, each in (await self.truth.subscriptions()).items()}
        now = time.monotonic()
        for name, version in said.items():
            if stored.get(name) != version:
                self.differing.setdefault(name, now)
            elif name in self.differing:
                self.lasted.append(now - self.differing.pop(name))

    async def _stored(self) -> dict[str, Version]:
        async with self.database.read() as connection:
            rows = await connection.execute(select(subscription))
        return {
            row.subscription_id: (
                row.status,
                int(row.cancel_time.timestamp()) if row.cancel_time else None,
                frozenset((each["price_id"], each["quantity"]) for each in row.items),
            )
            for row in rows
        }


def _said(said: Json) -> Version:
    items = said["items"]["data"]
    return (
        said["status"],
        said["cancel_at"],
        frozenset((item["price"]["id"], item["quantity"]) for item in items),
    )
