"""Either client behind one face, so that one suite holds both to the same."""

import asyncio
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, Self, TypeAlias

from paidup import (
    AdminClient,
    BillingClient,
    BlockingAdminClient,
    BlockingBillingClient,
)


class AwaitableClient:
    """A blocking client whose calls run in a thread each."""

    blocking_class: type[Any] = BlockingBillingClient

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.blocking = self.blocking_class(*args, **settings)

    def __getattr__(self, name: str) -> Any:
        return partial(asyncio.to_thread, getattr(self.blocking, name))

    async def __aenter__(self) -> Self:
        self.blocking.__enter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.blocking.__exit__, *error)


class AwaitableAdminClient(AwaitableClient):
    blocking_class = BlockingAdminClient


Client: TypeAlias = BillingClient | AwaitableClient

CLIENTS = {"asyncio": BillingClient, "blocking": AwaitableClient}

ADMIN_CLIENTS = {"asyncio": AdminClient, "blocking": AwaitableAdminClient}


async def subscriptions(client: Client, *, at_most: int = 1000, **arguments: Any) -> list[str]:
    """Return the ids that `iter_subscriptions` gives, and stop it after `at_most`."""
    found = await items(client, "iter_subscriptions", at_most=at_most, **arguments)
    return [subscription.subscription_id for subscription in found]


async def items(client: Any, method: str, /, *, at_most: int = 1000, **arguments: Any) -> list[Any]:
    """Return what an iterator of either client gives, and stop it after `at_most`."""
    if isinstance(client, AwaitableClient):
        iterator = getattr(client.blocking, method)(**arguments)
        return await asyncio.to_thread(_first, iterator, at_most)
    found: list[Any] = []
    iterator = getattr(client, method)(**arguments)
    async for item in iterator:
        found.append(item)
        if len(found) == at_most:
            break
    await iterator.aclose()
    return found


def _first(iterator: Iterable[Any], at_most: int) -> list[Any]:
    return list(islice(iterator, at_most))
