"""Reads Stripe's own objects, past everything that is being tested, and through its faults."""

import asyncio
from collections import defaultdict
from types import TracebackType
from typing import Any, Self

import aiohttp

from demo.stack import API_KEY
from soak.oracle import Json, Truth

TIMEOUT = aiohttp.ClientTimeout(total=30)
ATTEMPTS = 50
PAGE = 100


class StripeTruth:
    """Lists, every page of them."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        self._session = aiohttp.ClientSession(url, headers=headers, timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def prices(self) -> dict[str, str]:
        """Give the prices' ids by lookup key."""
        return {each["lookup_key"]: each["id"] for each in await self._all("/v1/prices", {})}

    async def subscriptions(self) -> dict[str, Json]:
        listed = await self._all("/v1/subscriptions", {"status": "all"})
        return {each["id"]: each for each in listed}

    async def by_customer(self) -> dict[str, list[Truth]]:
        """Give every customer's subscriptions with their invoices."""
        invoices: dict[str, list[Json]] = defaultdict(list)
        for invoice in await self._all("/v1/invoices", {}):
            if invoice["status"] != "draft":
                invoices[_subscription_of(invoice)].append(invoice)
        truths: dict[str, list[Truth]] = defaultdict(list)
        for each in (await self.subscriptions()).values():
            truth = Truth(subscription=each, invoices=invoices[each["id"]])
            truths[each["customer"]].append(truth)
        return truths

    async def _all(self, path: str, filters: dict[str, str]) -> list[Json]:
        listed: list[Json] = []
        after: dict[str, str] = {}
        while True:
            page = await self._get(path, {**filters, **after, "limit": str(PAGE)})
            listed += page["data"]
            if not page["has_more"]:
                return listed
            after = {"starting_after": listed[-1]["id"]}

    async def _get(self, path: str, query: dict[str, str]) -> Any:
        for _ in range(ATTEMPTS):
            async with self._session.get(path, params=query) as response:
                if response.ok:
                    return await response.json()
            # One of the faults that were asked for.
            await asyncio.sleep(0.02)
        message = f"GET {path} was refused {ATTEMPTS} times"
        raise RuntimeError(message)


def _subscription_of(invoice: Json) -> str:
    return str(invoice["parent"]["subscription_details"]["subscription"])
