"""Who may use what: the one place that decides how it is asked."""

from paidup import BillingClient, EntitlementCache


class Access:
    """
    Says yes from memory, and no only when the database of the service says it.

    Memory, here and in the service, may be a moment behind somebody who has just paid. While the
    service is away, who was known to have paid stays in for an hour; for anybody else the error
    closes the gate.
    """

    def __init__(self, billing: BillingClient, cache: EntitlementCache) -> None:
        self._billing = billing
        self._cache = cache

    async def entitled(self, account_id: str, feature: str) -> bool:
        if await self._cache.check(account_id, feature=feature):
            return True
        return await self._billing.entitled(account_id, feature=feature, fully_consistent=True)
