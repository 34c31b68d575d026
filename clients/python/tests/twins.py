"""Either client behind one face, so that one suite holds both to the same."""

import asyncio
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any, Self, TypeAlias

from paidup import BillingClient, BlockingBillingClient, Subscription


class AwaitableClient:
    """A blocking client whose calls run in a thread each."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.blocking = BlockingBillingClient(*args, **settings)

    def __getattr__(self, name: str) -> Any:
        return partial(asyncio.to_thread, getattr(self.blocking, name))

    async def __aenter__(self) -> Self:
        self.blocking.__enter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.blocking.__exit__, *error)


Client: TypeAlias = BillingClient | AwaitableClient

CLIENTS = {"asyncio": BillingClient, "blocking": AwaitableClient}


async def subscriptions(client: Client, *, at_most: int = 1000, **arguments: Any) -> list[str]:
    """Return the ids that `iter_subscriptions` gives, and stop it after `at_most`."""
    if isinstance(client, AwaitableClient):
        iterator = client.blocking.iter_subscriptions(**arguments)
        return await asyncio.to_thread(_first_ids, iterator, at_most)
    ids: list[str] = []
    iterator = client.iter_subscriptions(**arguments)
    async for subscription in iterator:
        ids.append(subscription.subscription_id)
        if len(ids) == at_most:
            break
    await iterator.aclose()
    return ids


def _first_ids(iterator: Iterable[Subscription], at_most: int) -> list[str]:
    return [subscription.subscription_id for subscription in islice(iterator, at_most)]
