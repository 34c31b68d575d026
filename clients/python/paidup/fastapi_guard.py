"""Refuses requests to a FastAPI application of accounts that have not paid.

    require = EntitlementGuard(cache, account=lambda request: request.state.account_id)

    @app.get("/reports", dependencies=[require(feature="reports")])

Needs FastAPI, which this distribution does not bring along.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from fastapi import Depends, HTTPException, Request

from paidup._cache import EntitlementCache
from paidup._decision import Decision, question

#: Gives the account that a request is made for, from what your login left there.
AccountOf = Callable[[Request], str | Awaitable[str]]

#: Payment Required.
REFUSED = 402


class EntitlementGuard:
    """Makes dependencies that let a request through or refuse it with 402."""

    def __init__(self, cache: EntitlementCache, *, account: AccountOf) -> None:
        """Decide by `cache`.

        `account` gives the account of a request that has been authenticated: never
        take it from what anybody can set, such as a header. It raises HTTPException
        for a stranger.
        """
        self._cache = cache
        self._account = account

    def __call__(self, *, feature: str | None = None, product_id: str | None = None) -> Any:
        """Return a dependency; as a parameter, it gives the handler the `Decision`."""
        question("", feature, product_id)  # a mistake shows when the application starts

        async def require(request: Request) -> Decision:
            account = self._account(request)
            account_id = await account if isawaitable(account) else account
            decision = await self._cache.check(account_id, feature=feature, product_id=product_id)
            if not decision.entitled:
                raise HTTPException(REFUSED, f"This needs {feature or product_id}.")
            return decision

        return Depends(require)
